"""One box's session: what it may do, what it has used, the calls it has under way, and what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace

from aiolimiter import AsyncLimiter

from agent.base.types import Call, CallScope
from agent.base.usage import Usage
from agent.models.gateway.calls import Told
from agent.models.gateway.line import StillClock
from agent.models.ports import OK, BadCall, FlightId

MAX_CALLS_AT_ONCE = 64
MAX_BUFFERED = 16 << 20
INTAKE_BURST_KIB = 16 << 10
INTAKE_KIB_PER_SECOND = 1 << 10
_REQUEST_KIB = 16
"""What a request costs the kernel besides reading its bytes, as if it were so many KiB."""


class BoxSession:
    """A Session. Its caps count every call, shared or fresh alike, so that both sides of a pair meet the same caps.

    A call is a task of the session, not of the connection that asked: a client that hangs up frees nothing.
    """

    def __init__(self, scope: CallScope, close: Callable[[BoxSession], Awaitable[None]]) -> None:
        self.scope = scope
        self.fault: Exception | None = None
        self.out_of_budget = False
        self.usage = Usage()
        self.clock = StillClock(scope.trial)
        self.pending: set[FlightId] = set()
        self._intake = AsyncLimiter(INTAKE_BURST_KIB, INTAKE_BURST_KIB / INTAKE_KIB_PER_SECOND)
        self._buffered = 0
        self._close = close
        self._closing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Told]] = set()
        self._counts: dict[str, int] = {}
        self._held_calls, self._held_tokens, self._held_dollars = 0, 0, 0.0
        self._calls, self._tokens, self._dollars = 0, 0, 0.0

    async def close(self) -> None:
        """Refuse new calls, stop waiting for those in flight, remove the socket; more than once is fine."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(self))
        await asyncio.shield(self._closing)

    @property
    def closed(self) -> bool:
        """Whether no more calls are taken."""
        return self._closing is not None

    def waited(self) -> float:
        """Seconds for which others delayed this box in the gateway's queues."""
        return self.clock.waited()

    def start(self, carry: Coroutine[None, None, Told]) -> asyncio.Task[Told]:
        """Carry a call to its end, or until the session closes, even if nothing waits for it."""
        task = asyncio.create_task(carry)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def give_up(self) -> None:
        """Stop waiting for answers; the questions that were sent are answered without this box."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Told]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a client that hung up does not look at it

    def take_in(self, size: int) -> None:
        """Book bytes of a body that is being received; give them back with a negative size.

        Raises:
            BadCall: the bodies that this box has under way are too large together.
        """
        if size > 0 and self._buffered + size > MAX_BUFFERED:
            raise BadCall(429, f"more than {MAX_BUFFERED} bytes of requests at once", code="too_many_bytes")
        self._buffered += size

    async def pace(self, size: int | None = None) -> None:
        """Wait until this box may have a request served, or a body of this size read: both cost everybody's time."""
        cost = _REQUEST_KIB if size is None else size >> 10
        if cost:
            await self._intake.acquire(min(cost, INTAKE_BURST_KIB))

    def blame(self, error: Exception) -> None:
        """Keep the first infrastructure error."""
        if self.fault is None:
            self.fault = error

    def occurrences(self, key: str) -> int:
        """How often this box has made this very request before, refused ones apart."""
        return self._counts.get(key, 0)

    def remaining(self) -> float | None:
        """Seconds of its own that the box has until its deadline; None without one."""
        return None if self.scope.deadline is None else self.scope.deadline - self.clock.own()

    def hold(self, key: str, tokens: int, dollars: float) -> None:
        """Count an occurrence of a request, and reserve its estimate against the box's own caps.

        Raises:
            BadCall: a cap does not allow this call.
        """
        self._check(tokens, dollars)
        self._counts[key] = self.occurrences(key) + 1
        self._held_calls += 1
        self._held_tokens += tokens
        self._held_dollars += dollars

    def release(self, tokens: int, dollars: float) -> None:
        """Give a reservation back."""
        self._held_calls -= 1
        self._held_tokens -= tokens
        self._held_dollars -= dollars

    def count(self, call: Call, *, retried: bool) -> None:
        """Book a call. A shared answer counts against the caps for what it is worth; a refusal for what it used.

        `retried`: it took more than one attempt, so what it cost is not for sure the answer's.
        """
        used, worth = call.tokens_in + call.tokens_out, call.dollars or 0.0
        self.charge(used, worth)
        if call.status != OK and not used:
            return
        listed, sure = worth + call.saved, call.status == OK and not retried
        self.usage += Usage(
            calls=1,
            fresh_calls=int(call.fresh),
            tokens_in=call.tokens_in,
            tokens_out=call.tokens_out,
            fresh_tokens=used if call.fresh else 0,
            dollars=worth if call.fresh else 0.0,
            unpriced=int(call.fresh and call.dollars is None),
            sure_tokens=used if sure else 0,
            sure_dollars=listed if sure else 0.0,
            most_tokens=used,
            most_dollars=listed,
        )

    def abandon(self, tokens: int, dollars: float) -> None:
        """Book a call that is under way when the box ends: what it costs is known later, so at its bound."""
        self.usage += Usage(most_tokens=tokens, most_dollars=dollars, abandoned=1)

    def charge(self, tokens: int, dollars: float) -> None:
        """Book against the caps."""
        self._calls += 1
        self._tokens += tokens
        self._dollars += dollars

    def _check(self, tokens: int, dollars: float) -> None:
        caps = self.scope.caps
        remaining = self.remaining()
        if remaining is not None and remaining <= 0:
            raise BadCall(403, "this box's time is over", code="deadline_exceeded")
        if self._held_calls >= MAX_CALLS_AT_ONCE:
            raise BadCall(429, f"more than {MAX_CALLS_AT_ONCE} calls at once", code="too_many_calls")
        if caps.calls is not None and self._calls + self._held_calls + 1 > caps.calls:
            raise _capped("calls", f"{self._calls} of {caps.calls} used")
        if caps.tokens is not None and self._tokens + self._held_tokens + tokens > caps.tokens:
            raise _capped("tokens", f"{self._tokens} of {caps.tokens} used, this call may take {tokens}")
        if caps.dollars is not None and self._dollars + self._held_dollars + dollars > caps.dollars + 1e-12:
            raise _capped("dollars", f"${self._dollars:.4f} of ${caps.dollars:.4f} used")


def _capped(what: str, detail: str) -> BadCall:
    return BadCall(403, f"this box's cap on {what} does not allow the call: {detail}", code="cap_exhausted")


def as_shared(call: Call, trial: str) -> Call:
    """A recorded call in the books of a trial that did not pay for it.

    `dollars` is what it is worth, without the prompt cache of the one who paid.
    """
    worth = None if call.dollars is None else call.dollars + call.saved
    return replace(
        call, trial=trial, fresh=False, dollars=worth, seconds=0.0, retries=0, cache_read=0, cache_write=0, saved=0.0
    )
