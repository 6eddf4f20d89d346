"""Tasks whose answer is a text: what `match` stands for, and which answers are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import UserError
from agent.base.types import RewardKind, Task
from agent.suites import matching
from agent.suites.in_box_match import matches
from agent.suites.loader import load_suite

HELPER = Path(matching.__file__).with_name("in_box_match.py")


def loaded(folder: Path, lines: str) -> Task:
    (folder / "suite.yaml").write_text(
        f"name: s\ntasks:\n- id: one\n  split: search\n  instruction: What is 6 * 7?\n{lines}", encoding="utf-8"
    )
    (task,) = load_suite(folder).tasks
    return task


def test_a_match_stands_for_check_reward_tests_submission_and_solution(tmp_path: Path) -> None:
    task = loaded(tmp_path, "  match: {exact: ['42', forty-two]}\n")
    assert (task.reward, task.submit) == (RewardKind.EXIT, ("answer.txt",))
    assert task.solution == {"answer.txt": b"42\n"}
    assert set(task.tests) == {".match/match.py", ".match/expected.json"}
    assert task.check[-2:] == ("/workspace/answer.txt", "/workspace/.match/expected.json")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("  match: {}\n", "match: needs either exact or regex"),
        ("  match: {exact: a, regex: b}\n", "match: needs either exact or regex"),
        ("  match: {regex: '('}\n", "match.regex: is not a regular expression"),
        ("  match: {exact: a}\n  check: [x]\n", "check: does nothing beside match"),
        ("  match: {exact: a}\n  tests: {t: x}\n", "tests: does nothing beside match"),
        ("  match: {exact: a, fil: x}\n", "unknown key"),
        ("  match: {exact: ''}\n", "match.exact"),
        ("  match: {exact: a, file: ../x}\n", "is not a plain relative path"),
    ],
)
def test_a_match_that_cannot_be_meant_is_named(lines: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"suite\.yaml line") as error:
        loaded(tmp_path, lines)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("answer", "match", "right"),
    [
        (b"42\n", {"exact": ["42"]}, True),
        (b"  Forty-Two ", {"exact": ["42", "forty-two"], "ignore_case": True}, True),
        (b"Forty-Two", {"exact": ["forty-two"]}, False),
        (b"the answer is 42.", {"regex": r"\b42\b"}, True),
        (b"the answer is 421.", {"regex": r"\b42\b"}, False),
        (b"\xff", {"regex": "."}, False),
        (b"", {"exact": ["42"]}, False),
        (b"4" * (1 << 21), {"regex": "4"}, False),
        (None, {"regex": ""}, False),
    ],
)
def test_an_answer_is_right_or_wrong(
    answer: bytes | None, match: dict[str, object], right: bool, tmp_path: Path
) -> None:
    if answer is not None:
        (tmp_path / "answer.txt").write_bytes(answer)
    (tmp_path / "expected.json").write_text(json.dumps({"exact": None, "regex": None, "ignore_case": False} | match))
    argv = [sys.executable, "-I", str(HELPER), str(tmp_path / "answer.txt"), str(tmp_path / "expected.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == right
    assert "Traceback" not in done.stderr


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_an_exact_answer_is_itself_and_nothing_else(wanted: str, other: str) -> None:
    match = {"exact": [wanted], "regex": None, "ignore_case": False}
    assert matches(wanted.strip(), match)
    assert matches(other.strip(), match) == (other.strip() == wanted.strip())
