"""What travels between the host and the runner: frames, orders, answers, archives of plain files.

This file is used on both sides: the host imports it, and a copy of it lies in the image. So it needs
nothing but the standard library of Python 3.9 or later, and of that only what loads at once.

A frame is one byte of kind, four bytes of length (big endian) and the payload. The host reads frames
with a limit that it chooses for each answer, so what a box says can never fill the host's memory.
"""

from __future__ import annotations

import marshal
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Mapping
    from typing import Any

HEAD = struct.Struct("!cI")

# host -> box
PUT = b"P"  # tar of files for /workspace; answered by OK or FAULT
RUN = b"R"  # order: argv, env, timeout, limit, asks; answered by OUT*, LATE*, DONE
MORE = b"M"  # SECONDS: how long the command may run beyond its timeout; answers LATE
TAKE = b"T"  # order: globs, without, max_files, max_bytes, root; answered by FILES or FAULT
NAME = b"N"  # order: without, most; answered by NAMES or FAULT
HIDE = b"H"  # one byte that says whether nothing may change them, tar of files for /tests; answered by OK or FAULT
FREEZE = b"Z"  # order: most; answered by FILES (see `snapshot`) or FAULT
THAW = b"W"  # what FREEZE gave; answered by OK or FAULT
# box -> host
READY = b"Y"
OUT = b"O"
LATE = b"L"  # the command's time is up; it ends unless MORE grants time
DONE = b"D"  # END: index in ENDINGS, whether there is an exit code, the code, truncated, seconds, orphans
OK = b"K"
FILES = b"F"  # tar
NAMES = b"A"  # paths, each with a zero byte behind it
FAULT = b"X"  # UTF-8 text: what the candidate did wrong

ENDINGS = ("exited", "timeout", "out of memory")
SECONDS, END = struct.Struct("!d"), struct.Struct("!B?i?dI")
ORDER_VERSION = 2
"""Of `marshal`: the newest form that every Python 3 reads."""

CHUNK = 1 << 16
MAX_PUT = 64 << 20
PATH_MAX = 1024
NAME_MAX = 255

BLOCK, TAR_NAME = 512, 100
PLAIN_FILES = (b"0", b"\0")
_TAR_HEAD = struct.Struct("100s8s8s8s12s12s8sc100s8s247x")
_PLAIN, _RUNNABLE = b"0000644", b"0000755"
_MAY_RUN = 0o100

# The runner ends with this code when the host's end of its stdin is closed, and with the next one when it
# is itself defective. No code inside a box can choose the exit code of PID 1.
EXIT_HOST_GONE = 90
EXIT_BROKEN = 91


class Malformed(ValueError):
    """Bytes that no honest peer would send."""


class Executable(bytes):
    """Content of a file that its owner may execute; equal to the same content that may not be."""

    __slots__ = ()


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    return HEAD.pack(kind, len(payload)) + payload


class Decoder:
    """Bytes in, frames out; a frame longer than the current limit is refused before it is stored."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that came over the wire."""
        self._buffer += data

    def next(self, limit: int) -> tuple[bytes, bytes] | None:
        """The next whole frame, or None if more bytes are needed.

        Raises:
            Malformed: the frame announces more than `limit` bytes.
        """
        if len(self._buffer) < HEAD.size:
            return None
        kind, size = HEAD.unpack_from(self._buffer)
        if size > limit:
            raise Malformed(f"a frame of {size} bytes where at most {limit} are allowed")
        end = HEAD.size + size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEAD.size : end])
        del self._buffer[:end]
        return kind, payload


def order(**words: Any) -> bytes:
    """What the host orders, as bytes; no box sends any."""
    return marshal.dumps(words, ORDER_VERSION)


def read_order(payload: bytes) -> dict[str, Any]:
    """The reverse of `order`. For what the host sent alone: such bytes can do to a process what they like."""
    words: dict[str, Any] = marshal.loads(payload)  # noqa: S302 - see above
    return words


def ended(ending: str, code: int | None, *, truncated: bool, seconds: float, orphans: int) -> bytes:
    """What a DONE frame says of a command; `code` is None if it did not end by itself."""
    return END.pack(ENDINGS.index(ending), code is not None, code or 0, truncated, seconds, orphans)


MOST_KNOWN = 1 << 13
_UNKNOWN = "was not looked at yet"
_KNOWN: dict[str, str | None] = {}
"""What was found of the latest paths, since the same come again and again; `functools` would take long to load."""

