"""A real campaign around nothing: boxes in memory, a scripted model behind the real gateway, one commit of a seed.

Search, gate, git, ledger, gateway and briefings are those of `ratchet run`, each with its default settings unless a
setup says otherwise. What runs in a box costs next to nothing, so what is measured is the campaign's own work.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import BoxSpec, Caps
from agent.config.campaign import Config
from agent.config.models import ModelsConfig
from agent.kernel.decide.boundary import Boundary
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.git.repository import Repository
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.settings import search_settings
from agent.kernel.loop.state import Scaffolds, State
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.server import GatewayServer
from agent.models.ports import Json, Question
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Visit
from agent.trials.executor import Executor
from bench.peers.driving import cpu
from bench.peers.tasks import check, suite
from sandbox.fake import FakeRun, FakeSandbox, ran

ASK = json.dumps({"model": "ratchet", "messages": [{"role": "user", "content": "Improve yourself."}]}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
EVERY = 25
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - in a folder of their own
"""Where the boxes, which are in memory, have their sockets, on a system that has it."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One campaign: its settings, after how many proposals it ends, seconds of a model call.

    `shipped`: its seed is the scaffold that Ratchet ships, otherwise two files of a line each.
    """

    options: Mapping[str, Any]
    candidates: int
    latency: float = 0.0
    shipped: bool = False


@dataclass
class Seen:
    """What was measured: at every `EVERY`-th proposal its number, processor seconds, the clock, trials so far."""

    proposals: int = 0
    marks: list[tuple[int, float, float, int]] = field(default_factory=list)

    def proposal(self, trials: int, now: float) -> int:
        """Count a proposal; returns its number."""
        if self.proposals % EVERY == 0:
            self.marks.append((self.proposals, cpu(living=True), now, trials))
        self.proposals += 1
        return self.proposals


class Slow(ScriptedProvider):
    """A model that answers after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(lambda _: "Done.")
        self._seconds = seconds

    async def ask(self, question: Question) -> Json:
        await asyncio.sleep(self._seconds)
        return await super().ask(question)


class Boxes:
    """What runs in the boxes. A proposal asks its model once, through the gateway, and adds a file."""

    def __init__(self, setup: Setup, seen: Seen) -> None:
        self._setup, self._seen, self._rng, self.trials = setup, seen, random.Random(1), 0
        self.enough: Callable[[], object] = lambda: None

    async def scaffold(self, scene: FakeRun) -> object:
        if "context/brief.json" in scene.task:
            return await self._improve(scene)
        self.trials += 1
        scene.workspace["answer"] = b"right" if self._rng.random() < 0.25 else b"wrong"
        return ran("ok")

    async def _improve(self, scene: FakeRun) -> object:
        reader, writer = await asyncio.open_unix_connection(str(scene.socket))
        writer.write(HEAD % len(ASK) + ASK)
        await reader.readuntil(b"Done.")
        writer.close()
        number = self._seen.proposal(self.trials, asyncio.get_running_loop().time())
        scene.workspace[f"{DEFAULT_MUTABLE[0]}/patch_{number}.py"] = f"VALUE_{number} = {number}\n".encode()
        scene.workspace["PATCH.md"] = b"Add value %d\n" % number
        if number >= self._setup.candidates:
            self.enough()
        return ran("ok")


def _repository(folder: Path, *, shipped: bool) -> Path:
    """A repository with one commit, of the seed."""
    for path in DEFAULT_MUTABLE:
        if shipped:
            shutil.copytree(ROOT / path, folder / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / path).mkdir(parents=True)
            (folder / path / "start.py").write_text("START = 1\n")
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-qm", "Start"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


def _in_memory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="boxes-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None)


@asynccontextmanager
async def opened(
    folder: Path,
    options: Mapping[str, Any],
    scaffold: Callable[[FakeRun], object],
    *,
    budget: Budget,
    latency: float = 0.0,
    shipped: bool = False,
    propose_timeout: float = 60.0,
) -> AsyncIterator[Campaign]:
    """A campaign with default settings but for `options`; `scaffold` is what runs in its boxes, proposals included."""
    unused = {"provider": "scripted", "script": "unused.yaml"}
    models = ModelsConfig.model_validate(dict.fromkeys(("solver", "improver"), unused))
    config = Config.model_validate(
        {
            "name": "bench",
            "suite": "unused",
            "models": models,
            "runs": folder / "runs",
            "scaffold": {"sabotage": False},
            **options,
        }
    )  # fmt: skip
    tasks = suite("overhead")
    with _in_memory() as sockets, Ledger(folder / "ledger.sqlite") as ledger:
        repository = Repository.open(_repository(folder / "repo", shipped=shipped), "bench", DEFAULT_MUTABLE)
        repository.claim()
        ledger.remember("base", repository.base)
        (folder / "runs" / "bench").mkdir(parents=True)
        ledger.mirror_to(folder / "runs" / "bench")
        sandbox = FakeSandbox({"scaffold": scaffold, "check": check}, folder=Path(sockets))  # type: ignore[dict-item]
        gateway = GatewayServer(models, ledger, budget, providers={role: Slow(latency) for role in models.roles})
        async with gateway, sandbox as boxes:
            scaffolds = Scaffolds(repository.read)
            visit = Visit(boxes, gateway, BoxSpec(image="i", gateway=True), ("scaffold",))
            yield Campaign(
                Parts(
                    config=config, suite=tasks, state=State(ledger, search_settings(config, tasks)),
                    repository=repository, gateway=gateway, scaffolds=scaffolds,
                    evaluator=Executor(
                        Evaluator(sandbox=boxes, visit=visit, image="i", caps=Caps()),
                        scaffolds, 2 * config.boxes.parallel,
                    ),
                    proposer=Proposer(
                        visit=visit, instruction="improve", boundary=Boundary(), caps=Caps(), timeout=propose_timeout
                    ),
                    strategy=STRATEGIES[config.search.strategy](), budget=budget, provenance={},
                )
            )  # fmt: skip


async def campaign(setup: Setup, folder: Path) -> Seen:
    """Run one campaign until so many candidates were proposed."""
    seen, budget = Seen(), Budget(Limits(seconds=36_000.0), Spent())
    boxes = Boxes(setup, seen)
    made = opened(folder, setup.options, boxes.scaffold, budget=budget, latency=setup.latency, shipped=setup.shipped)
    async with made as running:
        boxes.enough = lambda: running.stop("enough was measured")
        await running.run()
    return seen


def measured(setup: Setup, folder: Path) -> Seen:
    """What one campaign in an empty folder showed."""
    return asyncio.run(campaign(setup, folder))
