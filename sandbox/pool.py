"""Boxes started ahead of need: one shelf for each kind that was asked for lately."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from agent.base.errors import RatchetError, SandboxDown
from agent.base.types import BoxSpec

LOG = logging.getLogger(__name__)
SHELVES = 4


class Poolable(Protocol):
    """What a pool asks of a box."""

    @property
    def fresh(self) -> bool:
        """Whether it can still be handed out."""
        ...

    async def close(self) -> None:
        """Destroy it."""
        ...


BoxT = TypeVar("BoxT", bound=Poolable)


class _Shelf(Generic[BoxT]):
    """Ready boxes of one kind, who waits for one, and how many are being made or announced."""

    def __init__(self, target: int) -> None:
        self.target, self.making, self.announced = target, 0, 0
        self.ready: deque[BoxT] = deque()
        self.waiters: deque[asyncio.Future[BoxT]] = deque()


class Pool(Generic[BoxT]):
    """Hands out each box once, and makes the next one while the last one works.

    Args:
        make: makes one box.
        ready: how many to keep ready for each kind that was asked for lately.
        parallel: how many to make at a time; creation is CPU-bound, so the number of cores.
    """

    def __init__(self, make: Callable[[BoxSpec], Awaitable[BoxT]], *, ready: int, parallel: int) -> None:
        self._make, self._ready, self._turns = make, ready, asyncio.Semaphore(parallel)
        self._parallel = parallel
        self._shelves: OrderedDict[BoxSpec, _Shelf[BoxT]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def get(self, spec: BoxSpec) -> BoxT:
        """A fresh box. Raises what making one raises, and SandboxDown after close."""
        if self._closed:
            raise SandboxDown("the sandbox is closed")
        shelf = self._shelf(spec)
        while shelf.ready:
            box = shelf.ready.popleft()
            if box.fresh:
                self._fill(spec, shelf)
                return box
            self._spawn(box.close())
        turn: asyncio.Future[BoxT] = asyncio.get_running_loop().create_future()
        shelf.waiters.append(turn)
        self._fill(spec, shelf)
        try:
            return await turn
        except asyncio.CancelledError:
            self._give_back(shelf, turn)
            raise

    def prewarm(self, spec: BoxSpec, count: int) -> None:
        """Keep `count` boxes of this kind ready from now on; returns at once."""
        shelf = self._shelf(spec)
        shelf.target = count
        self._fill(spec, shelf)

    @contextmanager
    def expect(self, spec: BoxSpec) -> Iterator[None]:
        """While this is entered, have a box of this kind ready for a `get` that follows.

        However many are expected, no more are kept ready than can be made at a time: more would only wait.
        """
        shelf = self._shelf(spec)
        shelf.announced += 1
        self._fill(spec, shelf)
        try:
            yield
        finally:
            shelf.announced -= 1

    async def close(self) -> None:
        """Destroy all ready boxes, once those under way are made."""
        self._closed = True
        for shelf in self._shelves.values():
            for turn in shelf.waiters:
                if not turn.done():
                    turn.set_exception(SandboxDown("the sandbox is closed"))
            shelf.target = shelf.announced = 0
            self._drop_ready(shelf)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _shelf(self, spec: BoxSpec) -> _Shelf[BoxT]:
        shelf = self._shelves.get(spec)
        if shelf is None:
            shelf = self._shelves[spec] = _Shelf(self._ready)
        self._shelves.move_to_end(spec)
        for old in list(self._shelves)[:-SHELVES]:
            idle = self._shelves[old]
            if idle.announced:
                continue
            idle.target = 0
            self._drop_ready(idle)
            if not idle.making and not idle.waiters:
                del self._shelves[old]
        return shelf

    def _drop_ready(self, shelf: _Shelf[BoxT]) -> None:
        while shelf.ready:
            self._spawn(shelf.ready.popleft().close())

    def _wanted(self, shelf: _Shelf[BoxT]) -> int:
        return max(shelf.target, min(shelf.announced, self._parallel))

    def _fill(self, spec: BoxSpec, shelf: _Shelf[BoxT]) -> None:
        missing = len(shelf.waiters) + self._wanted(shelf) - len(shelf.ready) - shelf.making
        for _ in range(missing):
            shelf.making += 1
            self._spawn(self._one(spec, shelf))

    async def _one(self, spec: BoxSpec, shelf: _Shelf[BoxT]) -> None:
        try:
            async with self._turns:
                if self._closed or not (shelf.waiters or len(shelf.ready) < self._wanted(shelf)):
                    return
                box = await self._make(spec)
        except RatchetError as error:
            self._refuse(shelf, error)
            return
        except BaseException as error:
            # A defect, or the end of the loop: do not let anyone wait forever.
            self._refuse(shelf, error)
            raise
        finally:
            shelf.making -= 1
        self._place(shelf, box)

    def _place(self, shelf: _Shelf[BoxT], box: BoxT) -> None:
        while shelf.waiters:
            turn = shelf.waiters.popleft()
            if not turn.done():
                turn.set_result(box)
                return
        if len(shelf.ready) < self._wanted(shelf):
            shelf.ready.append(box)
        else:
            self._spawn(box.close())

    def _refuse(self, shelf: _Shelf[BoxT], error: BaseException) -> None:
        """Tell one waiter; without one, the next request will try again."""
        while shelf.waiters:
            turn = shelf.waiters.popleft()
            if not turn.done():
                turn.set_exception(error)
                return
        LOG.warning("no box could be started ahead of need: %s", error)

    def _give_back(self, shelf: _Shelf[BoxT], turn: asyncio.Future[BoxT]) -> None:
        """A waiter was cancelled: a box that it had just been given goes to the next."""
        if turn in shelf.waiters:
            shelf.waiters.remove(turn)
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._place(shelf, turn.result())

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
