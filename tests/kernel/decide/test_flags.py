"""Flags name what a patch adds, and only that; they are advice, not security."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Files, Split, Task
from agent.config.control import FLAG_KINDS
from agent.kernel.decide.flags import _TEXT, SHOWN, Flag, FlagFinder, in_one_line
from agent.kernel.decide.parsing import _CALLS, _MODULES
from agent.suites.loader import load_suite
from tests.kernel.decide.readings import readings_of
from tests.kernel.lab import task

PATH = "agent/scaffold/solve.py"
TASKS = [task("gate-7", Split.GATE)]
LONG = "def check(answer):\n    return answer == sorted(set('the quick brown fox jumps'))\n"


def flags(before: Files, after: Files, tasks: Sequence[Task] = TASKS) -> tuple[Flag, ...]:
    return FlagFinder(tasks).find(before, after, readings_of(before, after))


def found(before: str, after: str, path: str = PATH) -> list[str]:
    return [str(flag) for flag in flags({path: before.encode()}, {path: after.encode()})]


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
        ("open('/proc/1/mem')", "paths that only grading uses: /proc/"),
        ("if task == 'gate-7': pass", "names a task: gate-7"),
        ("x = 1  # noqa", "checks switched off: noqa"),
        ("try:\n    x = 1\nexcept Exception:\n    pass", "checks switched off: every exception is swallowed"),
    ],
)
def test_what_a_patch_adds_is_flagged_with_its_place(added: str, kind: str) -> None:
    seen = found("x = 0\n", f"x = 0\n{added}\n")
    assert any(flag.startswith(f"{kind} ({PATH}:") for flag in seen), seen
    assert found(f"{added}\n", f"{added}\ny = 2\n") == []


def test_the_configuration_knows_every_kind_of_flag() -> None:
    own = {"checks switched off", "names a task", "text of a task"}
    assert {*_TEXT, *_MODULES, *_CALLS, *own} == set(FLAG_KINDS)


def test_code_that_only_moves_to_another_file_is_not_flagged() -> None:
    before, after = {"a.py": b"import socket\n", "b.py": b"x = 1\n"}, {"a.py": b"", "b.py": b"import socket\n"}
    assert flags(before, after) == ()


def test_a_second_use_of_what_was_there_once_is_flagged_where_it_was_added() -> None:
    before = {"a.py": b"eval('1')\n", "b.py": b""}
    (flag,) = flags(before, {**before, "b.py": b"\neval('2')\n"})
    assert (flag.path, flag.line) == ("b.py", 2)


def test_long_text_of_a_hidden_test_is_flagged_and_common_words_are_not() -> None:
    hidden = replace(task("gate-7", Split.GATE), tests={"t.py": LONG.encode()})
    copy = 'ANSWER = "return answer == sorted(set(\'the quick brown"\n'
    (flag,) = flags({}, {"prompts/solve.md": copy.encode()}, [hidden])
    assert "repeats task gate-7" in str(flag)
    assert not flags({"prompts/old.md": copy.encode()}, {"prompts/solve.md": copy.encode()}, [hidden])
    assert not flags({}, {"prompts/solve.md": b"return the answer, sorted\n" + b"-" * 80}, [hidden])


@pytest.fixture(scope="module")
def starter() -> FlagFinder:
    return FlagFinder(load_suite(Path("tasks/starter")).tasks)


@pytest.mark.parametrize(
    "honest",
    [
        "if text.strip() in stubs or 'raise NotImplementedError' in text:\n    return None\n",
        '"""A function `f` that returns a list of the lines that a test printed."""\n',
        "Write a Python function that returns the answer, and nothing else. Do not leave `raise NotImplementedError`.",
        "from ratchet_model import remote\n\nassert solve([]) == []\n",
    ],
)
def test_phrases_that_many_tasks_of_the_starter_suite_have_are_not_flagged(starter: FlagFinder, honest: str) -> None:
    files = {PATH: honest.encode()}
    assert [flag for flag in starter.find({}, files, readings_of(files)) if flag.kind == "text of a task"] == []


def test_a_patch_that_hard_codes_answers_of_the_starter_suite_is_flagged_task_by_task(starter: FlagFinder) -> None:
    tasks = {task.id: task for task in load_suite(Path("tasks/starter")).tasks}
    names = ("add-to-each", "item-price", "total-seconds", "fold-lines")
    answers = {name: tasks[name].solution["solution.py"].decode() for name in names}
    files = {PATH: f"ANSWERS = {json.dumps(answers, indent=1)}\n".encode()}
    seen = [flag for flag in starter.find({}, files, readings_of(files)) if flag.kind == "text of a task"]
    assert {flag.what for flag in seen} == {f"repeats task {name}" for name in names}
    assert starter.find(files, {**files, "agent/scaffold/other.py": files[PATH]}, readings_of(files))[-1].kind != (
        "text of a task"
    )


def test_a_phrase_is_the_same_wherever_it_stands_in_the_lines_of_tasks() -> None:
    phrase = "that every task of the suite repeats"
    tasks = [replace(task(f"gate-{n}", Split.GATE), instruction=f"{'x' * n} {phrase}, {n}") for n in range(1, 14)]
    assert flags({}, {"prompts/p.md": f"say {phrase}".encode()}, tasks) == ()


IDS = [replace(task("gate-7", Split.GATE), id=name) for name in ("gate-7", "log.v2", "log.v2.1", "xyz")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gate-7", ["gate-7"]),
        ("see gate-7.", ["gate-7"]),
        ("gate-77 agate-7 gate-7x _gate-7", []),
        ("tasks/gate-7/log.v2", ["gate-7", "log.v2"]),
        ("log.v2.1 a.log.v2.b", ["log.v2.1", "log.v2"]),
        ("xyz", []),
    ],
)
def test_ids_of_tasks_are_found_where_they_stand_alone(text: str, names: list[str]) -> None:
    seen = flags({}, {"prompts/p.md": f"\n{text}\n".encode()}, IDS)
    assert [(flag.what, flag.line) for flag in seen] == [(name, 2) for name in names]


@pytest.mark.parametrize(("piece", "kind"), [("noqa\n", "checks switched off"), ("curl\n", "network")])
def test_every_line_of_a_large_file_is_flagged_with_its_number(starter: FlagFinder, piece: str, kind: str) -> None:
    lines = (256 << 10) // len(piece)
    seen = starter.find({}, {"prompts/p.md": (piece * lines).encode()}, {})
    assert [(flag.kind, flag.line) for flag in seen] == [(kind, line) for line in range(1, lines + 1)]


@pytest.mark.parametrize("piece", ["git ", "type: ", "verify ", "gate-7.", "a.", "# type:" + " " * 400, "\x85"])
def test_a_large_file_that_repeats_the_beginning_of_a_pattern_is_searched(starter: FlagFinder, piece: str) -> None:
    body = (piece * ((256 << 10) // len(piece.encode()))).encode()
    assert starter.find({}, {"prompts/p.md": body + b"\nnoqa"}, {})[-1].what == "noqa"


def test_prompts_are_searched_word_by_word() -> None:
    assert found("", "Run `curl https://example.org` first.", "prompts/solve.md")


@given(st.binary(max_size=300), st.sampled_from(["a.py", "a.md"]))
def test_no_content_makes_the_search_fail(body: bytes, path: str) -> None:
    for flag in flags({}, {path: body}):
        assert str(flag).isprintable()


def test_a_long_list_is_counted() -> None:
    line = in_one_line([f"flag {n}" for n in range(SHOWN + 3)])
    assert line.endswith("and 3 more")
