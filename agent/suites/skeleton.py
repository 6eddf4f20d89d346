"""Writes a small suite, or one more task into a suite: complete, so that it passes `ratchet tasks check` as it is."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from pathlib import Path

from agent.base.errors import UserError
from agent.base.types import Split
from agent.base.yaml import dump
from agent.suites.loader import load_suite

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SUITE = """\
# A suite of tasks. docs/suites.md explains every field; `ratchet tasks schema suite` prints the schema for editors.
{name}
description: one line that says what it measures
defaults:
  submit: [solution.py]
  check: [python3, -I, -m, ratchet_check, test_solution.py]
  solve_timeout: 120
  check_timeout: 20
# Tasks are in folders beside this file: `ratchet tasks new {path}/NAME` writes one more.
"""
_TASK = """\
# The folder's name is the task's id. instruction.md, files/, tests/ and solution/ are found by name.
split: {split}  # search: the improver sees it; gate: decides; holdout: only reported
tags: [example]
junit: 3  # how many hidden tests the reference solution passes
"""
_INSTRUCTION = """\
Write a Python function `{function}(numbers)` in `solution.py` that returns the sum of the even numbers.

>>> {function}([1, 2, 3, 4])
6
"""
_STARTER = """\
def {function}(numbers):
    raise NotImplementedError
"""
_TESTS = """\
from ratchet_check import remote

{function} = remote("solution.py", "{function}")


def test_nothing():
    assert {function}([]) == 0


def test_only_odd():
    assert {function}([1, 3, 5]) == 0


def test_negative():
    assert {function}([-2, 7, 10]) == 8
"""
_SOLUTION = """\
def {function}(numbers):
    return sum(n for n in numbers if n % 2 == 0)
"""
_FILES = {
    "task.yaml": _TASK,
    "instruction.md": _INSTRUCTION,
    "files/solution.py": _STARTER,
    "tests/test_solution.py": _TESTS,
    "solution/solution.py": _SOLUTION,
}


def write_new(path: Path) -> list[Path]:
    """Write a suite with a task for each split, or, inside a suite's folder, one more task; returns what was written.

    Raises:
        UserError: something is there already, the name is not an id, or the suite around it cannot be read.
    """
    if path.exists():
        raise UserError(str(path), "exists already", "Name a new folder.")
    path = path.resolve()
    if not _ID.fullmatch(path.name):
        raise UserError(
            path.name, "is not a plain name", "Use 1 to 64 of a-z, 0-9, '.', '_', '-'; begin with a-z or 0-9."
        )
    inside = (path.parent / "suite.yaml").exists()
    try:
        return _write_task(path, _next_split(path.parent)) if inside else _write_suite(path)
    except OSError as error:
        raise UserError(
            str(path), f"cannot be written ({error.strerror})", "Name a folder that you may write."
        ) from error


def _write_suite(path: Path) -> list[Path]:
    path.mkdir(parents=True)
    head = path / "suite.yaml"
    head.write_text(_SUITE.format(name=dump({"name": path.name}).rstrip(), path=path.name), encoding="utf-8")
    tasks = [_write_task(path / f"example-{split}", split) for split in Split]
    return [head, *(file for files in tasks for file in files)]


def _next_split(suite: Path) -> Split:
    """The split that has the fewest tasks."""
    count = Counter(task.split for task in load_suite(suite).tasks)
    return min(Split, key=lambda split: count[split])


def _write_task(folder: Path, split: Split) -> list[Path]:
    function = re.sub(r"\W", "_", f"{folder.name}")
    if not function.isidentifier() or keyword.iskeyword(function):
        function = f"task_{function}"
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.format(function=function, split=split), encoding="utf-8")
    return [folder / name for name in _FILES]
