"""Files of a task: paths that may cross the wall of a box, and folders read as plain files only."""

from __future__ import annotations

import operator
import os
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from agent.base.yaml import read_plain
from sandbox import frames

MAX_FOLDER_BYTES = 8 << 20
MAX_FOLDER_FILES = 4096
LEFTOVERS = frozenset({"__pycache__", ".pytest_cache", ".DS_Store"})
"""What tools leave in a folder by themselves: never part of a task."""


class BadTree(ValueError):
    """What is wrong with a path or a folder, in words for its author."""


class TooMuch(BadTree):
    """A folder of more files or bytes than a box is given for each run."""


@lru_cache(maxsize=4096)
def suite_path_fault(path: str) -> str | None:
    """Why a path may not be in a task, or None if it may."""
    if path.startswith("/"):
        return "is absolute"
    if "\\" in path:
        return "has a backslash"
    if ".git" in path.lower().split("/"):
        return "reaches into .git"
    return frames.crossing_fault(path)


def glob_fault(glob: str) -> str | None:
    """Why a glob may not be in `submit`, or None if it may."""
    return suite_path_fault(glob.removeprefix("./").removesuffix("/"))


def plain(path: str) -> str:
    """The path itself. Raises BadTree."""
    if fault := suite_path_fault(path):
        raise BadTree(f"{path!r:.80} {fault}; use a plain path inside the workspace")
    return path


def read_folder(root: str, only: frozenset[str] | None = None) -> dict[str, bytes]:
    """Every file below a folder that `inside` has found, by its path in it; `only` names what counts at its top.

    Raises:
        BadTree: no folder, a link, a special file, a bad name, or too much.
        UserError: a file cannot be read.
    """
    found: dict[str, bytes] = {}
    left = MAX_FOLDER_BYTES
    for path, name in _walk(root, "", only):
        found[plain(name)] = content = read_plain(path, MAX_FOLDER_BYTES)
        left -= len(content)
        if left < 0 or len(found) > MAX_FOLDER_FILES:
            raise TooMuch(
                f"more than {MAX_FOLDER_FILES} files or {MAX_FOLDER_BYTES >> 20} MiB; put large data into an image"
            )
    return found


_name = operator.attrgetter("name")


def _walk(folder: str, below: str, only: frozenset[str] | None = None) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=_name)
    except OSError as error:
        raise BadTree(f"{folder.rpartition('/')[2]!r} is not a readable folder ({error.strerror})") from error
    for entry in entries:
        name = f"{below}{entry.name}"
        if entry.name in LEFTOVERS or (only is not None and entry.name not in only):
            continue
        if entry.is_symlink():
            raise BadTree(f"{name!r} is a link; put the file itself there")
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{plain(name)}/")
        elif entry.is_file(follow_symlinks=False):
            yield entry.path, name
        else:
            raise BadTree(f"{name!r} is a special file; use plain files")


def inside(folder: Path, name: str) -> str:
    """A file or folder beside the YAML file, reached through no link. Raises BadTree."""
    at = str(folder)
    for part in plain(name.removesuffix("/")).split("/"):
        at = f"{at}/{part}"
        if os.path.islink(at):  # noqa: PTH114
            raise BadTree(f"{name!r} leads through a link; put the files themselves there")
    return at


def collision(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two paths that some file system takes for one (equal under NFC and case folding), if there are any."""
    seen: dict[str, str] = {}
    for path in paths:
        cut = len(path)
        while cut > 0:
            prefix = path[:cut]
            if (other := seen.setdefault(_folded(prefix), prefix)) != prefix:
                return other, prefix
            cut = path.rfind("/", 0, cut)
    return None


def file_as_folder(paths: Iterable[str]) -> str | None:
    """A path that is a file and also a folder of another one, if there is any."""
    every = set(paths)
    return next((p[:at] for p in every for at, c in enumerate(p) if c == "/" and p[:at] in every), None)


@lru_cache(maxsize=4096)
def _folded(path: str) -> str:
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
