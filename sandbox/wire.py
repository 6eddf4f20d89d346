"""The host's end of the pipe to a runner: the engine's attach socket, taken apart into frames."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct

from sandbox import frames

STREAM_LIMIT = 1 << 18
STDERR_KEPT = 4096
_HEAD = struct.Struct("!BxxxI")
_STDERR = 2


class Lost(Exception):
    """The pipe ended: the box, the engine or the connection is gone; which of them is for the caller to find out."""


class Wire:
    """Frames to and from one runner."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder, self._left, self._stream = frames.Decoder(), 0, 0
        self.stderr = b""

    @classmethod
    async def over(cls, attached: socket.socket) -> Wire:
        """A wire over a connected attach socket, which now belongs to the wire."""
        attached.setblocking(False)
        return cls(*await asyncio.open_connection(sock=attached, limit=STREAM_LIMIT))

    async def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame. Raises Lost."""
        try:
            self._writer.write(frames.frame(kind, payload))
            await self._writer.drain()
        except OSError as error:
            raise Lost(str(error)) from error

    async def receive(self, limit: int) -> tuple[bytes, bytes]:
        """The next frame, of at most `limit` bytes.

        Raises:
            Lost: the stream ended first.
            frames.Malformed: the frame is longer.
        """
        while (got := self._decoder.next(limit)) is None:
            await self._pull()
        return got

    @property
    def ended(self) -> bool:
        """Whether the other side is already known to be gone."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def _pull(self) -> None:
        try:
            if not self._left:
                self._stream, self._left = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                return
            data = await self._reader.read(min(self._left, frames.CHUNK))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Lost(str(error)) from error
        if not data:
            raise Lost("end of stream")
        self._left -= len(data)
        if self._stream == _STDERR:
            self.stderr = (self.stderr + data)[-STDERR_KEPT:]
        else:
            self._decoder.feed(data)

    async def close(self) -> None:
        """Let go of the runner, which then ends. An attached client that does not read would stall the engine."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def own_socket(attached: object) -> socket.socket:
    """The connection below what the SDK gives for an attach, free of the SDK's buffers and references."""
    mine = socket.socket(fileno=os.dup(attached.fileno()))  # type: ignore[attr-defined]
    attached.close()  # type: ignore[attr-defined]
    return mine
