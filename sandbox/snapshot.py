"""What a machine's processes changed, as an archive, and the same change made to another machine of the same image.

Both run inside, as root of the machine and with nothing more than a candidate has, when every other process has ended.
The archive is a compressed tar: `removed` holds the paths that are gone, each ended by NUL, and below `root/` is what
is new or changed: files, folders, links and pipes with owner, mode and time. Extended attributes, sockets and devices
stay out. Bytes of a candidate are unpacked only here, in a box, and never through a link or into another file system.

Standard library only; a copy lies in the image.
"""

# ruff: noqa: PTH115, PTH116, PTH123 - pathlib would cost every box its import

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import stat
import tarfile
import zlib  # noqa: F401 - what runs inside imports nothing: tarfile would import this

from sandbox import frames
from sandbox.copying import PLACES

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CONTENT = 2 << 30
"""Bytes of all files of a snapshot before they are compressed; a sparse file counts whole."""

REMOVED, BELOW = "removed", "root/"
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class _Bounded(io.RawIOBase):
    """Keeps what is written. Raises frames.Malformed when it is too much."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.kept, self._most = bytearray(), most

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.kept += data  # type: ignore[arg-type]
        if len(self.kept) > self._most:
            raise frames.Malformed(f"what was changed takes more than {self._most >> 20} MiB, compressed")
        return len(data)  # type: ignore[arg-type]


def freeze(base: dict[str, int], settled: int, most: int) -> bytes:
    """What differs from an image, of which `base` has each path with its inode, and nothing changed since `settled`.

    Raises:
        frames.Malformed: it is more than `most` bytes.
    """
    change = _Change(base, settled)
    found = list(change.entries())
    out = _Bounded(most)
    packed = gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0)
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        gone = os.fsencode("".join(f"{path}\0" for path in change.removed()))
        head = tarfile.TarInfo(REMOVED)
        head.size = len(gone)
        tar.addfile(head, io.BytesIO(gone))
        _Packer(tar).add(found)
    packed.close()
    return bytes(out.kept)


class _Change:
    """Compares the root with what the image held."""

    def __init__(self, base: dict[str, int], settled: int) -> None:
        self._base, self._settled = base, settled
        self._device = os.stat("/").st_dev
        self._folders: set[str] = {""}
        self._seen: set[str] = set(PLACES)

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """What is new or changed, folders before what is in them."""
        stack = [("", False)]
        while stack:
            folder, fresh = stack.pop()
            with os.scandir(folder or "/") as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                path, about = f"{folder}/{entry.name}", entry.stat(follow_symlinks=False)
                if path in PLACES or about.st_dev != self._device:
                    continue
                self._seen.add(path)
                new = fresh or self._base.get(path) != about.st_ino
                if new or about.st_ctime_ns > self._settled:
                    yield path, about
                if stat.S_ISDIR(about.st_mode):
                    self._folders.add(path)
                    stack.append((path, new))

    def removed(self) -> list[str]:
        """Paths of the image that are gone, each without what was below it; after `entries` has ended."""
        return [path for path in self._base if path not in self._seen and path.rpartition("/")[0] in self._folders]


class _Packer:
    """Adds entries to an archive."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar, self._left = tar, MAX_CONTENT
        self._linked: dict[int, str] = {}

    def add(self, entries: list[tuple[str, os.stat_result]]) -> None:
        """Add them in their order. Raises frames.Malformed if they hold too much."""
        for path, about in entries:
            member = tarfile.TarInfo(BELOW + path[1:])
            member.mode, member.mtime = stat.S_IMODE(about.st_mode), int(about.st_mtime)
            member.uid, member.gid = about.st_uid, about.st_gid
            if stat.S_ISDIR(about.st_mode):
                member.type = tarfile.DIRTYPE
            elif stat.S_ISLNK(about.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
            elif stat.S_ISFIFO(about.st_mode):
                member.type = tarfile.FIFOTYPE
            elif not stat.S_ISREG(about.st_mode):
                continue
            elif about.st_ino in self._linked:
                member.type, member.linkname = tarfile.LNKTYPE, self._linked[about.st_ino]
            else:
                self._linked[about.st_ino] = member.name
                self._file(member, path, about.st_size)
                continue
            self._tar.addfile(member)

    def _file(self, member: tarfile.TarInfo, path: str, size: int) -> None:
        member.size = size
        self._left -= size
        if self._left < 0:
            raise frames.Malformed(f"what was changed holds more than {MAX_CONTENT >> 20} MiB")
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            self._tar.addfile(member, file)


def thaw(archive: bytes) -> None:
    """Make the change that an archive holds. Raises OSError, ValueError, or tarfile.TarError for a hostile one."""
    tree = _Tree()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            if member.name == REMOVED:
                content = tar.extractfile(member)
                for path in content.read().split(b"\0")[:-1] if content else ():
                    tree.remove(os.fsdecode(path)[1:])
            else:
                tree.lay(member, tar)


class _Tree:
    """Changes the root of this machine, and no other file system."""

    def __init__(self) -> None:
        self._root = os.open("/", FOLDER)
        self._device = os.fstat(self._root).st_dev

    @contextlib.contextmanager
    def _folder(self, path: str) -> Iterator[tuple[int, str]]:
        """The open folder of a path, and its last name. Raises frames.Malformed for one that is not plain."""
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts) or f"/{path}" in PLACES:
            raise frames.Malformed(f"{path!r} is not a path of the machine")
        at = os.dup(self._root)
        try:
            for part in parts[:-1]:
                above, at = at, os.open(part, FOLDER, dir_fd=at)
                os.close(above)
                if os.fstat(at).st_dev != self._device:
                    raise frames.Malformed(f"{path!r} is in another file system")
            yield at, parts[-1]
        finally:
            os.close(at)

    def remove(self, path: str) -> None:
        """Remove what is at a path, if anything is."""
        with self._folder(path) as (folder, name):
            _clear(folder, name)

    def lay(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        """Put one member in its place, over whatever is there."""
        if not member.name.startswith(BELOW):
            raise frames.Malformed(f"{member.name!r} is not a member of a snapshot")
        with self._folder(member.name[len(BELOW) :]) as (folder, name):
            if not (member.isdir() and _is_folder(folder, name)):
                _clear(folder, name)
                self._make(member, tar, folder, name)
            if member.islnk():
                return
            os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)
            if not member.issym():
                os.chmod(name, member.mode, dir_fd=folder)  # what is there now was made here
            if not member.isdir():
                os.utime(name, (member.mtime, member.mtime), dir_fd=folder, follow_symlinks=False)

    def _make(self, member: tarfile.TarInfo, tar: tarfile.TarFile, folder: int, name: str) -> None:
        if member.isdir():
            os.mkdir(name, 0o700, dir_fd=folder)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=folder)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=folder)
        elif member.islnk():
            with self._folder(member.linkname[len(BELOW) :]) as (there, other):
                os.link(other, name, src_dir_fd=there, dst_dir_fd=folder, follow_symlinks=False)
        elif member.isreg() and (content := tar.extractfile(member)) is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
                shutil.copyfileobj(content, file)
        else:
            raise frames.Malformed(f"{member.name!r} is of no kind that a snapshot has")


def _is_folder(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode)
    except FileNotFoundError:
        return False


def _clear(folder: int, name: str) -> None:
    if _is_folder(folder, name):
        shutil.rmtree(name, dir_fd=folder)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
