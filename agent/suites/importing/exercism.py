"""Exercism tracks and aider's polyglot benchmark: a folder per exercise with `.meta/config.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from agent.base.errors import UserError
from agent.suites import tree
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, literal, task_id, with_image
from agent.suites.importing.pytests import pytest_settings
from agent.suites.importing.reading import folder, json_file, tasks_below, text, texts

CONFIG = ".meta/config.json"
_DOCS = (".docs/introduction.md", ".docs/instructions.md", ".docs/instructions.append.md")
_NOT_STARTING = (".meta/", ".docs/", ".approaches/", ".articles/", ".exercism/")
_DROPPED = frozenset({"exercises", "practice", "concept"})
_LOOK_AT = 2000
"""How many folders are looked at to recognise a source."""


class Exercism:
    """One exercise a folder, anywhere below the source."""

    kind = "exercism"
    about = "folders with .meta/config.json, of Exercism or of aider's polyglot benchmark"

    def recognises(self, source: Path) -> bool:
        """By the first exercise that is found."""
        return source.is_dir() and next(tasks_below(source, CONFIG), None) is not None

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """Every exercise, in the order of their paths."""
        for root in tasks_below(source, CONFIG):
            inside = root.relative_to(source).as_posix()
            parts = [part for part in PurePosixPath(inside).parts if part not in _DROPPED]
            name = task_id(*parts) if parts else task_id(source.resolve().name)
            try:
                yield _exercise(root, name, inside, options)
            except Unsupported as reason:
                yield Refusal(id=name, origin=inside, feature=str(reason))


def _exercise(root: Path, name: str, origin: str, options: Options) -> Draft:
    config = json_file(root / CONFIG)
    files = folder(root)
    roles = config.get("files")
    if not isinstance(roles, dict):
        raise UserError(f"{root / CONFIG}: files", "is not an object", "Name solution, test and example there.")
    solution = _listed(roles, "solution", files, root, needed=False)
    tests = _listed(roles, "test", files, root, needed=True)
    examples = [path for role in ("example", "exemplar") for path in _listed(roles, role, files, root, needed=True)]
    if not solution or not tests:
        raise Unsupported(f"{CONFIG}: no {'solution' if not solution else 'test'} files are named")
    hidden = {path: files[path] for path in files if path in tests or _is_conftest(path)}
    starting = {path: body for path, body in files.items() if not path.startswith(_NOT_STARTING) and path not in hidden}
    return Draft(
        id=name,
        origin=origin,
        instruction=_instruction(root, files, solution),
        files=starting,
        tests=hidden,
        solution=_references(files, solution, examples),
        settings=with_image(
            {"submit": [literal(path) for path in solution], **_check(tests, hidden, root, options)}, None, options
        ),
        meta={"exercism": config},
    )


def _is_conftest(path: str) -> bool:
    return path.rpartition("/")[2] == "conftest.py"


def _listed(roles: Mapping[str, Any], role: str, files: Mapping[str, bytes], root: Path, *, needed: bool) -> list[str]:
    """The files of a role. Raises UserError for a path that reaches outside or, if needed, is not there."""
    where = f"{root / CONFIG}: files"
    found = texts(dict(roles), role, where)
    for path in found:
        if fault := tree.suite_path_fault(path):
            raise UserError(f"{where}.{role}", f"{path!r:.80} {fault}", "Name a path inside the exercise.")
        if needed and path not in files:
            raise UserError(f"{where}.{role}", f"{path!r:.80} is not there", "Fix the path, or add the file.")
    return found


def _instruction(root: Path, files: dict[str, bytes], solution: list[str]) -> str:
    said = [text(files, path, root).strip() for path in _DOCS if path in files]
    if not said:
        raise Unsupported("no .docs/instructions.md")
    where = " and ".join(f"`{path}`" for path in solution)
    return "\n\n".join([*said, f"Write your solution in {where}."]) + "\n"


def _references(files: Mapping[str, bytes], solution: list[str], examples: list[str]) -> dict[str, bytes]:
    """The example for each solution file: by name, else by ending, where that is not a guess."""
    found: dict[str, bytes] = {}
    for example in examples:
        name, suffix = PurePosixPath(example).name, PurePosixPath(example).suffix
        same = [path for path in solution if PurePosixPath(path).name == name]
        alike = same or [path for path in solution if PurePosixPath(path).suffix == suffix and path not in found]
        if len(alike) != 1:
            raise Unsupported(f"{CONFIG}: it is not clear which solution file {example!r} stands for")
        found[alike[0]] = files[example]
    return found


def _check(tests: list[str], hidden: Mapping[str, bytes], root: Path, options: Options) -> dict[str, Any]:
    if options.check is not None:
        return {"check": options.check, "reward": "exit", "check_timeout": 120.0}
    others = sorted({PurePosixPath(path).suffix for path in tests} - {".py"})
    if others:
        raise Unsupported(f"tests in {' and '.join(others)} files: no check is known for them; give one with --check")
    return pytest_settings(hidden, tests, root.name)
