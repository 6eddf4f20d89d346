"""Connections of a box that travel over the pipe to its runner: what a frame of a channel holds, and how much may.

For an engine that shares no folder with the host, so that no Unix socket leads out of a box. The runner opens a
channel for each connection to its loopback port; the host connects it to the box's gateway. Either side sends as many
bytes of a channel as the other has granted, so each knows how much it may have to keep, and a reader that is slow
holds up its own channel alone.

This file is used on both sides, and a copy of it lies in the image: standard library of Python 3.9 or later only.
"""

from __future__ import annotations

import struct

from sandbox.frames import Malformed

OPEN = b"o"  # box -> host; channels are numbered upwards and no number is used twice
DATA = b"d"
END = b"e"  # no more data in this direction; a channel that has ended in both is over
RESET = b"r"  # the channel is over at once; what was on its way to the sender is ignored
CREDIT = b"c"  # so many bytes more may be sent
KINDS = frozenset((OPEN, DATA, END, RESET, CREDIT))

WINDOW = 128 << 10
"""Bytes that a side may send on a new channel."""

PIECE = 16 << 10
"""Bytes of one data frame: other channels and the frames of commands wait for no more than this."""

_NUMBER, _CREDIT = struct.Struct("!I"), struct.Struct("!II")


def payload(channel: int, data: bytes = b"") -> bytes:
    """What a frame of a channel holds."""
    return _NUMBER.pack(channel) + data


def credit(channel: int, size: int) -> bytes:
    """What a credit frame holds."""
    return _CREDIT.pack(channel, size)


def read(kind: bytes, content: bytes) -> tuple[int, bytes]:
    """The channel and the data of a frame.

    Raises:
        Malformed: it is too short, or too long for its kind.
    """
    most = {DATA: PIECE, CREDIT: _NUMBER.size}.get(kind, 0)
    if not _NUMBER.size <= len(content) <= _NUMBER.size + most:
        raise Malformed(f"a frame of a channel with {len(content)} bytes")
    return _NUMBER.unpack_from(content)[0], content[_NUMBER.size :]


def read_credit(data: bytes) -> int:
    """How many bytes a credit frame grants, of which `read` gave the data.

    Raises:
        Malformed: it holds no number.
    """
    if len(data) != _NUMBER.size:
        raise Malformed("a credit frame without a size")
    size: int = _NUMBER.unpack(data)[0]
    return size


class Received:
    """How much of a window was used up, and when to grant it again: in few frames, and before the sender runs dry."""

    def __init__(self) -> None:
        self.held, self._done = 0, 0

    def take(self, size: int) -> None:
        """Bytes that arrived. Raises Malformed if they were not granted."""
        if self.held + self._done + size > WINDOW:
            raise Malformed("more bytes on a channel than were granted")
        self.held += size

    def pass_on(self, size: int) -> int:
        """Bytes that were passed on and are kept no longer; returns how many to grant now."""
        self.held -= size
        self._done += size
        grant = self._done if self._done >= WINDOW // 2 else 0
        self._done -= grant
        return grant
