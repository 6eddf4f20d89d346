"""One answer per question: the k-th occurrence of a request in a scope is drawn once, and to its end.

A flight belongs to this cache and not to those who wait for it, so nobody can end it by hanging up, on either side
and for whatever reason: a deadline, a closed session, a client that is gone. It ends by itself, within the time limit
of its model. A box that asks the same question in the same scope joins it, or gets what was recorded: answers and the
provider's refusals alike. The one exception draws nothing: a flight that still waits for its first turn is dropped
when every session that asked for it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from agent.base.types import Call, CallRecord
from agent.models.gateway.line import Line, StillClock, Turn
from agent.models.ports import PROVIDER_REFUSED, BadCall, FlightId, settled


@dataclass(eq=False, slots=True)
class Flight:
    """One question on its way. `line` is where it waits; `sent` whether a provider has been asked."""

    ticket: Turn
    line: Line
    sent: bool = False
    task: asyncio.Task[Call] = field(init=False)


Draw = Callable[[Flight], Coroutine[None, None, Call]]
"""Asks a provider for the answer that a flight brings."""


class AnswerCache:
    """Holds nothing but the calls in flight; what has been answered is in the record."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record
        self._flights: dict[FlightId, Flight] = {}

    async def settle(
        self, name: FlightId, box: StillClock, line: Line, size: float, draw: Draw, *, shared: bool
    ) -> tuple[Call, bool]:
        """What settled a question, recorded or in flight, and whether this very box had it drawn.

        `shared`: the answers of other boxes count too.
        """
        while True:
            known = self._recalled(name) if shared else None
            if known is not None:
                return known, False
            flight, mine = self._join(name, box, line, size, draw)
            call = await _landed(flight, mine=mine)
            if call is not None:
                return call, mine

    def _recalled(self, name: FlightId) -> Call | None:
        """The recorded answer to a question that is not in flight."""
        return None if name in self._flights else self._record.recall(*name)

    def _join(self, name: FlightId, box: StillClock, line: Line, size: float, draw: Draw) -> tuple[Flight, bool]:
        """The flight of a question, and whether this very box started it."""
        flight = self._flights.get(name)
        if flight is not None:
            flight.line.join(flight.ticket, box)
            return flight, False
        flight = self._flights[name] = Flight(Turn([box], size), line)
        flight.task = asyncio.create_task(draw(flight))
        flight.task.add_done_callback(lambda _: self._land(name, flight))
        return flight, True

    def leave(self, box: StillClock) -> None:
        """A session is closed: it waits no more, and what nobody waits for and was never sent is dropped."""
        for name, flight in list(self._flights.items()):
            if box in flight.ticket.owners:
                flight.line.leave(flight.ticket, box)
                if not flight.ticket.owners and not flight.sent:
                    del self._flights[name]
                    flight.task.cancel()

    async def close(self) -> None:
        """End every flight: what was sent is booked at its bound."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _land(self, name: FlightId, flight: Flight) -> None:
        if self._flights.get(name) is flight:
            del self._flights[name]
        if not flight.task.cancelled():
            flight.task.exception()  # every waiter may be gone: then nobody else looks at it


async def _landed(flight: Flight, *, mine: bool) -> Call | None:
    """What came of a flight; None if another box's calls may have made it fail: then it is nobody else's answer."""
    try:
        return await asyncio.shield(flight.task)
    except BadCall as error:
        if mine or error.code != PROVIDER_REFUSED or settled(error.status):
            raise
        return None
