"""The host's end of a box's channels: each leads to the Unix socket at which the gateway listens for the box.

Covered against a hostile box: the number of channels, bytes that nobody granted, frames out of shape (all Malformed),
and what is kept for it. Nothing here waits: a gateway that does not read, or a box that does not, holds up one channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from sandbox import channels
from sandbox.forward import MAX_LINKS
from sandbox.frames import Malformed

Post = Callable[[bytes, bytes], None]


class _Link(asyncio.Protocol):
    """One channel and its connection to the gateway."""

    def __init__(self, channel: int, post: Post, over: Callable[[int], None]) -> None:
        self._channel, self._post, self._over = channel, post, over
        self._received, self._credit = channels.Received(), channels.WINDOW
        self._early, self._unsent = bytearray(), bytearray()
        self._gateway: asyncio.Transport | None = None
        self._full = self._gone = False
        self._box_ended = self._gateway_ended = self._end_sent = False

    # ------------------------------------------------------------------ from the box

    def data(self, data: bytes) -> None:
        """Bytes for the gateway. Raises Malformed."""
        if self._box_ended:
            raise Malformed("data on a channel after its end")
        self._received.take(len(data))
        if self._gateway is not None and not self._gone:
            self._gateway.write(data)
            self._grant()
        elif self._gone:  # the box may still be reading an answer that the gateway closed after
            self._grant()
        else:
            self._early += data

    def end(self) -> None:
        """The box has said all that it will say here."""
        self._box_ended = True
        if self._gateway is not None and not self._gone:
            with suppress(OSError):  # it has just closed
                self._gateway.write_eof()
        self._settle()

    def credit(self, size: int) -> None:
        """The box takes more. Raises Malformed if it grants more than it can have received."""
        self._credit += size
        if self._credit > channels.WINDOW:
            raise Malformed("more credit than a channel has")
        self._flush()

    def abort(self) -> None:
        """Let go of the connection at once."""
        self._gone = True
        if self._gateway is not None:
            self._gateway.abort()

    # ------------------------------------------------------------------ from the gateway

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass on what came early."""
        self._gateway = cast("asyncio.Transport", transport)
        if self._gone:
            self._gateway.abort()
            return
        self._gateway.set_write_buffer_limits(high=0)
        self._gateway.write(bytes(self._early))
        self._early.clear()
        self._grant()
        if self._box_ended:
            self._gateway.write_eof()

    def data_received(self, data: bytes) -> None:
        """Send it as far as the box grants, and read no more until the rest is sent."""
        self._unsent += data
        self._flush()

    def eof_received(self) -> bool:
        """The gateway has said all; the other direction stays open."""
        self._gateway_ended = True
        self._flush()
        return True

    def pause_writing(self) -> None:
        """The gateway takes less than the box sends."""
        self._full = True

    def resume_writing(self) -> None:
        """All was passed on."""
        self._full = False
        self._grant()

    def connection_lost(self, exc: Exception | None) -> None:
        """The gateway closed or refused it; an answer that it gave before still reaches the box."""
        del exc
        if self._gone:
            return
        self._gone = True
        if self._gateway_ended:
            self._grant()
        else:
            self._post(channels.RESET, channels.payload(self._channel))
            self._over(self._channel)

    # ------------------------------------------------------------------ steps

    def _grant(self) -> None:
        """What the gateway has taken, the box may send again."""
        if (self._gone or not self._full) and (size := self._received.pass_on(self._received.held)):
            self._post(channels.CREDIT, channels.credit(self._channel, size))

    def _flush(self) -> None:
        while self._unsent and self._credit:
            piece = bytes(self._unsent[: min(self._credit, channels.PIECE)])
            del self._unsent[: len(piece)]
            self._credit -= len(piece)
            self._post(channels.DATA, channels.payload(self._channel, piece))
        if not self._gateway_ended and self._gateway is not None:
            (self._gateway.pause_reading if self._unsent else self._gateway.resume_reading)()
        elif self._gateway_ended and not self._unsent and not self._end_sent:
            self._end_sent = True
            self._post(channels.END, channels.payload(self._channel))
            self._settle()

    def _settle(self) -> None:
        """Close what has ended in both directions; what the gateway has not yet read still reaches it."""
        if self._box_ended and self._end_sent:
            self._over(self._channel)
            self._gone = True
            if self._gateway is not None:
                self._gateway.close()


class Relay:
    """All channels of one box.

    Args:
        target: the socket at which the gateway listens for this box.
        post: sends a frame to the box without waiting; what is not yet sent is bounded by what the box granted.
    """

    def __init__(self, target: Path, post: Post) -> None:
        self._target, self._post = target, post
        self._links: dict[int, _Link] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._last = 0

    def frame(self, kind: bytes, content: bytes) -> None:
        """Take a frame of a channel; one of a channel that is over is ignored.

        Raises:
            Malformed: no honest runner would send it.
        """
        channel, data = channels.read(kind, content)
        if kind == channels.OPEN:
            self._open(channel)
        elif (link := self._links.get(channel)) is not None:
            self._hand(link, channel, kind, data)

    def close(self) -> None:
        """Drop all channels."""
        for link in list(self._links.values()):
            link.abort()
        self._links.clear()
        for task in self._connecting:
            task.cancel()

    def _hand(self, link: _Link, channel: int, kind: bytes, data: bytes) -> None:
        if kind == channels.DATA:
            link.data(data)
        elif kind == channels.CREDIT:
            link.credit(channels.read_credit(data))
        elif kind == channels.END:
            link.end()
        else:
            del self._links[channel]
            link.abort()

    def _open(self, channel: int) -> None:
        if len(self._links) >= MAX_LINKS or channel <= self._last:
            raise Malformed("a channel too many")
        self._last = channel
        link = self._links[channel] = _Link(channel, self._post, self._forget)
        task = asyncio.ensure_future(self._connect(link))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, link: _Link) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: link, str(self._target))
        except OSError as error:
            link.connection_lost(error)

    def _forget(self, channel: int) -> None:
        self._links.pop(channel, None)
