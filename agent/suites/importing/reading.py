"""Reads untrusted sources: bounded, links refused, every complaint with file and line.

Covered: links, special files, names that reach outside, bytes that are not UTF-8, control characters, duplicate
keys, NaN, deep nesting, endless files and lines, compressed bombs.
"""

from __future__ import annotations

import gzip
import json
import os
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.base.yaml import read_text
from agent.suites import tree
from agent.suites.importing.draft import Unsupported

MAX_LINE_BYTES = 8 << 20
MAX_STREAM_BYTES = 1 << 30
MAX_FOLDERS = 200_000
MAX_FOLDER_DEPTH = 32
MAX_INTEGER_DIGITS = 100
SKIPPED = frozenset({".git", ".github", "node_modules", "__pycache__", ".pytest_cache", ".venv"})
"""Folders in which no task is looked for."""


def tasks_below(source: Path, marker: str) -> Iterator[Path]:
    """Every folder below `source`, or itself, in which the file `marker` stands; in the order of their names.

    Raises:
        UserError: a task is reached through a link, or there are too many folders.
    """
    waiting, seen = [str(source)], 0
    while waiting:
        folder = waiting.pop()
        seen += 1
        if seen > MAX_FOLDERS or folder.count("/") - str(source).count("/") > MAX_FOLDER_DEPTH:
            raise UserError(str(source), "holds too many folders, or too deep ones", "Name the folder of the tasks.")
        if os.path.lexists(f"{folder}/{marker}"):
            yield Path(folder)
            continue
        waiting += reversed(_folders(folder, marker))


def _folders(folder: str, marker: str) -> list[str]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(folder, f"cannot be read ({error.strerror})", "Make it readable.") from error
    found = []
    for entry in entries:
        if entry.name in SKIPPED or not entry.is_dir():
            continue
        if fault := tree.suite_path_fault(entry.name):
            raise UserError(f"{entry.path!r:.200}", fault, "Rename the folder.")
        if entry.is_symlink():
            if os.path.lexists(f"{entry.path}/{marker}"):
                raise UserError(entry.path, "is a link to a task", "Put the folder itself there.")
            continue
        found.append(entry.path)
    return found


def folder(root: Path, only: frozenset[str] | None = None) -> dict[str, bytes]:
    """Every file below a folder, by its path in it; `only` names what belongs to a task at its top.

    Raises:
        Unsupported: there is more than a box is given.
        UserError: anything but plain files.
    """
    try:
        found = tree.read_folder(str(root), only)
    except tree.TooMuch as error:
        raise Unsupported(str(error)) from error
    except tree.BadTree as error:
        raise UserError(str(root), str(error), "Fix it there, or take the task out.") from error
    if pair := tree.collision(found):
        problem = f"{pair[0]!r} and {pair[1]!r} are one name where case or accents do not count"
        raise UserError(str(root), problem, "Rename one of them.")
    return found


def text(files: dict[str, bytes], path: str, root: Path) -> str:
    """One of the files as text. Raises UserError with the line that is not UTF-8."""
    content = files[path]
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{root / path} line {line}", "is not UTF-8 text", "Save it as UTF-8.") from error


def scripts(files: dict[str, bytes], paths: Sequence[str], root: Path) -> dict[str, str]:
    """Reference scripts as text, so that nothing of a task is lost. Raises Unsupported for what is not text."""
    try:
        return {path: text(files, path, root) for path in paths}
    except UserError as error:
        raise Unsupported(f"{Path(error.field).name}: {error.problem}") from error


def json_file(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UserError."""
    return json_object(read_text(path), str(path), 1)


def json_object(said: str, where: str, line: int) -> dict[str, Any]:
    """The object in a JSON text that begins in a line of a file. Raises UserError with file and line."""
    try:
        value = json.loads(
            said, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_bounded_integer
        )
    except json.JSONDecodeError as error:
        place = f"{where} line {line + error.lineno - 1}"
        raise UserError(place, f"is not JSON ({error.msg}, column {error.colno})", "Fix it there.") from error
    except (ValueError, RecursionError) as error:
        problem = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{where} line {line}", problem, "Fix it there.") from error
    if not isinstance(value, dict):
        raise UserError(f"{where} line {line}", "is not a JSON object", "Write one object.")
    return value


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"has the key {next(n for n in names if names.count(n) > 1)!r:.60} twice")
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"holds {word}, which is not a number")


def _bounded_integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise ValueError("holds a number of more than 100 digits")
    return int(digits)


def toml_file(path: Path) -> dict[str, Any]:
    """The tables in a TOML file. Raises UserError; its text says line and column."""
    said = read_text(path)
    try:
        return tomllib.loads(said)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        problem = "is nested too deeply" if isinstance(error, RecursionError) else f"is not TOML ({error})"
        raise UserError(str(path), problem, "Fix it there.") from error


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file, plain or gzip, each with its line; never more than one line is in memory.

    Raises:
        UserError: names file and line.
    """
    if path.is_symlink() or not path.is_file():
        raise UserError(str(path), "is not a plain file", "Name the JSONL file itself.")
    left = MAX_STREAM_BYTES
    for number, raw in _lines(path):
        left -= len(raw)
        if len(raw) > MAX_LINE_BYTES or left < 0:
            limit = f"{MAX_LINE_BYTES >> 20} MiB a line or {MAX_STREAM_BYTES >> 30} GiB in all"
            raise UserError(f"{path} line {number}", f"more than {limit}", "Split the file.")
        try:
            said = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise UserError(f"{path} line {number}", "is not UTF-8 text", "Save it as UTF-8.") from error
        if said:
            yield number, json_object(said, str(path), number)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with _opened(path) as stream:
            while raw := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield number, raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} line {number + 1}", f"cannot be read ({error})", "Fix the file.") from error


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def need_text(row: dict[str, Any], key: str, where: str) -> str:
    """A text that must be there. Raises UserError."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        problem = "is missing" if key not in row else "is not text" if not isinstance(value, str) else "is empty"
        raise UserError(f"{where}: {key}", problem, "Write it there.")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise UserError(f"{where}: {key}", "holds NUL or half of a character", "Fix it there.")
    return value


def texts(row: dict[str, Any], key: str, where: str) -> list[str]:
    """A list of texts; empty if the key is not there. Raises UserError."""
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{where}: {key}", "is not a list of texts", "Write a list of texts.")
    if any("\0" in item or any("\ud800" <= c <= "\udfff" for c in item) for item in value):
        raise UserError(f"{where}: {key}", "holds NUL or half of a character", "Fix it there.")
    return value
