"""Proves a suite in real boxes: what a task must show before a score on it means anything.

Each task is graded five times, in five boxes: its starting files, emptied files, broken files (each must score 0),
and twice its reference solution (must score 1 both times, well within its time).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from agent.base.errors import CandidateFault, Starved
from agent.base.types import NO_FILES, Files, Grade, Sandbox, Suite, Task
from agent.suites.leaks import leaks, may_leak
from agent.suites.machines import Change, left_by
from agent.suites.network import needs_network
from agent.suites.rules import submitted_by
from agent.trials.grading import grade

SLOW_SHARE = 0.5
"""A reference that needs more than this share of its time limit will be late on a busier machine."""

Result = TypeVar("Result")

STARVED_PAUSES = (0.5, 2.0)
"""Seconds to wait before a check that other programs starved is run again."""

BROKEN = b"\x7f this ( is [ no program in any language\n"
REFERENCES = ("reference", "reference again")
CHANGES = {
    "starter": Change.NONE,
    "emptied files": Change.EMPTIED,
    "broken files": Change.BROKEN,
    **dict.fromkeys(REFERENCES, Change.SOLVED),
}
"""What is done to a machine before it is graded."""


class Flaw(StrEnum):
    """What can be wrong with a task."""

    NO_REFERENCE = "no reference"
    ALREADY_SOLVED = "already solved"
    SCORES_EMPTY = "scores an empty submission"
    UNSOLVABLE = "unsolvable"
    FLAKY = "flaky"
    SLOW = "slow"
    NO_IMAGE = "no image"
    LEAKED = "solution in the box"
    NETWORK = "needs a network"


_NO_SOLUTION = "no solution is given, so nothing shows that it can be solved"
UNREFERENCED = f"{Flaw.NO_REFERENCE}: {_NO_SOLUTION}"
"""The reason of a proof that only lacks a reference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """One task's gradings by name, and its flaws; none when it is proven."""

    task: Task
    grades: Mapping[str, Grade]
    findings: tuple[tuple[Flaw, str], ...]

    @property
    def reason(self) -> str:
        """All flaws in a line, as a quarantine keeps them; empty when it is proven."""
        return "; ".join(f"{kind}: {said}" for kind, said in self.findings)


async def prove(
    sandbox: Sandbox,
    image: Callable[[Task], str],
    suite: Suite,
    *,
    grading: Callable[[Task], str] | None = None,
    parallel: int,
    done: Callable[[], None],
) -> Sequence[Proof]:
    """Check every task, `parallel` boxes at a time; `done` is called after each grading.

    `image` names the one in which a task is solved, `grading` the one in which it is graded, if that is another.

    Raises:
        InfrastructureError: the boxes failed.
    """
    slots = asyncio.Semaphore(parallel)

    async def one(task: Task, name: str, submission: Files) -> Grade:
        async with slots:
            if task.whole:
                verdict = await _on_a_machine(sandbox, image(task), task, name)
            else:
                verdict = await _graded(sandbox, (grading or image)(task), task, submission)
        done()
        return verdict

    async def searched(task: Task) -> list[tuple[Flaw, str]]:
        if not may_leak(task):
            return []
        async with slots:
            return [(Flaw.LEAKED, said) for said in await leaks(sandbox, image(task), task)]

    async def whole(task: Task) -> Proof:
        wanted = submissions(task)
        verdicts = await together(one(task, name, files) for name, files in wanted.items())
        proof = judge(task, dict(zip(wanted, verdicts, strict=True)))
        return replace(proof, findings=(*proof.findings, *await searched(task)))

    return await together(whole(task) for task in suite.tasks)


async def together(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All results; if one fails, the others are ended first, so that they close their boxes."""
    running = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _graded(sandbox: Sandbox, image: str, task: Task, submission: Files) -> Grade:
    """The verdict; on a starved machine a later one, and the last one as it is: a check proves, it does not compare."""
    for pause in STARVED_PAUSES:
        try:
            return await grade(sandbox, image, task, submission)
        except Starved:
            await asyncio.sleep(pause)
    return await grade(sandbox, image, task, submission, starved=1.0)


async def _on_a_machine(sandbox: Sandbox, image: str, task: Task, name: str) -> Grade:
    """The verdict on a machine that was treated as the name says."""
    try:
        submission = await left_by(sandbox, image, task, CHANGES[name])
    except CandidateFault as fault:
        return Grade(score=0.0, reason=str(fault))
    return await _graded(sandbox, image, task, submission)


def submissions(task: Task) -> dict[str, Files]:
    """What is graded, by name; of a whole machine only the names."""
    if task.whole:
        return {name: NO_FILES for name in CHANGES if task.solution or name not in REFERENCES}
    handed_in = submitted_by(task.submit)
    starter = {path: content for path, content in task.files.items() if handed_in(path)}
    paths = task.solution or starter
    wanted: dict[str, Files] = {
        "starter": starter,
        "emptied files": dict.fromkeys(paths, b""),
        "broken files": dict.fromkeys(paths, BROKEN),
    }
    return wanted | (dict.fromkeys(REFERENCES, task.solution) if task.solution else {})


def judge(task: Task, grades: Mapping[str, Grade]) -> Proof:
    """What the gradings of a task say about it."""
    findings = [*_for_nothing(grades), *_reference(task, [grades[name] for name in REFERENCES if name in grades])]
    return Proof(task=task, grades=grades, findings=tuple(findings))


def _for_nothing(grades: Mapping[str, Grade]) -> list[tuple[Flaw, str]]:
    found = []
    for name, verdict in grades.items():
        if name not in REFERENCES and verdict.score != 0:
            kind = Flaw.ALREADY_SOLVED if name == "starter" else Flaw.SCORES_EMPTY
            found.append((kind, f"{name} score {verdict.score:g} ({verdict.reason})"))
    return found


def _reference(task: Task, runs: Sequence[Grade]) -> list[tuple[Flaw, str]]:
    if not runs:
        return [(Flaw.NO_REFERENCE, _NO_SOLUTION)]
    failed = [verdict for verdict in runs if verdict.score != 1]
    if failed:
        if said := needs_network(failed[0].output):
            return [(Flaw.NETWORK, f"the check of the reference says: {said}")]
        kind = Flaw.UNSOLVABLE if len(failed) == len(runs) else Flaw.FLAKY
        said = f"the reference scores {' and '.join(f'{v.score:g}' for v in runs)} ({failed[0].reason})"
        return [(kind, said)]
    slowest = max(verdict.seconds for verdict in runs)
    if slowest > SLOW_SHARE * task.check_timeout:
        return [(Flaw.SLOW, f"the reference needs {slowest:.1f} s of the {task.check_timeout:g} s of check_timeout")]
    return []
