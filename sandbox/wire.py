"""The host's end of the pipe to a runner, taken apart into frames."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path

from sandbox import channels, frames
from sandbox.forward import MAX_LINKS
from sandbox.relay import Relay

STREAM_LIMIT = 1 << 18
STDERR_KEPT = 4096
UNSENT_MAX = 2 * MAX_LINKS * channels.WINDOW
"""Bytes that may wait to be sent. What an honest runner may have asked for is half of it: see channels.WINDOW."""

_HEAD = struct.Struct("!BxxxI")
_STDERR = 2


class Lost(Exception):
    """The pipe ended: the box, the engine or the connection is gone; which of them is for the caller to find out."""


class Wire:
    """Frames to and from one runner.

    Args:
        reader: what the runner says.
        writer: what it is told.
        mixed: whether the stream has pieces of standard error in it, as an engine's attach stream has.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mixed: bool = True) -> None:
        self._reader, self._writer, self._mixed = reader, writer, mixed
        self._decoder, self._left, self._stream = frames.Decoder(), 0, 0
        self._relay: Relay | None = None
        self._overrun = False
        self.stderr = b""

    def relay(self, target: Path) -> None:
        """From now on, lead the box's channels to a Unix socket of this machine."""
        self._relay = Relay(target, self.post)

    async def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame. Raises Lost."""
        try:
            self._writer.write(frames.frame(kind, payload))
            await self._writer.drain()
        except OSError as error:
            raise Lost(str(error)) from error

    def post(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame without waiting; too many that the box does not read cut the pipe, and are its fault."""
        if self._writer.is_closing():
            return
        self._writer.write(frames.frame(kind, payload))
        if self._writer.transport.get_write_buffer_size() > UNSENT_MAX:
            self._overrun = True
            self._writer.transport.abort()

    async def receive(self, limit: int) -> tuple[bytes, bytes]:
        """The next frame, of at most `limit` bytes, that is not of a channel; those are passed on.

        Raises:
            Lost: the stream ended first.
            frames.Malformed: the frame is longer, or no honest runner would send it.
        """
        while (got := self._decoder.next(limit)) is None or self._passed_on(*got):
            if got is None:
                await self._pull()
        return got

    def _passed_on(self, kind: bytes, payload: bytes) -> bool:
        if self._relay is None or kind not in channels.KINDS:
            return False
        self._relay.frame(kind, payload)
        return True

    @property
    def ended(self) -> bool:
        """Whether the other side is already known to be gone."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def _pull(self) -> None:
        try:
            data = await (self._unmixed() if self._mixed else self._reader.read(frames.CHUNK))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise self._end(str(error)) from error
        if not data:
            raise self._end("end of stream")
        self._decoder.feed(data)

    async def _unmixed(self) -> bytes:
        """The next piece of standard output; what is of standard error is kept."""
        while True:
            while not self._left:
                self._stream, self._left = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            data = await self._reader.read(min(self._left, frames.CHUNK))
            self._left -= len(data)
            if self._stream != _STDERR or not data:
                return data
            self.stderr = (self.stderr + data)[-STDERR_KEPT:]

    def _end(self, reason: str) -> Exception:
        return frames.Malformed("it does not read what it asked for") if self._overrun else Lost(reason)

    async def close(self) -> None:
        """Let go of the runner, which then ends. An attached client that does not read would stall the engine."""
        if self._relay is not None:
            self._relay.close()
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
