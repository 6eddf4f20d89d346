"""A plain folder with pytest tests: one task, or one task in each of its folders.

`README.md` or `instruction.md` asks, `tests/`, `test_*.py` and `*_test.py` are hidden, `solution/` is the reference,
everything else is the starting state.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from agent.base.errors import UserError
from agent.suites import tree
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, literal, task_id, with_image
from agent.suites.importing.pytests import pytest_settings
from agent.suites.importing.reading import SKIPPED, folder, text

_INSTRUCTIONS = ("instruction.md", "INSTRUCTIONS.md", "instructions.md", "README.md")
_TEST = re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py")
_HIDDEN = re.compile(r"(?:.*/)?(?:test_[^/]*\.py|[^/]*_test\.py|conftest\.py)|tests?/.*")


class PytestFolder:
    """A folder per task, or the one task of a folder."""

    kind = "pytest"
    about = "a folder with pytest tests, or a folder of such folders"

    def recognises(self, source: Path) -> bool:
        """By a test file in the folder, in its `tests/`, or in a folder below."""
        return source.is_dir() and any(_has_tests(root) for root in (source, *_inside(source)))

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task if the folder itself has tests, else one for each folder in it."""
        roots = [source] if _has_tests(source) else _inside(source)
        for root in roots:
            name = task_id(root.resolve().name)
            try:
                yield _task(root, name, options)
            except Unsupported as reason:
                yield Refusal(id=name, origin=root.name, feature=str(reason))


def _inside(source: Path) -> list[Path]:
    """The folders in a folder. Raises UserError for a link to one."""
    found = []
    for path in sorted(source.iterdir()):
        if path.name in SKIPPED or path.name.startswith(".") or not path.is_dir():
            continue
        if fault := tree.suite_path_fault(path.name):
            raise UserError(f"{str(path)!r:.200}", fault, "Rename the folder.")
        if path.is_symlink():
            raise UserError(str(path), "is a link", "Put the folder itself there.")
        found.append(path)
    return found


def _has_tests(root: Path) -> bool:
    for place in (root, root / "tests", root / "test"):
        if place.is_dir() and any(_TEST.fullmatch(name) for name in os.listdir(place)):  # noqa: PTH208 - names only
            return True
    return False


def _task(root: Path, name: str, options: Options) -> Draft:
    every = folder(root)
    asks = next((path for path in _INSTRUCTIONS if path in every), None)
    if asks is None:
        raise Unsupported(f"no {' or '.join(_INSTRUCTIONS)}")
    solution = {path.removeprefix("solution/"): body for path, body in every.items() if path.startswith("solution/")}
    hidden = {
        path: body for path, body in every.items() if _HIDDEN.fullmatch(path) and not path.startswith("solution/")
    }
    left = {path for path in every if path not in hidden and not path.startswith("solution/") and path != asks}
    tests = [path for path in hidden if _TEST.fullmatch(path)]
    return Draft(
        id=name,
        origin=root.name,
        instruction=text(every, asks, root),
        files={path: every[path] for path in left},
        tests=hidden,
        solution=solution,
        settings=with_image(
            {
                "submit": [literal(path) for path in sorted({*left, *solution})],
                **pytest_settings(hidden, tests, root.name),
            },
            None,
            options,
        ),
    )
