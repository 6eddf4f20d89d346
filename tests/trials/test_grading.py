"""The verdict, from files and results alone; boxes are in memory here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import SandboxDown, UserError
from agent.base.types import Ending, Grade, RewardKind, Split, Task
from agent.trials.grading import Counts, count_junit, grade, judge, overlay
from sandbox.fake import FakeRun, FakeSandbox, Program, ran

CHECK = ("check", "$RATCHET_JUNIT")


def task(**changes: object) -> Task:
    settings: dict[str, object] = {
        "id": "t",
        "split": Split.GATE,
        "instruction": "",
        "files": {"solution.py": b"start", "data/x.csv": b"1"},
        "submit": ("solution.py", "src/**"),
        "tests": {"test_solution.py": b"hidden", "hidden/cases.json": b"[]"},
        "check": CHECK,
        "junit": 2,
    }
    return Task(**(settings | changes))  # type: ignore[arg-type]


def suite(*cases: str) -> bytes:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


GOOD, BAD = '<testcase name="a"/>', '<testcase name="b"><failure message="x"/></testcase>'


def writes(report: bytes, exit_code: int = 0, orphans: int = 0) -> Program:
    def program(run: FakeRun) -> object:
        run.workspace[run.argv[1].removeprefix("/workspace/")] = report
        return ran("said", exit_code, orphans=orphans)

    return program  # type: ignore[return-value]


async def graded(program: Program, of: Task | None = None, submission: dict[str, bytes] | None = None) -> Grade:
    async with FakeSandbox({"check": program}) as sandbox:
        verdict = await grade(sandbox, "image", of or task(), submission or {"solution.py": b"x"})
        assert not sandbox.open_boxes
        return verdict


async def test_all_tests_passed_is_one() -> None:
    assert await graded(writes(suite(GOOD, GOOD))) == Grade(
        score=1.0, reason="2 of 2 hidden tests passed", output="said"
    )


@pytest.mark.parametrize(
    ("report", "exit_code", "reason"),
    [
        (suite(GOOD, BAD), 1, "1 of 2 hidden tests passed"),
        (suite(GOOD), 0, "1 hidden tests ran where the reference runs 2"),
        (suite(GOOD, GOOD, GOOD), 0, "3 hidden tests ran where the reference runs 2"),
        (suite(GOOD, '<testcase name="s"><skipped/></testcase>'), 0, "1 of 2 hidden tests passed"),
        (suite(GOOD, GOOD), 1, "exit code 1"),
        (suite(GOOD, GOOD), 137, "exit code 137"),
        (b"<not xml", 0, "no JUnit XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + suite(GOOD, GOOD), 0, "no JUnit XML"),
        (b"", 0, "no JUnit XML"),
    ],
)
async def test_anything_less_is_zero(report: bytes, exit_code: int, reason: str) -> None:
    verdict = await graded(writes(report, exit_code))
    assert verdict.score == 0
    assert reason in verdict.reason


async def test_a_verdict_that_a_process_left_behind_could_have_written_is_not_believed() -> None:
    verdict = await graded(writes(suite(GOOD, GOOD), orphans=1))
    assert (verdict.score, "outlived" in verdict.reason) == (0.0, True)


async def test_no_verdict_is_zero() -> None:
    assert (await graded(lambda _: ran("bye", 0))).reason == "the check left no verdict (exit code 0)"


@pytest.mark.parametrize("ending", [Ending.TIMEOUT, Ending.MEMORY, Ending.KILLED])
async def test_an_end_before_the_verdict_is_zero(ending: Ending) -> None:
    verdict = await graded(lambda _: ran("", None, ending))
    assert verdict.score == 0
    assert "timed out" in verdict.reason or ending.value in verdict.reason


async def test_an_infrastructure_error_is_not_a_verdict() -> None:
    def down(_: FakeRun) -> None:
        raise SandboxDown("engine gone")

    with pytest.raises(SandboxDown):
        await graded(down)


async def test_exit_code_tasks_believe_the_exit_code() -> None:
    by_exit = task(reward=RewardKind.EXIT)
    assert (await graded(lambda _: ran(), by_exit)).score == 1
    assert (await graded(lambda _: ran(exit_code=1), by_exit)).score == 0
    assert (await graded(lambda _: ran("", None, Ending.TIMEOUT), by_exit)).score == 0


@pytest.mark.parametrize(
    ("content", "score"),
    [
        (b"0.25", 0.25),
        (b"1\n", 1.0),
        (b'{"reward": 0.5, "more": []}', 0.5),
        (b'{"reward": true}', 0.0),
        (b"1.01", 0.0),
        (b"-1", 0.0),
        (b"NaN", 0.0),
        (b"Infinity", 0.0),
        (b"[1]", 0.0),
        (b"one", 0.0),
        (b"[" * 100000, 0.0),
    ],
)
async def test_reward_files(content: bytes, score: float) -> None:
    by_file = task(reward=RewardKind.FILE, reward_path="/workspace/out/reward.json", check=("check", "out/reward.json"))
    assert (await graded(writes(content), by_file)).score == score


async def test_a_reward_path_outside_the_workspace_is_the_users_to_fix() -> None:
    with pytest.raises(UserError, match="reward_path"):
        await graded(writes(b"1"), task(reward=RewardKind.FILE, reward_path="/logs/reward.txt"))


async def test_a_task_without_its_number_of_tests_is_the_users_to_fix() -> None:
    with pytest.raises(UserError, match="junit"):
        await graded(writes(suite(GOOD)), task(junit=None))


def test_only_the_declared_submission_is_laid_over_the_tasks_files() -> None:
    submission = {
        "solution.py": b"mine",
        "src/a/b.py": b"mine",
        "conftest.py": b"mine",
        "data/x.csv": b"mine",
        "test_solution.py": b"mine",
        "hidden/cases.json": b"mine",
    }
    assert overlay(task(), submission, "v") == {
        "solution.py": b"mine",
        "src/a/b.py": b"mine",
        "data/x.csv": b"1",
        "test_solution.py": b"hidden",
        "hidden/cases.json": b"[]",
    }


def test_hidden_tests_win_over_everything_in_their_way() -> None:
    wide = task(submit=("**",), files={})
    submission = {"test_solution.py/__init__.py": b"", "hidden": b"", "verdict": b"1", "verdict/x": b"1", "ok": b""}
    assert overlay(wide, submission, "verdict") == {"ok": b"", **wide.tests}


@given(st.binary(max_size=300))
def test_any_bytes_are_counts_or_no_report(data: bytes) -> None:
    assert isinstance(count_junit(data), Counts | None)


@given(st.lists(st.sampled_from([GOOD, BAD]), max_size=6), st.integers(1, 6))
def test_the_score_is_one_exactly_if_all_of_the_reference_pass(cases: list[str], junit: int) -> None:
    verdict = judge(task(junit=junit), ran(), suite(*cases))
    assert verdict.score == float(len(cases) == junit and BAD not in cases)
