"""Turns a reference that is a script (Harbor's solve.sh, Terminal-Bench's solution.sh) into solution files.

The script runs once in the box in which a scaffold would solve the task, without a gateway and without the hidden
tests; what it leaves of what is handed in becomes the task's `solution/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.errors import CandidateFault
from agent.base.types import BoxSpec, Ending, Files, Sandbox, Suite, Task
from agent.suites.machines import reference_env
from agent.suites.network import needs_network
from agent.suites.rules import submitted_by
from agent.trials.grading import WORKSPACE, box_for, in_workdir
from agent.trials.stages import collect, prepare

SCRIPTS = ("solve.sh", "solution.sh")
FOLDER = ".solution"
"""Where the script is in the box: it begins with a dot, so it is not handed in."""


@dataclass(frozen=True, slots=True)
class Solved:
    """What came of one reference script: files, or why there are none."""

    task: str
    files: Files
    problem: str | None = None


def script_of(meta: Mapping[str, Any]) -> tuple[str, Mapping[str, str]] | None:
    """The name of the reference script and the files beside it, if the task with this `meta` has one."""
    for said in meta.values():
        scripts = said.get("solution") if isinstance(said, Mapping) else None
        if isinstance(scripts, Mapping):
            name = next((name for name in SCRIPTS if name in scripts), None)
            return (name, scripts) if name else None
    return None


async def solve(
    sandbox: Sandbox, image: Callable[[Task], str], suite: Suite, *, parallel: int, done: Callable[[], None]
) -> list[Solved]:
    """Run the reference script of every task that has one and no solution yet. Raises InfrastructureError."""
    slots = asyncio.Semaphore(parallel)

    async def one(task: Task) -> Solved:
        async with slots:
            solved = await _run(sandbox, image(task), task)
        done()
        return solved

    return await asyncio.gather(*(one(task) for task in with_script(suite)))


def with_script(suite: Suite) -> list[Task]:
    """The tasks that `solve` runs."""
    return [task for task in suite.tasks if not task.solution and not task.whole and script_of(task.meta)]


async def _run(sandbox: Sandbox, image: str, task: Task) -> Solved:
    found = script_of(task.meta)
    name, scripts = found or ("", {})
    beside = {f"{FOLDER}/{path}": text.encode() for path, text in scripts.items()}
    box = await sandbox.open(box_for(task, BoxSpec(image=image, gateway=False)))
    try:
        await box.put(task.files, WORKSPACE.rstrip("/"))
        await prepare(box, task)
        await box.put(beside, WORKSPACE.rstrip("/"))
        argv = in_workdir(task, ["bash", f"{WORKSPACE}{FOLDER}/{name}"])
        result = await box.run(argv, env=reference_env(task), timeout=task.solve_timeout)
        if result.ending is not Ending.EXITED:
            return Solved(task.id, {}, f"{name} did not finish: {result.ending.value}")
        await collect(box, task)
        taken = await box.take(task.submit)
    except CandidateFault as fault:
        return Solved(task.id, {}, f"{name}: {fault}")
    finally:
        await box.close()
    handed_in = submitted_by(task.submit)
    files = {path: body for path, body in taken.items() if handed_in(path) and task.files.get(path) != body}
    if files and not result.exit_code:
        return Solved(task.id, files)
    said = needs_network(result.output.decode(errors="replace"))
    if files and not said:
        return Solved(task.id, files)
    why = f"needs a network: {said}" if said else f"{name} left no file (exit code {result.exit_code})"
    return Solved(task.id, {}, why)


def write_solutions(root: Path, solved: list[Solved]) -> None:
    """Put solutions into the folders of their tasks, below `root`."""
    for one in solved:
        for path, content in one.files.items():
            at = root / one.task / "solution" / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(content)
