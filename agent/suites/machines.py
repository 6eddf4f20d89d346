"""Machines that a suite's check hands in: untouched, spoiled, or solved by the task's own script."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from agent.base.errors import CandidateFault
from agent.base.profile import SNAPSHOT
from agent.base.types import BoxSpec, Ending, Files, Sandbox, Task
from agent.suites.rules import SOLVE
from agent.trials.acting import solver_command
from agent.trials.grading import SNAPSHOT_BYTES, WORKSPACE, box_for, in_workdir
from agent.trials.stages import collect, prepare

FOLDER = "/solution"
"""Where a reference script is while it runs."""

_ARRIVES = ".ratchet-solution"
_SPOIL_SECONDS = 300.0


class Change(StrEnum):
    """What is done to a machine; the value is a command for the shell, in the working directory."""

    NONE = ":"
    EMPTIED = "find . -xdev -mindepth 1 -delete"
    BROKEN = "find . -xdev -type f -exec sh -c 'echo this is [ no program > \"$1\"' - {} ';'"
    SOLVED = f"bash {FOLDER}/{SOLVE}"


async def left_by(sandbox: Sandbox, image: str, task: Task, change: Change) -> Files:
    """The machine of a task as a change leaves it.

    Raises:
        CandidateFault: the change did not end, or left too much.
        InfrastructureError: the box failed.
    """
    box = await sandbox.open(box_for(task, BoxSpec(image=image, gateway=False)))
    try:
        await box.put(task.files, WORKSPACE.rstrip("/"))
        await prepare(box, task)
        if change is Change.SOLVED:
            await box.put({f"{_ARRIVES}/{path}": body for path, body in task.solution.items()}, WORKSPACE.rstrip("/"))
            moved = f"mv {WORKSPACE}{_ARRIVES} {FOLDER}"
            await box.run(["sh", "-c", moved], env={}, timeout=60)
        command = ["sh", "-c", change.value]
        argv = solver_command(task, command) if change is Change.SOLVED else in_workdir(task, command)
        seconds = task.solve_timeout if change is Change.SOLVED else min(task.solve_timeout, _SPOIL_SECONDS)
        result = await box.run(argv, env=reference_env(task), timeout=seconds)
        if change is Change.SOLVED:
            await box.run(["rm", "-rf", FOLDER], env={}, timeout=60)
        if result.ending is not Ending.EXITED:
            raise CandidateFault(f"{SOLVE} did not finish: {result.ending.value}")
        await collect(box, task)
        return {SNAPSHOT: await box.freeze(most=SNAPSHOT_BYTES)}
    finally:
        await box.close()


def reference_env(task: Task) -> dict[str, str]:
    """The environment of a reference script: the task's, and what is said for the reference alone."""
    alone = next((said.get("solution_env") for said in task.meta.values() if isinstance(said, Mapping)), None)
    return {**task.env, **(alone if isinstance(alone, Mapping) else {})}
