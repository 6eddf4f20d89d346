"""Copies the root of an image into a machine: with owners, modes and times, and without what is mounted in it.

Runs before any code of a candidate, as a process that may read every file. Standard library only; a copy lies in the
image.
"""

# ruff: noqa: PTH101, PTH102, PTH115, PTH116, PTH211 - pathlib would cost every box its import

from __future__ import annotations

import os
import stat

from sandbox.privileges import file_owner

IDS = 65_536
TOOLS, AREAS, TESTS = "/usr/lib/ratchet", "/run/ratchet", "/tests"
SHARED = ("/proc", "/sys", "/dev", AREAS)
READ_ONLY = ("scaffold", "task")
PLACES = frozenset({*SHARED, TOOLS, *(f"/{area}" for area in READ_ONLY), TESTS})
"""Folders of the new root that the image does not fill."""


def copied(root: int, owner: int) -> dict[str, int]:
    """Copy the image's root below an open folder; returns each path with its new inode."""
    copier = _Copier(f"/proc/self/fd/{root}", owner)
    # New files belong to root inside; as an id that is not of the machine none could be made.
    with file_owner(owner):
        copier.folder("")
    return copier.base


class _Copier:
    """Copies files, folders and links with owners, modes and times. What is mounted in the image stays out."""

    def __init__(self, target: str, owner: int) -> None:
        self._target, self._owner, self._device = target, owner, os.stat("/").st_dev
        self.base: dict[str, int] = {}
        self._linked: dict[tuple[int, int], str] = {}

    def folder(self, path: str) -> None:
        """Copy what is in a folder that stands there already."""
        with os.scandir(path or "/") as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            self._entry(f"{path}/{entry.name}", entry.stat(follow_symlinks=False))

    def _entry(self, path: str, about: os.stat_result) -> None:
        target, mode = self._target + path, about.st_mode
        if path in PLACES or stat.S_ISDIR(mode):
            self._directory(path, target, about)
        elif stat.S_ISREG(mode):
            self._file(path, target, about)
        elif stat.S_ISLNK(mode):
            os.symlink(os.readlink(path), target)
            self._own(target, about)
        elif stat.S_ISFIFO(mode):
            os.mkfifo(target)
            self._own(target, about)
        else:
            return
        self.base[path] = os.lstat(target).st_ino

    def _directory(self, path: str, target: str, about: os.stat_result) -> None:
        os.mkdir(target, 0o755)
        if path in PLACES or not stat.S_ISDIR(about.st_mode):
            return
        if about.st_dev == self._device:
            self.folder(path)
        self._own(target, about)

    def _file(self, path: str, target: str, about: os.stat_result) -> None:
        known = (about.st_dev, about.st_ino)
        if about.st_nlink > 1 and known in self._linked:
            os.link(self._linked[known], target)
            return
        self._linked[known] = target
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        while os.sendfile(copy, source, None, 1 << 30):
            pass
        os.close(source)
        os.close(copy)
        self._own(target, about)

    def _own(self, target: str, about: os.stat_result) -> None:
        if about.st_uid or about.st_gid:
            owner = (self._owner + min(about.st_uid, IDS - 1), self._owner + min(about.st_gid, IDS - 1))
            os.chown(target, *owner, follow_symlinks=False)
        if not stat.S_ISLNK(about.st_mode):
            os.chmod(target, stat.S_IMODE(about.st_mode))
        os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns), follow_symlinks=False)
