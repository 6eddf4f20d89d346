"""Inside a box whose engine is elsewhere: PID 1 carries bytes between loopback and the pipe to the host.

A candidate can reach only the loopback port. It cannot end PID 1, and what it sends or leaves unread is bounded for
each connection, so it holds up nothing but its own calls. Standard library only; a copy lies in the image.
"""

from __future__ import annotations

import _socket as socket
import select

from sandbox import channels
from sandbox.forward import MAX_LINKS, accept, forget
from sandbox.light import suppress

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[bytes, bytes], None]

GONE = select.POLLHUP | select.POLLERR


class _Link:
    """One connection: what waits to be written to it, what may be sent for it, and which directions have ended."""

    def __init__(self, sock: socket.socket, channel: int) -> None:
        self.sock, self.channel = sock, channel
        self.pending, self.received, self.credit = bytearray(), channels.Received(), channels.WINDOW
        self.silent = self.ended = self.shut = False
        sock.setblocking(False)

    def wishes(self) -> int:
        reads = self.credit > 0 and not self.silent
        return (select.POLLIN if reads else 0) | (select.POLLOUT if self.pending else 0)

    def read(self, send: Send) -> None:
        with suppress(BlockingIOError):
            data = self.sock.recv(min(self.credit, channels.PIECE))
            self.credit -= len(data)
            self.silent = not data
            send(channels.DATA if data else channels.END, channels.payload(self.channel, data))

    def write(self, send: Send) -> None:
        if self.pending:
            with suppress(BlockingIOError):
                size = self.sock.send(self.pending)
                del self.pending[:size]
                grant = self.received.pass_on(size)
                if grant:
                    send(channels.CREDIT, channels.credit(self.channel, grant))
        if self.ended and not self.pending and not self.shut:
            self.shut = True
            self.sock.shutdown(socket.SHUT_WR)


class Carrier:
    """All connections of one box.

    Args:
        listener: bound before any candidate code exists.
        send: writes one frame to the host, whole.
    """

    def __init__(self, listener: socket.socket, send: Send) -> None:
        self._listener, self._send = listener, send
        self._links: dict[int, _Link] = {}  # by channel
        self._ends: dict[int, _Link] = {}  # by descriptor
        self._poll = select.poll()
        self._watched: set[int] = set()
        self._last = 0
        listener.setblocking(False)

    def start(self, poll: select.poll) -> None:
        """A command begins: take connections, and have them watched by its `poll`."""
        self._poll = poll
        self._watch(self._listener.fileno(), select.POLLIN)

    def event(self, end: int, events: int) -> None:
        """A descriptor that this watches is ready."""
        if end == self._listener.fileno():
            self._accept()
        elif end in self._ends:
            self._turn(self._ends[end], events)

    def frame(self, kind: bytes, content: bytes) -> None:
        """Take a frame of a channel; one that is over here is ignored."""
        channel, data = channels.read(kind, content)
        link = self._links.get(channel)
        if link is None:
            return
        if kind == channels.RESET:
            self._drop(link)
        elif kind == channels.CREDIT:
            link.credit += channels.read_credit(data)
            self._settle(link)
        else:
            link.received.take(len(data))
            link.pending += data
            link.ended = link.ended or kind == channels.END
            self._turn(link, 0)

    def stop(self) -> None:
        """A command has ended, and every process that could speak here: forget them, also those in the queue."""
        for link in list(self._links.values()):
            self._reset(link)
        forget(self._listener)
        self._watched.clear()

    def _accept(self) -> None:
        try:
            sock = accept(self._listener)
        except OSError:
            return
        self._last += 1
        link = _Link(sock, self._last)
        self._links[link.channel] = self._ends[sock.fileno()] = link
        self._send(channels.OPEN, channels.payload(link.channel))
        self._settle(link)
        if len(self._links) == MAX_LINKS:
            self._watch(self._listener.fileno(), 0)

    def _turn(self, link: _Link, events: int) -> None:
        """Read and write what there is."""
        try:
            if events & (select.POLLIN | GONE) and link.wishes() & select.POLLIN:
                link.read(self._send)
            link.write(self._send)
        except OSError:
            self._reset(link)
            return
        self._settle(link)

    def _settle(self, link: _Link) -> None:
        """Forget a link that is over, or watch for what it waits for."""
        if link.silent and link.shut:
            self._drop(link)
        else:
            self._watch(link.sock.fileno(), link.wishes())

    def _reset(self, link: _Link) -> None:
        self._send(channels.RESET, channels.payload(link.channel))
        self._drop(link)

    def _drop(self, link: _Link) -> None:
        end = link.sock.fileno()
        self._watch(end, 0)
        del self._links[link.channel], self._ends[end]
        link.sock.close()
        self._watch(self._listener.fileno(), select.POLLIN)

    def _watch(self, end: int, wishes: int) -> None:
        """Without a wish a descriptor is not watched at all, else the end of a connection would wake PID 1 forever."""
        if wishes:
            self._poll.register(end, wishes)
            self._watched.add(end)
        elif end in self._watched:
            self._poll.unregister(end)
            self._watched.discard(end)
