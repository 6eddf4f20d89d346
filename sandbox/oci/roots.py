"""The trees of images, unpacked once and kept in the user's cache, each under its image's id.

The engine writes the archive of a tree from a container that it made of the image. It holds no set-user-id bits here,
and the folder is closed to other users of this machine.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import docker
from docker.errors import ImageNotFound

from agent.base.errors import SandboxDown
from sandbox.engine import ENGINE_ERRORS, brief, connect

PLACES = (("proc",), ("sys",), ("dev",), ("tmp",), ("workspace",), ("run", "ratchet"))
"""Folders on which a box has something mounted."""

HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tbox\n"
NETWORK_FILES = {"hosts": HOSTS, "hostname": "box\n", "resolv.conf": ""}
UNUSED_SECONDS = 30 * 24 * 3600
EXPORT_SECONDS = 600
TRIES = 3
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

Say = Callable[[str], None]


class Root:
    """The tree of one image, kept while this object is open, and the environment that the image wants.

    Raises:
        FileNotFoundError: it was removed in this moment.
    """

    def __init__(self, folder: Path, env: tuple[str, ...]) -> None:
        self.tree, self.env = folder / "root", env
        self._lock = _locked(folder / "lock", fcntl.LOCK_SH)
        os.utime(self._lock)

    def close(self) -> None:
        """Let it go: once it was not used for long, it is removed."""
        os.close(self._lock)


def cache_folder() -> Path:
    """Where the trees are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ratchet" / "roots"


def open_root(image: str, *, say: Say = lambda _line: None) -> Root:
    """The tree of an image of the engine, unpacked if it is not there yet.

    Args:
        image: its tag.
        say: told in one line what takes long.

    Raises:
        SandboxDown: the engine does not answer, has no such image, or the tree cannot be written.
    """
    client = connect(timeout=EXPORT_SECONDS)
    try:
        about: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
        folder = cache_folder() / _name(about["Id"])
        env = tuple((about.get("Config") or {}).get("Env") or ())
        for _ in range(TRIES):
            if not folder.exists():
                say(f"image: unpacking {image} for boxes.engine: oci, once")
                _make(client, about["Id"], folder)
            with suppress(FileNotFoundError):
                return Root(folder, env)
        raise SandboxDown(f"image {image} cannot be unpacked: its tree was removed {TRIES} times")
    except ImageNotFound as error:
        raise SandboxDown(f"image {image} is gone") from error
    except (tarfile.TarError, *ENGINE_ERRORS) as error:
        raise SandboxDown(f"image {image} cannot be unpacked: {brief(error)}") from error
    finally:
        client.close()


def _locked(path: Path, how: int) -> int:
    """The lock of a tree, held.

    Raises:
        FileNotFoundError: while we waited, the tree was removed; another may have its name.
        OSError: it cannot be had.
    """
    held = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(held, how)
        there = os.path.samestat(os.fstat(held), path.stat())
    except BaseException:
        os.close(held)
        raise
    if not there:
        os.close(held)
        raise FileNotFoundError(errno.ENOENT, "the tree was removed", str(path))
    return held


def unpack_root(image: str, say: Say) -> None:
    """Unpack an image ahead of its first box. Raises SandboxDown."""
    open_root(image, say=say).close()


def _name(image: str) -> str:
    """Of the folder: another for each image, and for each version of what is added to it."""
    return hashlib.sha256(repr((image, PLACES, NETWORK_FILES)).encode()).hexdigest()[:24]


def _make(client: docker.APIClient, image: str, folder: Path) -> None:
    """Unpack beside, then rename: a tree that is there is whole."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _drop_unused(folder.parent)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        (beside / "lock").touch()
        (beside / "root").mkdir(mode=0o755)
        _unpack(client, image, beside / "root")
        _furnish(beside / "root")
        with suppress(OSError):  # another process was quicker
            beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unpack(client: docker.APIClient, image: str, root: Path) -> None:
    container = client.create_container(image, ["none"], network_disabled=True)["Id"]
    try:
        stream = _Stream(client.export(container))
        with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as tar:
            tar.extractall(root, numeric_owner=True, filter=_plain)  # noqa: S202 - filtered
    finally:
        client.remove_container(container, force=True, v=True)


def _plain(member: tarfile.TarInfo, root: str) -> tarfile.TarInfo | None:
    """What a tree may hold. Raises tarfile.FilterError for what would lead out of it."""
    if member.isdev() and not member.isfifo():
        return None
    if member.islnk():
        tarfile.data_filter(member.replace(deep=False, mode=0o644), root)
    checked = tarfile.tar_filter(member, root)
    return checked.replace(mode=member.mode & 0o1777, deep=False)


def _furnish(root: Path) -> None:
    """What an engine adds to a container: folders to mount on, and the files of its network. No link is followed."""
    for place in PLACES:
        with suppress(NotADirectoryError), _folder(root, *place):
            pass
    with suppress(NotADirectoryError), _folder(root, "etc") as etc:
        for name, text in NETWORK_FILES.items():
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=etc)
            with os.fdopen(os.open(name, NEW_FILE, 0o644, dir_fd=etc), "w", encoding="ascii") as file:
                file.write(text)


@contextmanager
def _folder(root: Path, *parts: str) -> Iterator[int]:
    """A folder of a tree, open, and made where it is not there. Raises NotADirectoryError for a link."""
    at = os.open(root, FOLDER)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=at)
            above, at = at, os.open(part, FOLDER, dir_fd=at)
            os.close(above)
        yield at
    finally:
        os.close(at)


def _drop_unused(cache: Path) -> None:
    """Remove trees that nothing has used for a long time, and what a process that was killed left half made."""
    for folder in cache.iterdir():
        with suppress(OSError):
            age = time.time() - (folder / "lock").stat().st_mtime
            if age < UNUSED_SECONDS:
                continue
            lock = _locked(folder / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                _drop(folder)
            finally:
                os.close(lock)


def _drop(folder: Path) -> None:
    """Remove a tree: first its name, since what has the name is whole. Raises OSError."""
    gone = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
    folder.rename(gone)
    shutil.rmtree(gone / "root", ignore_errors=True)
    shutil.rmtree(gone, ignore_errors=True)  # the lock last: by it, the next process finds what we leave if killed


class _Stream:
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
