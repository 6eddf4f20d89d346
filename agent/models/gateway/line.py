"""A fair line in front of one resource: tickets wait for their turn, and boxes' clocks stand still meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress

from agent.models.gateway.fair import Bucket, Shares, Ticket


class StillClock:
    """How long a box has waited because of others: the union of the times in which any line delayed it.

    `quieted` is how many seconds others have waited because a failure of this box had to be judged.
    """

    def __init__(self, name: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._now, self._lines, self._since, self._total = now, 0, 0.0, 0.0
        self.quieted = 0.0

    def stand(self) -> None:
        """A line delays the box from now on."""
        if not self._lines:
            self._since = self._now()
        self._lines += 1

    def run(self) -> None:
        """One line delays it no more."""
        self._lines -= 1
        if not self._lines:
            self._total += self._now() - self._since

    def waited(self) -> float:
        """Seconds so far; never decreases."""
        return self._total + (self._now() - self._since if self._lines else 0.0)

    def own(self) -> float:
        """The box's own time: the clock, which stands still while the box is delayed. For differences only."""
        return self._now() - self.waited()

    async def reach(self, own: float) -> None:
        """Wait until the box's own time is this far."""
        left = own - self.own()
        while left > 0:
            await asyncio.sleep(left)
            left = own - self.own()  # more than 0 if the clock stood still meanwhile


Turn = Ticket[StillClock]
"""A ticket of boxes, each of them known by its clock."""


class Line:
    """Who may use a resource now. `slots` at once, `each` of them for one of several; the rates, if any, a minute."""

    def __init__(
        self, slots: int, *, requests: float | None = None, volume: float | None = None, each: int | None = None
    ) -> None:
        now = time.monotonic()
        self._shares: Shares[StillClock] = Shares(
            slots,
            requests=Bucket(requests, now) if requests is not None else None,
            volume=Bucket(volume, now) if volume is not None else None,
            each=each,
        )
        self._admitted: dict[Turn, asyncio.Future[None]] = {}
        self._delayed: set[StillClock] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    def enroll(self, box: StillClock) -> None:
        """A box may ask from now on."""
        self._shares.enroll(box)

    def dismiss(self, box: StillClock) -> None:
        """A box asks no more."""
        self._shares.dismiss(box)
        self._turn()

    @asynccontextmanager
    async def turn(self, ticket: Turn, *, again: bool = False) -> AsyncIterator[None]:
        """Wait for a ticket's turn and hold a slot; `again` for one that was served before and failed."""
        await self._wait(ticket, again=again)
        try:
            yield
        finally:
            self._shares.done(ticket)
            self._ended.set()
            self._turn()

    def join(self, ticket: Turn, box: StillClock) -> None:
        """One more box waits for a ticket."""
        self._shares.join(ticket, box)
        self._turn()

    def leave(self, ticket: Turn, box: StillClock) -> None:
        """A box is gone, and waits for a ticket no more."""
        self._shares.leave(ticket, box)
        self._turn()

    def pause(self, seconds: float, ticket: Turn) -> None:
        """The resource asks for a pause, to a ticket; then it is tried with one at a time until one does well."""
        self._shares.pause(time.monotonic() + seconds, ticket.owners)
        self._turn()

    def did_well(self, ticket: Turn) -> None:
        """A ticket was served well."""
        self._shares.did_well(ticket)
        self._turn()

    def resume(self) -> None:
        """End a pause."""
        self._shares.resume()
        self._turn()

    def served(self) -> set[StillClock]:
        """The boxes that have something in service."""
        return self._shares.payers()

    @asynccontextmanager
    async def quiet(self, culprits: frozenset[StillClock]) -> AsyncIterator[None]:
        """Admit nobody, because of some boxes."""
        self._shares.hold(culprits)
        self._turn()
        start = time.monotonic()
        try:
            yield
        finally:
            for box in culprits:
                box.quieted += time.monotonic() - start
            self._shares.release(culprits)
            self._turn()

    async def drained(self, seconds: float) -> bool:
        """Wait until nothing is in service, so many seconds at most; whether that came about."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._shares.serving:
                    self._ended.clear()
                    await self._ended.wait()
        return not self._shares.serving

    @asynccontextmanager
    async def still(self, ticket: Turn, served: AbstractSet[StillClock] | None = None) -> AsyncIterator[None]:
        """While a ticket that is being served waits for something that boxes share: by default those served here."""
        delayed = [box for box in ticket.owners if (self.served() if served is None else served) - {box}]
        for box in delayed:
            box.stand()
        try:
            yield
        finally:
            for box in delayed:
                box.run()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    async def _wait(self, ticket: Turn, *, again: bool) -> None:
        self._shares.wait(ticket, first=again)
        admitted = self._admitted[ticket] = asyncio.get_running_loop().create_future()
        self._turn()
        try:
            await admitted
        except asyncio.CancelledError:
            # Cancelled between the admission and the next step of this task: the slot goes back.
            self._shares.done(ticket) if ticket.payer is not None else self._shares.abandon(ticket)
            self._ended.set()
            raise
        finally:
            del self._admitted[ticket]
            self._turn()

    def _turn(self) -> None:
        """Admit every ticket that can be served, and let the clocks stand or run accordingly."""
        now = time.monotonic()
        while (ticket := self._shares.next(now)) is not None:
            admitted = self._admitted.get(ticket)
            if admitted is None or admitted.done():
                self._shares.done(ticket)
            else:
                admitted.set_result(None)
        self._clocks(now)
        self._set_timer(now)

    def _clocks(self, now: float) -> None:
        delayed = self._shares.delayed(now)
        for box in delayed - self._delayed:
            box.stand()
        for box in self._delayed - delayed:
            box.run()
        self._delayed = delayed

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds = self._shares.wake(now)
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds + 0.001, self._turn)
