"""A whole campaign without containers or a model: the shipped in-memory sandbox, real git, real ledger, real gate.

The 'scaffold' is one number, its skill: a task is solved if a hash of (seed, task) falls below it.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import BoxSpec, Caps, Split, Suite, Task
from agent.config.campaign import Config
from agent.config.models import ModelsConfig
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.boundary import Boundary
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.kernel.decide.cheaper import SCORE
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.strategies import STRATEGIES, Strategy
from agent.kernel.decide.thrift import Thrifty
from agent.kernel.git.repository import Repository
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.settings import aim_of
from agent.kernel.loop.state import Scaffolds, State
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Visit
from agent.trials.executor import Executor
from sandbox.fake import FakeRun, FakeSandbox, ran
from sandbox.install import INTERPRETER

SETTINGS = "agent/scaffold/settings.py"
JUNIT = '<testsuite tests="1" failures="{bad}" errors="0" skipped="0"><testcase name="t">{why}</testcase></testsuite>'


def task(name: str, split: Split) -> Task:
    return Task(
        id=name,
        split=split,
        instruction=f"solve {name} of {split}",
        files={"solution.py": b"todo"},
        submit=("solution.py",),
        tests={"test.py": f"secret check of {name}".encode()},
        check=("check",),
        junit=1,
    )


def suite(deterministic: int = 0) -> Suite:
    """A toy suite; the first so many gate tasks are declared deterministic."""
    sizes = {Split.SEARCH: 10, Split.GATE: 12, Split.HOLDOUT: 4}
    tasks = [task(f"{split}-{n}", split) for split, size in sizes.items() for n in range(size)]
    declared = {f"{Split.GATE}-{n}" for n in range(deterministic)}
    tasks = [replace(task, deterministic=True) if task.id in declared else task for task in tasks]
    return Suite(name="toy", hash="abc", tasks=tuple(tasks))


def skill_of(scene: FakeRun) -> int:
    found = re.search(rb"SKILL = (\d+)", scene.scaffold.get(SETTINGS, b""))
    return int(found[1]) if found else -1


def luck_of(scene: FakeRun) -> int:
    """What chance gives to one task under one seed, from 0 to 99; less is luckier."""
    what = scene.env["RATCHET_SEED"].encode() + scene.task["instruction.md"]
    return int.from_bytes(hashlib.sha256(what).digest()[:4], "big") % 100


def solve(scene: FakeRun) -> str:
    """The scaffold on a task."""
    skill = skill_of(scene)
    if skill < 0:
        return ran("Traceback: no SKILL", exit_code=1)
    luck = luck_of(scene)
    scene.workspace["solution.py"] = b"right" if luck < skill else b"wrong"
    return f"skill {skill}, luck {luck}"


def steadily(scene: FakeRun) -> str:
    """A scaffold without any chance: what it solves depends on its skill and the task alone."""
    luck = int.from_bytes(hashlib.sha256(scene.task["instruction.md"]).digest()[:4], "big") % 100
    scene.workspace["solution.py"] = b"right" if luck < skill_of(scene) else b"wrong"
    return f"luck {luck}"


def check(scene: FakeRun) -> str:
    """The hidden test."""
    right = scene.workspace["solution.py"] == b"right"
    path = scene.env["RATCHET_JUNIT"].removeprefix("/workspace/")
    scene.workspace[path] = JUNIT.format(bad=int(not right), why="" if right else "<failure/>").encode()
    return ran("", exit_code=0 if right else 1)


def look(scene: FakeRun) -> str:
    """What a box sees below /scaffold."""
    return json.dumps({path: hashlib.sha256(body).hexdigest() for path, body in scene.scaffold.items()})


Improver = Callable[[FakeRun], str | None]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=u", "-c", "user.email=u@x", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@dataclass
class Lab:
    """One user's repository with one campaign in it; `improve` is what the scaffold does to itself."""

    folder: Path
    improve: Improver
    trials: int = 250
    name: str = "night"
    sandbox: FakeSandbox = field(init=False)
    solve: Callable[[FakeRun], object] = solve
    gate: str = "proven"
    approve: str = "auto"
    deterministic: int = 0
    seconds: float = 120.0
    clock: Callable[[], float] = time.monotonic
    tasks: Suite | None = None
    check: Callable[[FakeRun], object] = check
    model: Mapping[str, object] | None = None
    caps: Caps = field(default_factory=Caps)
    alpha: float | None = None
    scaffold: Mapping[str, object] = field(default_factory=lambda: {"sabotage": False})
    program: Mapping[str, bytes] | None = None
    look: Callable[[FakeRun], object] = look
    shown: float = 1.0
    patience: float = 0.001
    """Minutes."""
    slots: int = 8
    """Trials at a time, of whatever purpose."""
    options: Mapping[str, object] = field(default_factory=dict)
    strategy: Strategy = field(default_factory=STRATEGIES["thompson"])
    tripwires: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.repo = self.folder / "repo"
        (self.repo / "agent" / "scaffold").mkdir(parents=True)
        (self.repo / "prompts").mkdir()
        (self.repo / SETTINGS).write_text("SKILL = 20\n")
        (self.repo / "prompts" / "solve.md").write_text("do it\n")
        (self.repo / "other.txt").write_text("not mutable\n")
        git(self.repo, "init", "-q", "-b", "main")
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "-qm", "start")

    def run_program(self, scene: FakeRun) -> object:
        improving = "context/brief.json" in scene.task
        return self.improve(scene) if improving else self.solve(scene)

    @asynccontextmanager
    async def campaign(self) -> AsyncIterator[Campaign]:
        """The campaign as `ratchet run` would make it; leave and enter again to resume."""
        unused = {"provider": "scripted", "script": "unused.yaml"}
        models = ModelsConfig.model_validate(dict.fromkeys(("solver", "improver"), self.model or unused))
        config = Config.model_validate(
            {
                "name": self.name, "suite": "unused", "models": models, "gate": self.gate,
                "runs": self.folder / "runs", "approve": self.approve,
                "budget": {"trials": self.trials}, "boxes": {"parallel": 4, "patience_minutes": self.patience},
                "gate_options": {"alpha": self.alpha, "spending": GateSettings().spending},
                "search": {"shown": self.shown}, "tripwires": self.tripwires, "scaffold": self.scaffold, **self.options,
            }
        )  # fmt: skip
        silent = {role: ScriptedProvider(lambda _: "no") for role in models.roles}
        tasks = self.tasks or suite(self.deterministic)
        with Ledger(self.folder / "ledger.sqlite") as ledger:
            repository = Repository.open(self.repo, self.name, DEFAULT_MUTABLE, ledger.recollect("base") or "HEAD")
            repository.claim()
            ledger.remember("base", repository.base)
            ledger.remember("suite", tasks.hash)
            self.sandbox = FakeSandbox(
                {"scaffold": self.run_program, "check": self.check, f"{INTERPRETER} -I -c": self.look},
                folder=self.folder / "boxes",
            )
            budget = Budget(Limits(seconds=self.seconds), Spent(), clock=self.clock)
            gateway = GatewayServer(models, MemoryRecord(), budget, providers=None if self.model else silent)
            async with gateway, self.sandbox as boxes:
                scaffolds = Scaffolds(repository.read)
                visit = Visit(boxes, gateway, BoxSpec(image="i", gateway=True), ("scaffold",))
                yield Campaign(
                    Parts(
                        config=config,
                        suite=tasks,
                        state=State(
                            ledger, SearchSettings(task_count=10, min_trials=10, max_gate_share=0.9), aim_of(config)
                        ),
                        repository=repository,
                        gateway=gateway,
                        scaffolds=scaffolds,
                        evaluator=Executor(
                            Evaluator(sandbox=boxes, visit=visit, image="i", caps=self.caps), scaffolds, self.slots
                        ),
                        proposer=Proposer(
                            visit=visit,
                            instruction="improve",
                            boundary=Boundary(),
                            caps=Caps(),
                            timeout=10,
                            program=self.program,
                            bring_over=" and bring it over",
                        ),
                        strategy=self.strategy if aim_of(config) == SCORE else Thrifty(self.strategy, aim_of(config)),
                        budget=budget,
                        provenance={"Ratchet-Suite": "toy@abc", "Ratchet-Models": "none", "Ratchet-Kernel": "k"},
                    )
                )

    async def run(self) -> str:
        """Run the campaign to its end."""
        async with self.campaign() as campaign:
            return await campaign.run()

    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger.sqlite", read_only=True)


MakeLab = Callable[..., Lab]
