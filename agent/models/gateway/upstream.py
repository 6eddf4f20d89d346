"""One provider as the gateway uses it: limits, retries, one deadline a call, and whose fault a failure is.

A candidate must not be able to cause a void. So a provider that gave no usable answer is probed with a
trivial call: if it answers that, and fails again on the request, the request is to blame and the box
gets a 4xx; only a provider that fails the probe too, or says that it is overloaded, is down.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay

from agent.base.errors import ProviderDown
from agent.config.models import ModelConfig
from agent.models.dialects.formats import FORMATS
from agent.models.ports import (
    MISSHAPEN,
    BadCall,
    Blame,
    FlightId,
    Json,
    KeyRefused,
    Provider,
    Question,
    Tokens,
    Trouble,
)

Accept = Callable[[Json], Json]
_MINUTE = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_PROBE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A complete answer: as accepted, and what the provider says it used. `seconds` without the time in the queue."""

    answer: Json
    used: Tokens | None
    seconds: float
    retries: int


def _again(error: BaseException) -> bool:
    return isinstance(error, Trouble) and error.blame in (Blame.BUSY, Blame.BROKEN)


def _wait(state: RetryCallState) -> float:
    """Full jitter on a doubling wait, but never less than the provider asked for."""
    jitter: float = random.uniform(0.1, 1.0) * min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (state.attempt_number - 1))  # noqa: S311
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, Trouble) else None
    return max(jitter, asked or 0.0)


class Upstream:
    """A model and everything that stands between it and a call."""

    def __init__(self, model: ModelConfig, provider: Provider) -> None:
        self.model, self.provider = model, provider
        self.failing: dict[FlightId, Trouble] = {}
        self._slots = asyncio.Semaphore(model.parallel)
        self._requests = _limiter(model.requests_per_minute)
        self._tokens = _limiter(model.tokens_per_minute)
        self._down: ProviderDown | None = None
        self._up = asyncio.Event()
        self._up.set()
        self._recovery: asyncio.Task[None] | None = None

    @property
    def down(self) -> ProviderDown | None:
        """Why the provider cannot be used now; None while it can."""
        return self._down

    async def start(self) -> None:
        """Make the provider ready. Raises UserError."""
        await self.provider.start()

    async def close(self) -> None:
        """Stop probing and let the provider go."""
        if self._recovery is not None:
            self._recovery.cancel()
        await self.provider.close()

    async def ready(self) -> None:
        """Wait until the provider can be used.

        Raises:
            KeyRefused: waiting will not help.
        """
        if isinstance(self._down, KeyRefused):
            raise self._down
        await self._up.wait()

    async def ask(self, question: Question, tokens: int, accept: Accept) -> Reply:
        """A complete answer. `tokens` is an upper bound for the call; `accept` may refuse an answer with Trouble.

        Raises:
            BadCall: the request is to blame.
            ProviderDown: the provider is, after all retries.
        """
        self._refuse_if_down()
        async with self._slots:
            await self._pace(tokens)
            self._refuse_if_down()
            try:
                return await self._judged(question, accept)
            except ProviderDown as error:
                self._trip(error)
                raise
            finally:
                self.failing.pop(_flight(question), None)

    def _refuse_if_down(self) -> None:
        if self._down is not None:
            raise ProviderDown(f"{self.model.provider}/{self.model.name} is down: {self._down}")

    async def _pace(self, tokens: int) -> None:
        if self._requests is not None:
            await self._requests.acquire()
        if self._tokens is not None:
            await self._tokens.acquire(min(tokens, self._tokens.max_rate))

    async def _judged(self, question: Question, accept: Accept) -> Reply:
        try:
            return await self._persist(question, accept)
        except Trouble as error:
            if error.blame not in (Blame.BROKEN, Blame.REFUSED):
                raise
        await self.probe()
        try:
            return await self._persist(question, accept, attempts=1)
        except Trouble as error:
            if error.blame not in (Blame.BROKEN, Blame.REFUSED):
                raise
            await self.probe()
            raise BadCall(
                400, f"the provider works, but not on this request: {error}", code="provider_refused"
            ) from None

    async def _persist(self, question: Question, accept: Accept, attempts: int | None = None) -> Reply:
        start = time.perf_counter()
        policy = AsyncRetrying(
            stop=stop_after_attempt(attempts or self.model.attempts) | stop_before_delay(self.model.timeout),
            wait=_wait,
            retry=retry_if_exception(_again),
            reraise=True,
        )
        try:
            async with asyncio.timeout(self.model.timeout):
                pair: tuple[Json, Tokens | None] = await policy(self._attempt, question, accept)
        except TimeoutError:
            last = self.failing.get(_flight(question))
            why = f"no complete answer within {self.model.timeout:g} s" + (f"; before that: {last}" if last else "")
            raise Trouble(why, blame=last.blame if last else Blame.BROKEN) from None
        retries = int(policy.statistics.get("attempt_number", 1)) - 1
        return Reply(answer=pair[0], used=pair[1], seconds=time.perf_counter() - start, retries=retries)

    async def _attempt(self, question: Question, accept: Accept) -> tuple[Json, Tokens | None]:
        try:
            return self._understood(await self.provider.ask(question), accept)
        except Trouble as error:
            self.failing[_flight(question)] = error
            raise

    def _understood(self, raw: Json, accept: Accept) -> tuple[Json, Tokens | None]:
        """The answer as the box wants it. A provider may send anything, so misreading it is its failure."""
        form = FORMATS[self.provider.native]
        try:
            form.complete(raw)
            return accept(raw), form.tokens(raw)
        except MISSHAPEN as error:
            raise Trouble(f"the provider's answer is misshapen ({type(error).__name__})") from error

    async def probe(self) -> None:
        """A trivial call. Raises Trouble if the provider does not work now."""
        try:
            async with asyncio.timeout(min(_PROBE_SECONDS, self.model.timeout)):
                await self.provider.probe()
        except TimeoutError:
            raise Trouble("the provider does not answer even a trivial request in time") from None

    def _trip(self, error: ProviderDown) -> None:
        """Open the circuit: calls fail at once until a probe succeeds. A script or a record is never down."""
        if self._down is None and self.model.provider not in ("scripted", "replay"):
            self._down = error
            self._up.clear()
            self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        wait = 1.0
        while True:
            await asyncio.sleep(wait)
            try:
                await self.probe()
            except ProviderDown as error:
                self._down = error
                wait = min(wait * 2, _MINUTE)
                continue
            self._down = None
            self._up.set()
            return


def _limiter(per_minute: int | None) -> AsyncLimiter | None:
    return AsyncLimiter(per_minute, _MINUTE) if per_minute is not None else None


def _flight(question: Question) -> FlightId:
    return question.answer_scope or question.trial, question.key, question.k
