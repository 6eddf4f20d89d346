"""A process that answers one request after another by a program's `answer`: to start or fork Python costs far more.

Standard library only, because this file is a program: `python -I -S answering.py PROGRAM`, with a socket as standard
input. `answer` makes a text of some sources, under limits on time, memory and files. A request is the number of its
bytes, then each source after its length. The answer is the number of its bytes, a byte that says whether the process
stays, and the text. It ends after an answer that made it grow, so that none has less room than the first one had.
"""

from __future__ import annotations

import io
import os
import resource
import runpy
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

CPU_SECONDS = 20
"""Processor time of one answer."""
MEMORY_BYTES = 1 << 30

STAYS, ENDS = b"+", b"."
LENGTH_BYTES = 8
HEAD_BYTES = LENGTH_BYTES + 1
"""Of an answer, before its text."""

_GROWN = 32 << 20
"""Bytes."""


def request(sources: Iterable[bytes]) -> bytes:
    """Some sources as the process reads them."""
    framed = b"".join(map(_framed, sources))
    return _framed(framed)


def size(head: bytes | bytearray) -> int:
    """How many bytes follow, by the first ones of a request or an answer."""
    return int.from_bytes(head[:LENGTH_BYTES], "big")


def prepare() -> None:
    """Limits on memory and files, and the first place where memory runs out."""
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def serve(control: io.BufferedRWPair, answer: Callable[[list[bytes]], str]) -> None:
    """Answer until the socket is closed, or until an answer has made the process grow."""
    memory = _memory()
    started = _taken(memory)
    while head := control.read(LENGTH_BYTES):
        _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + CPU_SECONDS)
        body = answer([*_sources(control.read(size(head)))]).encode()
        worn = _taken(memory) - started > _GROWN
        control.write(len(body).to_bytes(LENGTH_BYTES, "big") + (ENDS if worn else STAYS) + body)
        control.flush()
        if worn:
            return


def _limit(kind: int, most: int) -> None:
    """Set a limit that can be moved; macOS refuses some, among them that on memory."""
    try:
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise


def _framed(source: bytes) -> bytes:
    return len(source).to_bytes(LENGTH_BYTES, "big") + source


def _sources(framed: bytes) -> Iterator[bytes]:
    rest = io.BytesIO(framed)
    while head := rest.read(LENGTH_BYTES):
        yield rest.read(size(head))


def _memory() -> int | None:
    """A descriptor that tells of the memory of this process; None where the system has none."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None


def _taken(memory: int | None) -> int:
    """The address space that this process has taken, in bytes."""
    return 0 if memory is None else int(os.pread(memory, 64, 0).split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    program = runpy.run_path(sys.argv[1])
    prepare()
    serve(socket.socket(fileno=0).makefile("rwb"), program["answer"])
