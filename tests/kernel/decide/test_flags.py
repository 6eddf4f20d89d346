"""Flags name what a patch adds, and only that; they are advice, not security."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Split
from agent.kernel.decide.flags import SHOWN, FlagFinder, in_one_line
from tests.kernel.lab import task

PATH = "agent/scaffold/solve.py"
TASKS = [task("gate-7", Split.GATE)]
LONG = "def check(answer):\n    return answer == sorted(set('the quick brown fox jumps'))\n"


def found(before: str, after: str, path: str = PATH) -> list[str]:
    return [str(flag) for flag in FlagFinder(TASKS).find({path: before.encode()}, {path: after.encode()})]


@pytest.mark.parametrize(
    ("added", "kind"),
    [
        ("import socket", "network: import socket"),
        ("from urllib import request", "network: import urllib"),
        ("URL = 'https://example.org/x'", "network: https://example.org/x"),
        ("import subprocess as s", "other programs: import subprocess"),
        ("from os import system as s\ns('id')", "other programs: os.system()"),
        ("import os as o\no.execvp('a', [])", "other programs: os.execvp()"),
        ("eval('1')", "code made at run time: eval()"),
        ("import importlib", "code made at run time: import importlib"),
        ("open('/proc/1/mem')", "paths of the laboratory: /proc/"),
        ("if task == 'gate-7': pass", "names a task: gate-7"),
        ("x = 1  # noqa", "checks switched off: noqa"),
        ("try:\n    x = 1\nexcept Exception:\n    pass", "checks switched off: every exception is swallowed"),
    ],
)
def test_what_a_patch_adds_is_flagged_with_its_place(added: str, kind: str) -> None:
    flags = found("x = 0\n", f"x = 0\n{added}\n")
    assert any(flag.startswith(f"{kind} ({PATH}:") for flag in flags), flags
    assert found(f"{added}\n", f"{added}\ny = 2\n") == []


def test_code_that_only_moves_to_another_file_is_not_flagged() -> None:
    finder = FlagFinder(TASKS)
    before, after = {"a.py": b"import socket\n", "b.py": b"x = 1\n"}, {"a.py": b"", "b.py": b"import socket\n"}
    assert finder.find(before, after) == ()


def test_a_second_use_of_what_was_there_once_is_flagged_where_it_was_added() -> None:
    finder = FlagFinder(TASKS)
    before = {"a.py": b"eval('1')\n", "b.py": b""}
    (flag,) = finder.find(before, {**before, "b.py": b"\neval('2')\n"})
    assert (flag.path, flag.line) == ("b.py", 2)


def test_long_text_of_a_hidden_test_is_flagged_and_common_words_are_not() -> None:
    hidden = task("gate-7", Split.GATE)
    hidden = type(hidden)(**{**{n: getattr(hidden, n) for n in hidden.__slots__}, "tests": {"t.py": LONG.encode()}})
    finder = FlagFinder([hidden])
    copy = 'ANSWER = "return answer == sorted(set(\'the quick brown"\n'
    (flag,) = finder.find({}, {"prompts/solve.md": copy.encode()})
    assert "repeats task gate-7" in str(flag)
    assert not finder.find({"prompts/old.md": copy.encode()}, {"prompts/solve.md": copy.encode()})
    assert not finder.find({}, {"prompts/solve.md": b"return the answer, sorted\n" + b"-" * 80})


def test_prompts_are_searched_word_by_word() -> None:
    assert found("", "Run `curl https://example.org` first.", "prompts/solve.md")


@given(st.binary(max_size=300), st.sampled_from(["a.py", "a.md"]))
def test_no_content_makes_the_search_fail(body: bytes, path: str) -> None:
    for flag in FlagFinder(TASKS).find({}, {path: body}):
        assert str(flag).isprintable()


def test_a_long_list_is_counted() -> None:
    line = in_one_line([f"flag {n}" for n in range(SHOWN + 3)])
    assert line.endswith("and 3 more")
