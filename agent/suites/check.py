"""Prove a suite in real boxes: the starting files must score 0 and the reference solution 1, twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.kernel.types import Files, Sandbox, Suite, Task
from agent.suites.grading import grade

RUNS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What came of one task: every complaint, none when it is proven."""

    task: str
    complaints: tuple[str, ...]


async def prove(
    sandbox: Sandbox, image: str, suite: Suite, *, parallel: int, done: Callable[[], None]
) -> Sequence[Proof]:
    """Check every task, `parallel` boxes at a time; `done` is called after each. Raises LaboratoryFault."""
    slots = asyncio.Semaphore(parallel)

    async def one(task: Task) -> Proof:
        async with slots:
            proof = await _prove(sandbox, image, task)
        done()
        return proof

    return await asyncio.gather(*(one(task) for task in suite.tasks))


async def _prove(sandbox: Sandbox, image: str, task: Task) -> Proof:
    complaints = []
    if not task.solution:
        complaints.append("no reference solution")
    starter = await grade(sandbox, image, task, _submitted(task, task.files))
    if starter.score != 0:
        complaints.append(f"already solved: the starting files score {starter.score:g}")
    for _ in range(RUNS if task.solution else 0):
        verdict = await grade(sandbox, image, task, task.solution)
        if verdict.score != 1:
            complaints.append(f"unsolvable: the reference scores {verdict.score:g} ({verdict.reason})")
    if len(complaints) == 1 and complaints[0].startswith("unsolvable"):
        complaints = [complaints[0].replace("unsolvable", "flaky")]
    return Proof(task=task.id, complaints=tuple(complaints))


def _submitted(task: Task, files: Files) -> Files:
    """The starting files that a scaffold which does nothing would hand in."""
    return {path: body for path, body in files.items() if path in task.submit} or files
