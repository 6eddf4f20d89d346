"""The read-only areas of a box: how files reach them, and why a candidate cannot write there.

* A shared folder: our disk is the engine's, and the folder is mounted read-only.
* A volume: the engine makes one for the box and removes it with the box. Files are sent through the engine's API, which
  unpacks them as root. The mount is writable, which the API requires, but folder and files are root's and their modes
  give nobody else a right to write. A box never runs as root, has no capability and can gain none, and cannot mount.
"""

from __future__ import annotations

import asyncio
import errno
import io
import tarfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from docker.errors import NotFound

from agent.base.errors import CandidateFault, SandboxDown
from agent.base.types import Files
from sandbox import frames
from sandbox.engine import ENGINE_ERRORS, brief

MOUNTED = "/run/ratchet"
"""Where a box sees its areas; the image has links to it."""

READ_ONLY = ("/scaffold", "/task", "/tests")
CONFLICTS = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG})


class Areas(Protocol):
    """The read-only areas of one box."""

    async def put(self, files: Files, root: str) -> None:
        """Put files below one of `READ_ONLY`.

        Raises:
            CandidateFault: the paths cannot be.
            SandboxDown: the files cannot be kept.
        """
        ...

    async def arrive(self) -> None:
        """Return when a command that starts now sees all that was put. Raises SandboxDown."""
        ...


class SharedAreas:
    """Areas in a folder of this machine that the box has mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, files: Files, root: str) -> None:
        """Write them at once."""
        await asyncio.to_thread(self._write, _checked(files), root)

    async def arrive(self) -> None:
        """They are there."""

    def _write(self, files: Files, root: str) -> None:
        for path, content in files.items():
            try:
                _write(self._folder / root[1:], path, content)
            except OSError as error:
                kind = CandidateFault if error.errno in CONFLICTS else SandboxDown
                raise kind(f"cannot write {root}/{path}: {error.strerror}") from error


class SentAreas:
    """Areas in a volume of the engine. What is put is sent at once before the next command: each way there takes time.

    Args:
        send: unpacks an archive at `MOUNTED`.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[Any]]) -> None:
        self._send = send
        self._kinds: dict[str, bytes] = {}
        self._waiting: dict[str, bytes] | None = {}
        for root in READ_ONLY:
            self._kinds[root[1:]] = tarfile.DIRTYPE

    async def put(self, files: Files, root: str) -> None:
        """Keep them until the next command."""
        self._waiting = self._waiting or {}
        for path, content in _checked(files).items():
            self._place(f"{root[1:]}/{path}")
            self._waiting[f"{root[1:]}/{path}"] = content

    async def arrive(self) -> None:
        """Send what waits; before the first command also the empty areas."""
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        folders = [path for path, kind in self._kinds.items() if kind == tarfile.DIRTYPE]
        archive = await asyncio.to_thread(_pack, folders, waiting)
        try:
            await self._send(archive)
        except NotFound as error:
            raise SandboxDown("a box was removed from outside") from error
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"files cannot be sent to a box: {brief(error)}") from error

    def _place(self, path: str) -> None:
        """Note a file and its folders. Raises CandidateFault if a path is used as both."""
        for parent in _parents(path):
            if self._kinds.setdefault(parent, tarfile.DIRTYPE) != tarfile.DIRTYPE:
                raise CandidateFault(f"cannot write /{path}: /{parent} is a file")
        if self._kinds.setdefault(path, tarfile.REGTYPE) != tarfile.REGTYPE:
            raise CandidateFault(f"cannot write /{path}: it is a folder")


def _checked(files: Files) -> Files:
    for path in files:
        if fault := frames.crossing_fault(path):
            raise CandidateFault(f"path {path!r} {fault}")
    return files


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def _pack(folders: list[str], files: Files) -> bytes:
    """An archive whose members are root's, and nobody else's to write."""
    out, now = io.BytesIO(), int(time.time())
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in folders:
            member = tarfile.TarInfo(folder)
            member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, now
            tar.addfile(member)
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.mtime = len(content), _mode(content), now
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _mode(content: bytes) -> int:
    return 0o755 if isinstance(content, frames.Executable) else 0o644


def _write(area: Path, path: str, content: bytes) -> None:
    """One file, readable in the box whatever our umask is."""
    folder = area
    for part in path.split("/")[:-1]:
        folder /= part
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
    target = area / path
    target.write_bytes(content)
    target.chmod(_mode(content))
