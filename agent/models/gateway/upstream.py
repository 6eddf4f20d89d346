"""One provider as the gateway uses it: a fair line, retries, one time limit a call, and whose fault a failure is.

Every attempt waits for its turn in the line, so a call that is retried holds no slot meanwhile. A provider that asks
for patience (429, 503) pauses the line for all boxes, and is then tried with one call at a time, beginning with the
box that has had least, so that a modest box does not pay for a flood.

A candidate must not be able to cause a void. So when the attempts of a call are used up, the provider is judged
(`health`). If it works, the request is sent once more; if it fails again, the request is to blame and the box gets a
4xx. That last attempt runs with nothing else in service, or its failure is told to nobody else who asks the question.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass

from agent.base.errors import ProviderDown
from agent.config.models import ModelConfig
from agent.models.dialects.formats import FORMATS
from agent.models.gateway import bill as billing
from agent.models.gateway.answers import Flight
from agent.models.gateway.bill import Bill
from agent.models.gateway.health import BUSY_SECONDS, QUIET_SECONDS_PER_BOX, Health
from agent.models.gateway.line import Line, StillClock
from agent.models.ports import (
    MISSHAPEN,
    PROVIDER_REFUSED,
    Asides,
    BadCall,
    Blame,
    FlightId,
    Json,
    Provider,
    Question,
    Tokens,
    Trouble,
    unbooked,
)
from agent.models.providers import network

Accept = Callable[[Json, Tokens | None], Json]
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_ALONE_SECONDS = 30.0
_OVERDUE_SECONDS = 20.0
_LOCAL_BOXES = 8
_AGAIN = (Blame.BUSY, Blame.BROKEN)
_PROVOKED = (Blame.BUSY, Blame.BROKEN, Blame.REFUSED)


@dataclass(eq=False, kw_only=True, slots=True)
class Work:
    """One call on its way to a provider. `paused` is how long the provider asked it to wait, in seconds.

    `accept` makes of an answer, and of what it is believed to have used, what the box gets; it may refuse with Trouble.
    `alone`: the deciding attempt had the provider to itself.
    """

    question: Question
    flight: Flight
    bill: Bill
    accept: Accept
    paused: float = 0.0
    failed: Trouble | None = None
    failed_at: float = 0.0
    sent_at: float | None = None
    hung: bool = False
    alone: bool = False

    @property
    def name(self) -> FlightId:
        """What identifies the call."""
        return self.question.answer_scope or self.question.trial, self.question.key, self.question.k

    def doubtful(self, now: float) -> bool:
        """Whether the provider may be to blame that there is no answer yet."""
        return self.failed is not None or (self.sent_at is not None and now - self.sent_at > _OVERDUE_SECONDS)


def _each(model: ModelConfig) -> int | None:
    """Calls of one box at a time at a model on this machine, whose speed they share; None for no such limit."""
    local = model.provider == "embedded" or (model.base_url is not None and network.is_loopback(model.base_url))
    return max(1, model.parallel // _LOCAL_BOXES) if local else None


class Upstream:
    """A model and everything that stands between it and a call.

    `spending` tells which boxes have calls in service at any model: all of them share the campaign's budget.
    """

    def __init__(
        self,
        model: ModelConfig,
        provider: Provider,
        asides: Asides = unbooked,
        spending: Callable[[], set[StillClock]] | None = None,
    ) -> None:
        self.model, self.provider, self.asides = model, provider, asides
        self.line = Line(
            model.parallel, requests=model.requests_per_minute, volume=model.tokens_per_minute, each=_each(model)
        )
        self._spending = spending or self.line.served
        self.health = Health(model, provider, self.line, self._under_way)
        self._work: dict[FlightId, Work] = {}
        self._alone = asyncio.Lock()

    async def start(self) -> None:
        """Make the provider ready. Raises UserError."""
        await self.provider.start()

    async def close(self) -> None:
        """Stop probing and let the provider go."""
        self.health.close()
        self.line.close()
        await self.provider.close()

    async def ask(self, work: Work) -> Json:
        """A complete answer, as accepted.

        Raises:
            BadCall: the request is to blame, or the campaign cannot pay for an attempt.
            BudgetSpent: it cannot pay for a probe.
            ProviderDown: the provider is to blame.
        """
        self._work[work.name] = work
        try:
            self.health.check()
            return await self._judged(work)
        except ProviderDown as error:
            self.health.trip(error)
            raise
        finally:
            work.bill.close()
            del self._work[work.name]

    @property
    def failing(self) -> dict[FlightId, Trouble]:
        """What the last attempt of each call met, while the call is on its way."""
        return {name: work.failed for name, work in self._work.items() if work.failed is not None}

    async def judge(self, names: Collection[FlightId]) -> Trouble | None:
        """Whether the provider is to blame that one of these calls has no answer yet: then its trouble.

        A call that has failed so far is in doubt, and so is one that was sent long ago. Raises BudgetSpent.
        """
        now = time.monotonic()
        doubtful = [self._work[name] for name in names if name in self._work and self._work[name].doubtful(now)]
        for work in doubtful[:1]:
            try:
                await self._judge(work)
            except Trouble as trouble:
                error = work.failed or trouble
                self.health.trip(error)
                return error
        return None

    async def _judge(self, work: Work) -> None:
        work.bill.release()
        failed_at = work.failed_at if work.failed is not None else time.monotonic()
        await self.health.judge(failed_at, frozenset(work.flight.ticket.askers))

    def _under_way(self) -> frozenset[str]:
        sent = [work.flight for work in self._work.values() if work.flight.sent]
        return frozenset(box.name for flight in sent for box in flight.ticket.askers)

    async def _judged(self, work: Work) -> Json:
        try:
            return await self._persist(work)
        except Trouble as error:
            if error.blame not in _PROVOKED:
                raise
        await self._judge(work)
        try:
            return await self._once_more(work)
        except Trouble as error:
            if error.blame not in _PROVOKED:
                raise
            await self._judge(work)
            why = "" if error.blame is Blame.BUSY else f": {error}"
            said = f"the provider works, but not on this request{why}"
            # What failed beside other calls, or for a limit that others may have used up, is nobody else's answer.
            settles = work.alone and error.blame is not Blame.BUSY
            raise BadCall(400 if settles else 403, said, code=PROVIDER_REFUSED) from None

    async def _persist(self, work: Work) -> Json:
        while True:
            try:
                return await self._attempt(work, self.model.timeout - work.bill.seconds)
            except Trouble as error:
                if error.blame not in _AGAIN or self._tried_enough(work, error):
                    raise
                await self._back_off(work, error)
                if max(work.bill.seconds, work.paused) >= self.model.timeout:
                    raise

    def _tried_enough(self, work: Work, error: Trouble) -> bool:
        """A limit a minute that another box used up must have had time to refill."""
        used_up = work.bill.attempts >= self.model.attempts
        return used_up and (error.blame is not Blame.BUSY or work.paused >= BUSY_SECONDS)

    async def _once_more(self, work: Work) -> Json:
        """The deciding attempt: alone, unless it failed by taking too long, which others need not wait for again."""
        async with AsyncExitStack() as stack:
            boxes = frozenset(work.flight.ticket.askers)
            patience = min(box.quieted for box in boxes) < QUIET_SECONDS_PER_BOX
            if not work.hung and patience:
                async with self.line.still(work.flight.ticket):
                    await stack.enter_async_context(self._alone)
                    await stack.enter_async_context(self.line.quiet(boxes))
                    work.alone = await self.line.drained(_ALONE_SECONDS)
                return await self._send(work, min(_ALONE_SECONDS, self.model.timeout))
            return await self._attempt(work, self.model.timeout)

    async def _back_off(self, work: Work, error: Trouble) -> None:
        """Wait before the next attempt: a busy provider pauses the line, a broken call waits alone."""
        doubled = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (work.bill.attempts - 1))
        wait = max(random.uniform(0.1, 1.0) * doubled, error.retry_after or 0.0)  # noqa: S311
        if error.blame is Blame.BUSY:
            work.paused += wait
            self.line.pause(min(wait, self.model.timeout), work.flight.ticket)
            return
        wait = min(wait, max(0.0, self.model.timeout - work.bill.seconds))
        await asyncio.sleep(wait)
        work.bill.seconds += wait

    async def _attempt(self, work: Work, seconds: float) -> Json:
        async with self.line.turn(work.flight.ticket, again=work.flight.sent):
            self.health.check()
            return await self._send(work, seconds)

    async def _send(self, work: Work, seconds: float) -> Json:
        async with self.line.still(work.flight.ticket, self._spending()):
            await work.bill.afford()
        work.flight.sent, start = True, time.monotonic()
        work.sent_at = start
        try:
            async with asyncio.timeout(seconds):
                return await self._answered(work)
        except TimeoutError:
            work.hung = True
            why = f"no complete answer within {self.model.timeout:g} s"
            error = Trouble(f"{why}; before that: {work.failed}" if work.failed else why, billed=True)
        except Trouble as trouble:
            error = trouble
        finally:
            work.bill.seconds += time.monotonic() - start
            work.sent_at = None
        work.failed, work.failed_at = error, time.monotonic()
        work.bill.book(None) if error.billed else work.bill.free()
        raise error

    async def _answered(self, work: Work) -> Json:
        """One attempt. What it used is booked before anybody looks whether the answer is any good."""
        work.bill.sent()
        try:
            raw = await self.provider.ask(work.question)
        except BadCall:
            work.bill.free()
            self.line.did_well(work.flight.ticket)
            raise
        form = FORMATS[self.provider.native]
        used = billing.believed(form.tokens, raw, work.bill.size)
        work.bill.book(used)
        try:
            form.complete(raw)
            answer = work.accept(raw, used)
        except MISSHAPEN as error:
            raise Trouble(f"the provider's answer is misshapen ({type(error).__name__})") from error
        self.line.did_well(work.flight.ticket)
        return answer
