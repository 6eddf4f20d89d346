"""An event loop whose clock jumps: hours of waiting take no time, and work of threads and sockets takes none of them.

Whatever is due next is due at once, unless a worker thread or a connection is busy: then the clock stands still until
it is done. So a campaign's schedule can be measured by the hour on a machine with other work.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

GRACE = 0.0002
"""Real seconds in which the result of a thread that has just ended reaches the loop."""
T = TypeVar("T")


class _Workers(ThreadPoolExecutor):
    """Threads whose work is counted."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.busy = 0

    def submit(self, work: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        self.busy += 1
        future = super().submit(work, *arguments, **named)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Any]) -> None:
        self.busy -= 1


class _Selector(selectors.BaseSelector):
    """A real selector that jumps over waiting instead of doing it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._real, self._loop, self._connections = selectors.DefaultSelector(), loop, set[int]()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if found := self._real.select(0):
            return found
        if timeout is None or self._loop.workers.busy or self._connections:
            return self._real.select(1.0 if timeout is None or timeout > 0 else 0)
        if timeout > 0 and not (found := self._real.select(GRACE)):
            self._loop.now += timeout
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._real.register(fileobj, events, data)
        # The first socket is the loop's own, by which threads wake it.
        if len(self._real.get_map()) > 1 and _connected(key.fd):
            self._connections.add(key.fd)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = self._real.unregister(fileobj)
        self._connections.discard(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `now` is its clock, in seconds from 0."""

    def __init__(self) -> None:
        self.now, self.workers = 0.0, _Workers()
        super().__init__(_Selector(self))
        self.set_default_executor(self.workers)

    def time(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run something in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def _connected(number: int) -> bool:
    """Whether a descriptor is a connection, not a socket that listens for them."""
    with socket.socket(fileno=os.dup(number)) as found:
        return not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
