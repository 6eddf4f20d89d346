"""The commands of a task around solving: what makes the workspace ready, and what collects the submission."""

from __future__ import annotations

from agent.base.errors import InfrastructureError, UserError
from agent.base.types import Box, Ending, Task

PREPARE_SECONDS = 300.0
COLLECT_SECONDS = 120.0
_SHOWN = 300


async def prepare(box: Box, task: Task) -> None:
    """Run a task's `prepare` in a box that nothing of a candidate has entered.

    Raises:
        UserError: the command failed.
        InfrastructureError: it did not end.
    """
    if not task.prepare:
        return
    result = await box.run(task.prepare, env=task.env, timeout=PREPARE_SECONDS)
    said = " ".join(result.output.decode(errors="replace").split())[-_SHOWN:]
    if result.ending is not Ending.EXITED:
        raise InfrastructureError(f"prepare of task {task.id} did not end: {result.ending.value}")
    if result.exit_code:
        problem = f"failed with exit code {result.exit_code}: {said or 'no output'}"
        raise UserError(f"task {task.id}: prepare", problem, "Fix the command, or give the box more disk_mb.")


async def collect(box: Box, task: Task) -> None:
    """Run a task's `collect` after the scaffold; whether it worked shows in what is handed in.

    Raises:
        CandidateFault: the box is lost.
    """
    if task.collect:
        await box.run(task.collect, env=task.env, timeout=COLLECT_SECONDS)
