"""The tasks of a world whose boxes are in memory: an answer is right or wrong, and the check says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.base.types import Split, Suite, Task
from sandbox.fake import FakeRun, ran

SIZES: Final[Mapping[Split, int]] = {Split.SEARCH: 20, Split.GATE: 25, Split.HOLDOUT: 15}
JUNIT = '<testsuite tests="1" failures="{bad}" errors="0" skipped="0"><testcase name="t">{why}</testcase></testsuite>'


def suite(name: str) -> Suite:
    """The tasks, in three splits; the name is the suite's hash too."""
    splits = [split for split, size in SIZES.items() for _ in range(size)]
    tasks = [
        Task(
            id=f"t-{n}", split=split, instruction=f"task {n}", files={"answer": b"?"}, submit=("answer",),
            tests={"hidden": b"x"}, check=("check",), junit=1,
        )
        for n, split in enumerate(splits)
    ]  # fmt: skip
    return Suite(name=name, hash=name, tasks=tuple(tasks))


def check(scene: FakeRun) -> object:
    """The check of every task."""
    right = scene.workspace["answer"] == b"right"
    path = scene.env["RATCHET_JUNIT"].removeprefix("/workspace/")
    scene.workspace[path] = JUNIT.format(bad=int(not right), why="" if right else "<failure/>").encode()
    return ran("", exit_code=0 if right else 1)
