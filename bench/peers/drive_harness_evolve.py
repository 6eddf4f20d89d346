"""harness-evolve (package `harness-evolve`): its Optimizer with its noise band.

`max_rounds` and `max_stall` are raised so that the budget is what ends it; by default it stops at about 400 trials.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from harness_evolve import AgentProfile, profiles
from harness_evolve.acceptance import CaseResult, EvalResult
from harness_evolve.evaluator import EvalOutcome
from harness_evolve.llm import LLMReply
from harness_evolve.loop import Optimizer, OptimizerConfig

from bench.peers.driving import Pick, Run, drive
from bench.peers.world import TASKS, ids_of, program

PROMPT = "agent.prompt"
COST = 0.001
"""What a trial costs, in dollars: the budget is counted in them."""


class Evaluator:
    """Runs programs in the world."""

    batch_size = TASKS

    def __init__(self, run: Run) -> None:
        self._run = run

    async def evaluate(self, folder: str, cases: list[str], trials: int) -> Any:
        ids, found, paths = ids_of((Path(folder) / PROMPT).read_text()), {}, []
        for case in cases:
            verdicts = ["PASS" if self._run.trial(ids, int(case[1:])) else "FAIL" for _ in range(trials)]
            passes = verdicts.count("PASS")
            found[case] = CaseResult(passes=passes, trials=trials, cost_usd=COST * trials, verdicts=verdicts)
            paths += [
                {"instance_id": case, "trial": n, "verdict": verdict, "steps": [], "submitted": True,
                 "cost": {"cost_usd": COST}}
                for n, verdict in enumerate(verdicts, 1)
            ]  # fmt: skip
        return EvalOutcome(EvalResult(found), COST * len(cases) * trials, paths)


def search(run: Run) -> Pick:
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        return _search(run, Path(folder))


def _search(run: Run, folder: Path) -> Pick:
    start = folder / "harness"
    start.mkdir()
    (start / PROMPT).write_text(f"intro\n{program([])}\n")
    for name in ("settings.json", "tool_descriptions.json"):
        (start / name).write_text("{}")
    profiles.use(AgentProfile.build(name="a", harness_root=start, agent_description="solves"))

    async def model(system: str, prompt: str) -> Any:
        if "strict reviewer" in system:
            return LLMReply(json.dumps({"verdict": "accept", "reasons": ["ok"]}), 0.0)
        now = ids_of(prompt.split("=== SETTINGS", maxsplit=1)[0])
        edit = {"file": PROMPT, "find": program(now), "replace": program(run.deal(now))}
        said = {"component": "prompts", "hypothesis": f"patch {run.dealt}", "edits": [edit]}
        return LLMReply(json.dumps(said), 0.0)

    config = OptimizerConfig(
        evolve_cases=[f"t{n}" for n in range(TASKS)], guard_cases=[], budget_usd=run.budget * COST + 1e-9,
        default_case_cost_usd=COST, max_rounds=10**6, max_stall=10**6, allow_unpriced_llm=True, health_every=10**9,
    )  # fmt: skip
    optimizer = Optimizer(folder / "run", start, config, Evaluator(run), model, model, [])
    state = asyncio.run(optimizer.run_until_stopped())
    best = ids_of((optimizer.run.incumbent_dir / PROMPT).read_text())
    report, _ = optimizer._load_ref(json.loads(state.incumbent_eval))  # noqa: SLF001 (it has no public way)
    return Pick(best, report.S, len(best))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    drive("harness-evolve", search)
