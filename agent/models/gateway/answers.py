"""The k-th occurrence of an identical request in an answer scope gets one answer, whoever asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from agent.base.types import Call, CallRecord
from agent.models.ports import OK, FlightId


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Call]
    waiters: int = 0


class AnswerCache:
    """Shares recorded answers and calls in flight. Holds nothing but the calls in flight."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record
        self._flights: dict[FlightId, _Flight] = {}

    async def get(
        self, answer_scope: str, key: str, k: int, ask: Callable[[], Coroutine[None, None, Call]]
    ) -> tuple[Call, bool]:
        """The answer, and whether this very caller is the one who had it made.

        A call in flight is cancelled only when nobody waits for it any more.
        """
        recorded = self._record.recall(answer_scope, key, k)
        if recorded is not None and recorded.status == OK:
            return recorded, False
        flight = self._flights.get((answer_scope, key, k))
        first = flight is None
        if flight is None:
            flight = self._flights[answer_scope, key, k] = _Flight(asyncio.create_task(ask()))
            flight.task.add_done_callback(lambda task: self._landed((answer_scope, key, k), task))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task), first
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self._flights.pop((answer_scope, key, k), None)
                flight.task.cancel()

    def _landed(self, flight: FlightId, task: asyncio.Task[Call]) -> None:
        held = self._flights.get(flight)
        if held is not None and held.task is task:
            del self._flights[flight]
        if not task.cancelled():
            task.exception()  # every waiter may be gone: then nobody else looks at it
