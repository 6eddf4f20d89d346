"""The work of the scale benchmarks: tasks whose model is a script that answers at once, so that Ratchet is the cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.base.errors import InfrastructureError
from agent.base.types import BoxSpec, Caps, Purpose, Split, Task, Trial
from agent.config.models import ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.scripted import Script, ScriptedProvider
from agent.trials.evaluator import Visit, evaluator_of, seed_of
from agent.trials.executor import Executor, Job, Orders
from agent.trials.pairs import Void, both
from sandbox.docker_sandbox import DockerSandbox
from sandbox.install import INTERPRETER

CALLS = 3
TASKS = 8
TESTS = b"from ratchet_check import remote\nadd = remote('solution.py', 'add')\ndef test_a(): assert add(1, 2) == 3\n"
SOLVER = f"""
import json, os, urllib.request
text = open("/task/instruction.md").read()
body = json.dumps({{"model": "ratchet", "messages": [{{"role": "user", "content": text}}]}}).encode()
for _ in range({CALLS}):
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", data=body)
    with urllib.request.urlopen(request) as answer:
        reply = json.load(answer)["choices"][0]["message"]["content"]
open("solution.py", "w").write(reply)
"""
SCAFFOLDS = {"tree": {"main.py": SOLVER.encode()}}
COMMAND = (INTERPRETER, "/scaffold/main.py")


def tasks() -> list[Task]:
    """Tasks of which the script solves every other one."""
    return [
        Task(
            id=f"t{number}",
            split=Split.GATE,
            instruction=f"Write add. Number {'even' if number % 2 == 0 else 'odd'} {number}",
            files={},
            submit=("solution.py",),
            tests={"test_solution.py": TESTS},
            check=("python3", "-I", "-m", "ratchet_check", "test_solution.py"),
            junit=1,
            solve_timeout=300.0,
            check_timeout=300.0,
        )
        for number in range(TASKS)
    ]


def script() -> Script:
    """Right answers to even tasks, wrong ones to odd."""
    rules = [
        {"match": "even", "reply": "def add(a, b): return a + b\n"},
        {"match": "odd", "reply": "def add(a, b): return a - b\n"},
    ]
    return Script.model_validate({"rules": rules})


@asynccontextmanager
async def gateway() -> AsyncIterator[GatewayServer]:
    """A gateway whose model answers at once, and which keeps its record in memory."""
    described = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "concurrency": 64}
    models = ModelsConfig.model_validate({"solver": described})
    provider = ScriptedProvider(script())
    async with GatewayServer(models, MemoryRecord(), providers={"solver": provider}) as server:
        yield server


def orders(image: str, run: str) -> Orders:
    """What nodes are told."""
    return Orders(
        run=run,
        campaign=f"scale-{run}",
        spec=BoxSpec(image=image, gateway=True),
        command=COMMAND,
        runtime=None,
        images={},
        caps=Caps(),
        starved=1.0,
        recipe=None,
    )


@asynccontextmanager
async def local(told: Orders, server: GatewayServer, folder: Path, parallel: int) -> AsyncIterator[Executor]:
    """The executor of this machine."""
    async with DockerSandbox(told.run, told.campaign, folder, ready=parallel) as sandbox:
        evaluator = evaluator_of(told, sandbox, Visit(sandbox, server, told.spec, told.command))
        yield Executor(evaluator, SCAFFOLDS, parallel)


@dataclass
class Tally:
    """What came of many pairs: verdicts by pair, and voids by reason."""

    verdicts: dict[int, tuple[float, float]] = field(default_factory=dict)
    voids: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0

    @property
    def trials(self) -> int:
        """Trials that counted."""
        return 2 * len(self.verdicts)

    @property
    def rate(self) -> float:
        """Trials a minute that counted."""
        return 60 * self.trials / self.seconds


async def pairs(executor: Executor, count: int, parallel: int) -> Tally:
    """Run pairs until each has counted, `parallel` trials at a time; a void pair is run again."""
    turns, tally, offered = asyncio.Semaphore(max(1, parallel // 2)), Tally(), tasks()
    start, used = time.perf_counter(), time.process_time()

    async def one(index: int) -> None:
        task = offered[index % len(offered)]
        job = Job(tree="tree", task=task, purpose=Purpose.GATE, seed=seed_of(index), answer_scope=f"pair {index}")
        while index not in tally.verdicts:
            async with turns:
                outcome = await _pair(executor, job, index)
            if isinstance(outcome, Void):
                tally.voids.append(f"{outcome.side.value}: {outcome.reason}")
            else:
                tally.verdicts[index] = (outcome[0].score, outcome[1].score)

    await asyncio.gather(*(one(index) for index in range(count)))
    tally.seconds, tally.cpu = time.perf_counter() - start, time.process_time() - used
    return tally


async def _pair(executor: Executor, job: Job, index: int) -> tuple[Trial, Trial] | Void:
    try:
        return await both(executor, job, job, index)
    except InfrastructureError as error:
        raise RuntimeError(f"pair {index}: {error}") from error
