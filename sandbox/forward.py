"""Inside a box with a gateway: carries bytes between loopback and the gateway's Unix socket.

Runs as its own process, so that whatever a candidate does to it leaves the runner alone. Standard library
only; a copy lies in the image.
"""

from __future__ import annotations

import selectors
import socket

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from typing import NoReturn

HOST, PORT = "127.0.0.1", 8080
GATEWAY_SOCKET = "/run/ratchet/gateway.sock"
MAX_LINKS = 32
"""Connections at a time; each takes a descriptor of the gateway's process. Further ones wait until one ends."""

BUFFER = 1 << 16


def listen(port: int = PORT) -> socket.socket:
    """The listening socket, bound before any candidate code exists."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is accepted has it too: else the second part of an answer waits for the client to confirm the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((HOST, port))
    listener.listen(4 * MAX_LINKS)
    return listener


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
        return (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if self.pending else 0)


class Forwarder:
    """All links of one box, in one thread."""

    def __init__(self, listener: socket.socket, target: str) -> None:
        self.listener, self.target, self.links = listener, target, 0
        self.selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ)

    def run(self) -> NoReturn:
        """Carry bytes until killed."""
        while True:
            for key, events in self.selector.select():
                if key.data is None:
                    self._accept()
                elif key.data[0].sock.fileno() >= 0:
                    self._turn(key.data[0], key.data[1], events)

    def _accept(self) -> None:
        try:
            client, _ = self.listener.accept()
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
            self.selector.unregister(self.listener)
        near, far = _End(client), _End(upstream)
        self.selector.register(client, selectors.EVENT_READ, (near, far))
        self.selector.register(upstream, selectors.EVENT_READ, (far, near))

    def _turn(self, end: _End, other: _End, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                end.read_into(other)
            if events & selectors.EVENT_WRITE:
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
        wishes, known = end.wishes(other), end.sock in self.selector.get_map()
        if wishes and known:
            self.selector.modify(end.sock, wishes, (end, other))
        elif wishes:
            self.selector.register(end.sock, wishes, (end, other))
        elif known:
            self.selector.unregister(end.sock)

    def _drop(self, *ends: _End) -> None:
        if self.links == MAX_LINKS:
            self.selector.register(self.listener, selectors.EVENT_READ)
        self.links -= 1
        for end in ends:
            if end.sock in self.selector.get_map():
                self.selector.unregister(end.sock)
            end.sock.close()
