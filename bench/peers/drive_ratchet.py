"""Ratchet: a real campaign (search, gate, git, ledger, gateway) with boxes in memory and a scripted proposer.

    python -m bench.peers.drive_ratchet RESULTS.jsonl VARIANT --world add --seeds 1-20 --budget 2000

VARIANT is `coupled` (both sides of a pair have the same luck, as shared answers give it), `independent`, or one of them
with an ending. `-one-file`: each patch adds a statement at the end of one Python file, so that git cannot merge them.
`-one-line`: all patches change one line, so that nothing can merge them, and the improver is asked to bring them over.
`-unproven`: what is handed in is not the champion but what search holds for the best, as systems without a gate do it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import BoxSpec, Caps, Purpose, Split
from agent.config.campaign import Config
from agent.config.models import ModelsConfig
from agent.kernel.decide.archive import ALIVE, Archive
from agent.kernel.decide.boundary import Boundary
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.kernel.decide.effects import fit
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.git.repository import Repository
from agent.kernel.loop.bring_over import FOLDER as BRING_OVER
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.settings import search_settings
from agent.kernel.loop.state import Scaffolds, State
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Visit
from agent.trials.executor import Executor
from bench.peers import world
from bench.peers.driving import Pick, Run, drive
from bench.peers.tasks import SIZES, check, suite
from sandbox.fake import FakeRun, FakeSandbox, ran

HOLDOUT = range(SIZES[Split.SEARCH] + SIZES[Split.GATE], sum(SIZES.values()))
FOLDER = f"{DEFAULT_MUTABLE[0]}/patches"
MODULE = f"{DEFAULT_MUTABLE[0]}/patches.py"
PARALLEL = 4


def ids_of(files: Mapping[str, bytes]) -> list[int]:
    """The patches that a scaffold holds."""
    inside = [int(path.rsplit("/", 1)[1]) for path in files if path.startswith(f"{FOLDER}/")]
    return inside or ids_in(files.get(MODULE, b"").decode())


def ids_in(text: str) -> list[int]:
    """The patches in the text of the one file."""
    return [int(number) for number in re.findall(r"^PATCH_(\d+)", text, re.MULTILINE)] or world.ids_of(text)


def brought(ids: Iterable[int], diff: str) -> list[int]:
    """Patches with what a diff of the one file adds, and without what it removes."""
    lines = {sign: [line[1:] for line in diff.splitlines() if line.startswith(sign)] for sign in "+-"}
    new, old = (ids_in("\n".join(lines[sign])) for sign in "+-")
    return [one for one in dict.fromkeys([*ids, *new]) if one in new or one not in old]


class Boxes:
    """What runs in the boxes: the scaffold on tasks and on itself, and the check."""

    def __init__(self, run: Run, variant: str) -> None:
        self._run, self._coupled, self._variant = run, variant.startswith("coupled"), variant

    def scaffold(self, scene: FakeRun) -> object:
        return self._improve(scene) if "context/brief.json" in scene.task else self._solve(scene)

    def _improve(self, scene: FakeRun) -> object:
        """The next patch of the pool; or, where one is to be brought over, the scaffold with it."""
        held, diff = ids_of(scene.scaffold), scene.task.get(f"context/{BRING_OVER}/patch.diff")
        made = self._run.deal(held) if diff is None else self._run.bring(brought(held, diff.decode()))
        if self._variant.endswith("-one-file"):
            scene.workspace[MODULE] = "".join(f"PATCH_{n} = {n}\n" for n in made).encode()
        elif self._variant.endswith("-one-line"):
            scene.workspace[MODULE] = f"{world.program(made)}\n".encode()
        else:
            scene.workspace[f"{FOLDER}/{made[-1]}"] = f"patch {made[-1]}\n".encode()
        scene.workspace["PATCH.md"] = f"Patch {made[-1]}\n".encode()
        return ran("ok")

    def _solve(self, scene: FakeRun) -> object:
        task = int(scene.task["instruction.md"].split()[1])
        right = self._run.trial(ids := ids_of(scene.scaffold), task)
        if self._coupled:
            luck = hashlib.sha256(f"{scene.env['RATCHET_SEED']} {task}".encode()).digest()
            right = int.from_bytes(luck[:6], "big") / 2**48 < self._run.world.chances(ids)[task]
        scene.workspace["answer"] = b"right" if right else b"wrong"
        return ran("ok")


def search(run: Run, variant: str) -> Pick:
    run.living = True  # git processes that serve the whole campaign
    boxes = Boxes(run, variant)
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        return asyncio.run(_campaign(run, boxes, variant, Path(folder)))


def _repository(folder: Path) -> Path:
    for path in DEFAULT_MUTABLE:
        (folder / path).mkdir(parents=True)
        (folder / path / "start").write_text("start\n")
    (folder / MODULE).write_text("")
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-qm", "Start"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


async def _campaign(run: Run, boxes: Boxes, variant: str, folder: Path) -> Pick:
    """A campaign as `ratchet run` makes it, with its defaults and a budget of trials."""
    unused = {"provider": "scripted", "script": "unused.yaml"}
    models = ModelsConfig.model_validate(dict.fromkeys(("solver", "improver"), unused))
    config = Config.model_validate(
        {
            "name": "bench", "suite": "unused", "models": models, "runs": folder / "runs", "seed": run.world.seed,
            "budget": {"trials": run.budget}, "boxes": {"parallel": PARALLEL, "patience_minutes": 0.001},
            "scaffold": {"sabotage": False},  # its boxes are in memory, and hold no code
        }
    )  # fmt: skip
    tasks, silent = suite("world"), {role: ScriptedProvider(lambda _: "no") for role in models.roles}
    budget = Budget(Limits(seconds=36_000.0), Spent())
    with Ledger(folder / "ledger.sqlite") as ledger:
        repository = Repository.open(_repository(folder / "repo"), "bench", DEFAULT_MUTABLE)
        repository.claim()
        ledger.remember("base", repository.base)
        ledger.remember("suite", tasks.hash)
        sandbox = FakeSandbox({"scaffold": boxes.scaffold, "check": check}, folder=folder / "boxes")  # type: ignore[dict-item]
        gateway = GatewayServer(models, MemoryRecord(), budget, providers=silent)
        async with gateway, sandbox as opened:
            scaffolds = Scaffolds(repository.read)
            visit = Visit(opened, gateway, BoxSpec(image="i", gateway=True), ("scaffold",))
            state = State(ledger, search_settings(config, tasks))
            machine = Evaluator(sandbox=opened, visit=visit, image="i", caps=Caps())
            evaluator = Executor(machine, scaffolds, 2 * PARALLEL)
            campaign = Campaign(
                Parts(
                    config=config, suite=tasks, state=state, repository=repository, gateway=gateway,
                    scaffolds=scaffolds, evaluator=evaluator,
                    proposer=Proposer(
                        visit=visit, instruction="improve", boundary=Boundary(), caps=Caps(), timeout=10
                    ),
                    strategy=STRATEGIES[config.search.strategy](), budget=budget, provenance={},
                )
            )  # fmt: skip
            await campaign.run()
            proven = not variant.endswith("-unproven")
            pick, score = (state.champion, 0.0) if proven else _leader(state.archive)
            ids = ids_of(scaffolds[state.candidates[pick].tree or ""])
            return _picked(run, state, ids) if proven else Pick(ids, score, state.accepted)


def _leader(archive: Archive) -> tuple[int, float]:
    """(the candidate that search holds for the best, the score that it expects of it)."""
    values = fit(archive.members, archive.observations.trials).values
    row = int(np.where(archive.column(ALIVE) > 0, values, -np.inf).argmax())
    return archive.ids[row], float(values[row])


def _picked(run: Run, state: State, ids: list[int]) -> Pick:
    """The champion, and the held-out score that its commit states."""
    held_out = [*state.ledger.scores(Purpose.HOLDOUT, state.champion).values()]
    return Pick(
        ids,
        sum(held_out) / len(held_out) if held_out else None,
        state.accepted,
        run.world.true(ids, HOLDOUT),
        {
            "used": state.trials,
            "tests": len(state.ledger.tests()),
            "brought": run.brought,
            "merged": _merged(state.archive),
        },
    )


def _merged(archive: Archive) -> int:
    """Candidates that were put together of others' patches, without an improver."""
    return sum(bool(held) and node not in held for node, held in zip(archive.ids, archive.members, strict=True))


if __name__ == "__main__":
    kind = sys.argv.pop(2)
    drive(f"ratchet, {kind}", lambda run: search(run, kind))
