"""Proving tasks that hand in the whole machine, and what they may not say; boxes are in memory here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import CandidateFault, UserError
from agent.base.profile import SNAPSHOT, Profile
from agent.base.types import Ending, RewardKind, Split, Suite, Task
from agent.suites.check import Flaw, prove
from agent.suites.machines import Change, left_by
from agent.suites.place import Place
from agent.suites.rules import keep
from agent.trials.grading import TOOLS
from sandbox.fake import FakeRun, FakeSandbox, ran
from sandbox.install import INTERPRETER

TASK = Task(
    id="t",
    split=Split.GATE,
    instruction="Solve it.",
    files={"a": b"start"},
    submit=(),
    profile=Profile.MACHINE,
    tests={"hidden": b"x" * 40},
    check=("check",),
    reward=RewardKind.EXIT,
    solution={"solve.sh": b"echo", "data": b"1"},
    solve_timeout=10,
    check_timeout=10,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "suite.yaml").write_text("name: x\n", encoding="utf-8")
    return Place(tmp_path / "suite.yaml")


def sh(scene: FakeRun) -> object:
    """What the commands of a check do to a machine."""
    command = scene.argv[-1]
    if command == Change.SOLVED:
        assert {path for path in scene.workspace if path.startswith(".ratchet-solution/")} == {
            ".ratchet-solution/solve.sh",
            ".ratchet-solution/data",
        }
        scene.workspace.clear()
        scene.workspace["a"] = b"solved"
    elif command == Change.EMPTIED:
        scene.workspace.clear()
    return ran()


def graded(scene: FakeRun) -> object:
    assert "hidden" in scene.areas["/tests"]
    return ran(exit_code=0 if scene.workspace.get("a") == b"solved" else 1)


PROGRAMS = {"sh -c": sh, "rm -rf /solution": lambda _: ran(), "python3 -I": lambda _: ran("[]")}


async def test_a_task_is_proven_by_machines_that_its_check_makes_itself() -> None:
    async with FakeSandbox({**PROGRAMS, f"{TOOLS}/bash": graded}) as sandbox:
        suite = Suite(name="s", hash="h", tasks=(TASK,))
        (proof,) = await prove(sandbox, lambda _: "image", suite, parallel=2, done=lambda: None)
    assert proof.findings == ()
    assert {name: grade.score for name, grade in proof.grades.items()} == {
        "starter": 0,
        "emptied files": 0,
        "broken files": 0,
        "reference": 1,
        "reference again": 1,
    }
    assert all(spec.machine for spec in sandbox.opened)


async def test_a_machine_without_a_reference_is_not_proven() -> None:
    async with FakeSandbox({**PROGRAMS, f"{TOOLS}/bash": graded}) as sandbox:
        suite = Suite(name="s", hash="h", tasks=(replace(TASK, solution={}),))
        (proof,) = await prove(sandbox, lambda _: "image", suite, parallel=2, done=lambda: None)
    assert [flaw for flaw, _ in proof.findings] == [Flaw.NO_REFERENCE]


async def test_a_user_of_the_image_solves_and_root_does_the_rest() -> None:
    seen: list[list[str]] = []

    def watched(scene: FakeRun) -> object:
        seen.append(list(scene.argv))
        return ran()

    async with FakeSandbox({**PROGRAMS, "sh -c": watched, INTERPRETER: watched}) as sandbox:
        for change in (Change.SOLVED, Change.BROKEN):
            await left_by(sandbox, "image", replace(TASK, solve_as="me"), change)
    assert [argv[4:] for argv in seen if argv[-1] == Change.SOLVED] == [["me", "sh", "-c", Change.SOLVED]]
    assert ["sh", "-c", Change.BROKEN] in seen


async def test_a_reference_that_does_not_end_is_its_own_fault() -> None:
    async with FakeSandbox({**PROGRAMS, "sh -c": stuck}) as sandbox:
        with pytest.raises(CandidateFault, match=r"solve\.sh did not finish"):
            await left_by(sandbox, "image", TASK, Change.SOLVED)
        assert set(await left_by(sandbox, "image", TASK, Change.NONE)) == {SNAPSHOT}
        assert not sandbox.open_boxes


def stuck(scene: FakeRun) -> object:
    return ran("", None, Ending.TIMEOUT) if scene.argv[-1] == Change.SOLVED else ran()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"solution": {"other": b"x"}}, "has no solve.sh"),
        ({"check_image": "other"}, "not possible where the whole machine is handed in"),
        ({"check_build": ("RUN x",)}, "not possible where the whole machine is handed in"),
        ({"user": 7}, "does nothing with profile: machine"),
        ({"profile": Profile.STRICT, "submit": ("a",), "solution": {}, "solve_as": "me"}, "nothing without profile"),
        ({"reward": RewardKind.FILE, "reward_path": "/"}, "is missing"),
        ({"profile": Profile.STRICT}, "List the paths that are handed in"),
    ],
)
def test_what_a_whole_machine_cannot_have_is_refused(changes: dict[str, object], fault: str, place: Place) -> None:
    keep(TASK, place)
    with pytest.raises(UserError, match=fault):
        keep(replace(TASK, **changes), place)  # type: ignore[arg-type]


def test_a_reward_of_a_machine_may_be_anywhere_in_it(place: Place) -> None:
    keep(replace(TASK, reward=RewardKind.FILE, reward_path="/logs/verifier/reward.json"), place)
