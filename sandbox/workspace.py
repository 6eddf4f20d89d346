"""The workspace of a box, from inside: files in, files out, names of what is left. Standard library only.

What a command left there is hostile: links are never followed, and nothing but plain files goes out.
"""

# ruff: noqa: PTH102, PTH106, PTH108, PTH112, PTH114, PTH123, PTH208 - pathlib would cost every box its import

from __future__ import annotations

import os

from sandbox import frames
from sandbox.globs import matcher
from sandbox.light import suppress

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = "/workspace"


def put(archive: bytes, root: str = ROOT) -> None:
    """Write plain files below the workspace; what is in the way is replaced."""
    for path, content in frames.from_host(archive).items():
        *folders, name = path.split("/")
        folder = root
        for part in folders:
            folder += "/" + part
            clear(folder, keep_folder=True)
            with suppress(FileExistsError):
                os.mkdir(folder)
        target = folder + "/" + name
        clear(target, keep_folder=False)
        mode = 0o755 if isinstance(content, frames.Executable) else 0o644
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(handle, "wb") as file:
            file.write(content)


def clear(path: str, *, keep_folder: bool) -> None:
    """Make way for a file or a folder at `path`."""
    if os.path.isdir(path) and not os.path.islink(path):
        if keep_folder:
            return
        for name in os.listdir(path):
            clear(path + "/" + name, keep_folder=False)
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def take(globs: list[str], without: list[str], max_files: int, max_bytes: int, root: str = ROOT) -> bytes:
    """Plain files below a folder that match, as a tar; nothing that matches `without`, nor below such a folder.

    Raises:
        frames.Malformed: a match is not a plain file, has an unusable name, or there is too much.
    """
    matches, left = matcher(globs), max_bytes
    found: dict[str, bytes] = {}
    for entry, path in walk(root, matcher(without)):
        if path.endswith("/") or not matches(path):
            continue
        fault = frames.crossing_fault(path)
        if fault or not entry.is_file(follow_symlinks=False):
            raise frames.Malformed(f"{path!r} {fault or 'is not a plain file'}")
        about = entry.stat(follow_symlinks=False)
        left -= about.st_size
        if left < 0 or len(found) >= max_files:
            raise frames.Malformed(f"more than {max_files} files or {max_bytes} bytes match {', '.join(globs)}")
        with open(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            content = file.read()
        found[path] = frames.Executable(content) if about.st_mode & 0o100 else content
    return frames.to_tar(found)


def names(without: list[str], most: int) -> bytes:
    """Paths of the first so many files of the workspace, a zero byte behind each; what is not UTF-8 is escaped.

    A folder that matches `without` is one path, which ends in `/`.
    """
    found: list[bytes] = []
    for _, path in walk(ROOT, matcher(without)):
        if len(found) >= most:
            break
        found.append(path.encode(errors="backslashreplace") + b"\0")
    return b"".join(found)


def walk(root: str, skipped: Callable[[str], bool]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every entry below a folder except folders, with its relative path; links are not followed.

    What is `skipped` is left out; a folder is then one entry, whose path ends in `/`.
    """
    stack = [root]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                path = entry.path[len(root) + 1 :]
                if entry.is_dir(follow_symlinks=False):
                    if skipped(path):
                        yield entry, path + "/"
                    else:
                        stack.append(entry.path)
                elif not skipped(path):
                    yield entry, path