_CONTROL = bytes((*range(0x20), 0x7F))


def crossing_fault(path: str) -> str | None:
    """Why a relative path may not cross the wall of a box, or None if it may."""
    fault = _KNOWN.get(path, _UNKNOWN)
    if fault is _UNKNOWN:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        fault = _KNOWN[path] = _fault(path)
    return fault


def _fault(path: str) -> str | None:
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if not raw or len(raw) > PATH_MAX:
        return "is empty" if not raw else "is too long"
    if len(raw.translate(None, _CONTROL)) < len(raw):
        return "has a control character"
    parts = path.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        return "is not a plain relative path"
    if len(raw) > NAME_MAX and any(len(part.encode()) > NAME_MAX for part in parts):
        return "is too long"
    return None


def to_tar(files: Mapping[str, bytes]) -> bytes:
    """Pack files; order, owner and times are fixed.

    Raises:
        Malformed: a path is not plain.
    """
    out = bytearray()
    for path in sorted(files):
        fault = crossing_fault(path)
        if fault:
            raise Malformed(f"path {path!r} {fault}")
        name = path.encode()
        if len(name) > TAR_NAME:
            out += _member(b"././@LongLink", b"L", name + b"\0")
        mode = _RUNNABLE if isinstance(files[path], Executable) else _PLAIN
        out += _member(name[:TAR_NAME], b"0", files[path], mode)
    return bytes(out) + bytes(2 * BLOCK)


def _member(name: bytes, kind: bytes, content: bytes, mode: bytes = _PLAIN) -> bytes:
    """One header with its content, in the form that GNU tar and `tarfile` read."""
    head = _TAR_HEAD.pack(
        name, mode, b"0000000", b"0000000", b"%011o" % len(content), b"%011o" % 0, b" " * 8, kind, b"", b"ustar  "
    )
    return head[:148] + b"%06o\0 " % sum(head) + head[156:] + content + bytes(-len(content) % BLOCK)


def from_host(archive: bytes) -> dict[str, bytes]:
    """Unpack what `to_tar` packed on the trusted side. Spares each box the import of `tarfile`, 15 ms."""
    found: dict[str, bytes] = {}
    name, at = b"", 0
    while at < len(archive) and archive[at]:
        start, size = at + BLOCK, int(archive[at + 124 : at + 135], 8)
        content = archive[start : start + size]
        if archive[at + 156 : at + 157] == b"L":
            name = content[:-1]
        else:
            may_run = archive[at + TAR_NAME : at + TAR_NAME + len(_PLAIN)] == _RUNNABLE
            path = (name or archive[at : at + TAR_NAME].rstrip(b"\0")).decode()
            found[path], name = Executable(content) if may_run else content, b""
        at = start + size + -size % BLOCK
    return found


def tar_limit(max_files: int, max_bytes: int) -> int:
    """The longest archive that so many files with so many bytes can need."""
    return max_bytes + max_files * (PATH_MAX + 5 * 512) + 10240


def from_tar(data: bytes, *, max_files: int, max_bytes: int) -> dict[str, bytes]:
    """Unpack into memory: plain regular files under plain relative paths, bounded; nothing touches a disk.

    Raises:
        Malformed: anything else is in it, or reading it raises anything.
    """
    import io  # noqa: PLC0415 - a box, which does not need it, has to start fast
    import tarfile  # noqa: PLC0415

    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as tar:
            return _members(tar, max_files, max_bytes)
    except Malformed:
        raise
    except Exception as error:  # one net: whatever reading hostile bytes raises, the bytes are at fault
        raise Malformed(f"not a proper archive: {error}") from error


def _members(tar: tarfile.TarFile, max_files: int, max_bytes: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = max_bytes
    for member in tar:
        fault = crossing_fault(member.name)
        if fault or member.name in found:
            raise Malformed(f"path {member.name!r} {fault or 'comes twice'}")
        if member.type not in PLAIN_FILES or member.issparse():
            raise Malformed(f"{member.name!r} is not a plain file")
        left -= member.size
        if left < 0 or member.size < 0 or len(found) >= max_files:
            raise Malformed(f"more than {max_files} files or {max_bytes} bytes")
        content = tar.extractfile(member)
        data = content.read() if content else b""
        found[member.name] = Executable(data) if member.mode & _MAY_RUN else data
        if len(found[member.name]) != member.size:
            raise Malformed(f"{member.name!r} is cut short")
    return found
