"""OpenEvolve (package `openevolve`): its controller, full rewrites; a score is one run of all 60 tasks."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from openevolve import run_evolution
from openevolve.config import Config, LLMModelConfig

from bench.peers.driving import Pick, Run, drive
from bench.peers.stub import model, source
from bench.peers.world import TASKS, ids_of

EVALUATOR = """\
import json, random
from bench.peers.world import TASKS, World, ids_of

WORLD, RNG = World({world!r}, {seed}), random.SystemRandom()


def evaluate(path):
    ids = ids_of(open(path).read())
    score = sum(RNG.random() < chance for chance in WORLD.chances(ids)) / TASKS
    with open({log!r}, "a") as log:
        log.write(json.dumps(ids) + "\\n")
    return {{"combined_score": score}}
"""


def config(run: Run, url: str) -> Config:
    made = Config()
    made.diff_based_evolution, made.random_seed = False, run.world.seed
    made.llm.api_base, made.llm.api_key = url, "placeholder"
    made.llm.models = made.llm.evaluator_models = [
        LLMModelConfig(
            name="stub", api_base=url, api_key="placeholder", weight=1.0, temperature=0.7, top_p=0.95, max_tokens=4096,
            timeout=60, retries=1, retry_delay=1,
        )
    ]  # fmt: skip
    made.evaluator.cascade_evaluation = False
    made.log_level, made.checkpoint_interval = "ERROR", 100_000
    return made


def search(run: Run) -> Pick:
    with tempfile.TemporaryDirectory(prefix="peers-") as home, model(run) as url:
        folder, log = Path(home), Path(home) / "evaluated"
        (folder / "initial.py").write_text(source([]))
        text = EVALUATOR.format(world=run.world.name, seed=run.world.seed, log=str(log))
        (folder / "evaluator.py").write_text(text)
        found = run_evolution(
            str(folder / "initial.py"), str(folder / "evaluator.py"), config(run, url),
            iterations=run.budget // TASKS - 1, output_dir=str(folder / "out"), cleanup=False,
        )  # fmt: skip
        evaluated = [json.loads(line) for line in log.read_text().splitlines()]
    run.used = TASKS * len(evaluated)
    return Pick(ids_of(found.best_code), found.best_score, len(evaluated) - 1)


if __name__ == "__main__":
    drive("openevolve", search)
