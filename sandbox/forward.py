"""Inside a box with a gateway: carries bytes between loopback and the gateway's Unix socket.

Runs as its own process, so that whatever a candidate does to it leaves the runner alone. Standard library
only; a copy lies in the image.
"""

from __future__ import annotations

import _socket as socket  # `socket` and `selectors` would cost every box their import
import select

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from typing import NoReturn

HOST, PORT = "127.0.0.1", 8080
GATEWAY_SOCKET = "/run/ratchet/gateway.sock"
MAX_LINKS = 32
"""Connections at a time; each takes a descriptor of the gateway's process. Further ones wait until one ends."""

BUFFER = 1 << 16
BAD = select.POLLHUP | select.POLLERR
"""A system call that is made for either tells what it is."""


def listen(port: int = PORT) -> socket.socket:
    """The listening socket, bound before any candidate code exists."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is accepted has it too: else the second part of an answer waits for the client to confirm the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((HOST, port))
    listener.listen(4 * MAX_LINKS)
    return listener


def accept(listener: socket.socket) -> socket.socket:
    """The next connection. Raises OSError."""
    number, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `accept` is one of the class in `socket`
    return socket.socket(fileno=number)


def forget(listener: socket.socket) -> None:
    """Close the connections that nobody has taken: who made them is gone."""
    listener.setblocking(False)
    try:
        while True:
            accept(listener).close()
    except OSError:
        return


class _End:
    """One socket of a link: what waits to be written to it, and whether it has said all it will say."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.pending, self.silent, self.shut = sock, bytearray(), False, False
        sock.setblocking(False)

    def read_into(self, other: _End) -> None:
        data = self.sock.recv(BUFFER)
        other.pending += data
        self.silent = not data

    def flush(self) -> None:
        if self.pending:
            del self.pending[: self.sock.send(self.pending)]

    def pass_on_silence(self, other: _End) -> None:
        if other.silent and not self.pending and not self.shut:
            self.shut = True
            self.sock.shutdown(socket.SHUT_WR)

    def wishes(self, other: _End) -> int:
        reads = not self.silent and len(other.pending) < BUFFER
        return (select.POLLIN if reads else 0) | (select.POLLOUT if self.pending else 0)


class Forwarder:
    """All links of one box, in one thread."""

    def __init__(self, listener: socket.socket, target: str) -> None:
        self.listener, self.target, self.links = listener, target, 0
        self._poll = select.poll()
        self._ends: dict[int, tuple[_End, _End]] = {}  # what is watched, by descriptor: an end and its other
        listener.setblocking(False)
        self._poll.register(listener, select.POLLIN)

    def run(self) -> NoReturn:
        """Carry bytes until killed."""
        while True:
            # Looked up before the first of them is closed: its number may be another's right after.
            for pair, events in [(self._ends.get(number), events) for number, events in self._poll.poll()]:
                if pair is None:
                    self._accept()
                elif pair[0].sock.fileno() >= 0:
                    self._turn(*pair, events)

    def _accept(self) -> None:
        try:
            client = accept(self.listener)
        except OSError:
            return
        upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            upstream.connect(self.target)
        except OSError:
            client.close()
            upstream.close()
            return
        self.links += 1
        if self.links == MAX_LINKS:
            self._poll.unregister(self.listener)
        near, far = _End(client), _End(upstream)
        self._watch(near, far)
        self._watch(far, near)

    def _turn(self, end: _End, other: _End, events: int) -> None:
        try:
            if events & (select.POLLIN | BAD):
                end.read_into(other)
            if events & (select.POLLOUT | BAD):
                end.flush()
            end.pass_on_silence(other)
            other.pass_on_silence(end)
        except BlockingIOError:
            return
        except OSError:
            self._drop(end, other)
            return
        if end.shut and other.shut:
            self._drop(end, other)
            return
        for one, two in ((end, other), (other, end)):
            self._watch(one, two)

    def _watch(self, end: _End, other: _End) -> None:
        """Have the poll tell of what an end wishes; one without a wish is left out, hang-up and all."""
        number, wishes = end.sock.fileno(), end.wishes(other)
        if wishes:
            self._ends[number] = (end, other)
            self._poll.register(number, wishes)
        elif number in self._ends:
            del self._ends[number]
            self._poll.unregister(number)

    def _drop(self, *ends: _End) -> None:
        if self.links == MAX_LINKS:
            self._poll.register(self.listener, select.POLLIN)
        self.links -= 1
        for end in ends:
            if self._ends.pop(end.sock.fileno(), None):
                self._poll.unregister(end.sock.fileno())
            end.sock.close()
