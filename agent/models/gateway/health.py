"""Whether a provider works: the circuit, and the probe that no box influences.

A box must not be able to void its own bad trial. So a failure counts as the provider's only if a trivial call fails
too. The first probe is made at once. If it fails, that may still be the doing of our boxes (a rate used up, a server
busy with their calls): then nothing new is sent, all that is in service ends, and the provider is probed again, a busy
one for more than a minute. Only a provider that fails then as well is down. One box may cost the others so many seconds
of that and no more; after them a busy provider is its own doing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from agent.base.errors import BudgetSpent, ProviderDown
from agent.config.models import ModelConfig
from agent.models.gateway.line import Line, StillClock
from agent.models.ports import Blame, OutOfService, Provider, Trouble

_MINUTE = 60.0
_PROBE_SECONDS = 60.0
_LONGEST_WAIT = 30.0
BUSY_SECONDS = 75.0
"""For how long a busy provider is tried again: longer than the minute for which providers count their limits."""
QUIET_SECONDS_PER_BOX = 60.0


class _Patience:
    """How long a busy provider is waited for, once nothing of ours is in service. Times in seconds."""

    def __init__(self, timeout: float) -> None:
        self._own, self._most, self._end = min(BUSY_SECONDS, timeout), math.inf, math.inf

    @property
    def left(self) -> float:
        """Seconds; infinite before it has begun."""
        return self._end - time.monotonic()

    def begin(self, asked: float | None) -> None:
        """Nothing is in service: begin to wait, or wait as long as the provider asks for."""
        now = time.monotonic()
        if self._most == math.inf:
            self._most, self._end = now + BUSY_SECONDS, now + self._own
        self._end = max(self._end, min(now + (asked or 0.0), self._most))


class Health:
    """One provider's circuit. `under_way` names the trials with calls on their way, to find out who did it."""

    def __init__(
        self, model: ModelConfig, provider: Provider, line: Line, under_way: Callable[[], frozenset[str]]
    ) -> None:
        self._model, self._provider, self._line, self._under_way = model, provider, line, under_way
        self.down: ProviderDown | None = None
        self._up = asyncio.Event()
        self._up.set()
        self._recovery: asyncio.Task[None] | None = None
        self._verdict = asyncio.Lock()
        self._well_at = -math.inf

    def close(self) -> None:
        """Stop probing."""
        if self._recovery is not None:
            self._recovery.cancel()

    def check(self) -> None:
        """Raise ProviderDown while the circuit is open."""
        if self.down is not None:
            error = ProviderDown(f"{self._model.provider}/{self._model.name} is down: {self.down}")
            error.under_way = self.down.under_way
            raise error

    async def ready(self) -> None:
        """Wait until the provider can be used.

        Raises:
            OutOfService: waiting will not help.
        """
        if isinstance(self.down, OutOfService):
            raise self.down
        await self._up.wait()

    async def probe(self) -> None:
        """A trivial call. Raises Trouble if the provider does not work now, BudgetSpent if it cannot be paid for."""
        try:
            async with asyncio.timeout(min(_PROBE_SECONDS, self._model.timeout)):
                await self._provider.probe()
        except TimeoutError:
            raise Trouble("the provider does not answer even a trivial request in time") from None

    async def judge(self, failed_at: float, boxes: frozenset[StillClock]) -> None:
        """Find out whether the provider is to blame for a failure of some boxes' call, on the monotonic clock.

        Raises:
            Trouble: it is, for it fails whatever our boxes do.
            BudgetSpent: the campaign cannot pay for finding out.
        """
        async with self._verdict:
            if self._well_at > failed_at:
                return  # it was found to work after this failure
            try:
                await self.probe()
            except Trouble as trouble:
                if trouble.blame is Blame.FINAL:
                    raise
                if not self._is_own_doing(trouble, boxes):
                    await self._probe_quietly(trouble, boxes)
            self._well_at = time.monotonic()

    def _is_own_doing(self, trouble: Trouble, boxes: frozenset[StillClock]) -> bool:
        patience = min((box.quieted for box in boxes), default=0.0)
        return trouble.blame is Blame.BUSY and patience > QUIET_SECONDS_PER_BOX

    async def _probe_quietly(self, trouble: Trouble, boxes: frozenset[StillClock]) -> None:
        """Probe until the provider works, or fails although nothing of ours is in its way. Raises Trouble.

        A failure beside a call that is in service may be that call's doing; each ends within its own time limit.
        """
        wait, alone, patience = 1.0, not self._line.served(), _Patience(self._model.timeout)
        latest = time.monotonic() + self._model.timeout
        async with self._line.quiet(boxes):
            while not alone or (trouble.blame is Blame.BUSY and patience.left > 0):
                alone = await self._line.drained(wait) or time.monotonic() >= latest
                if alone:
                    patience.begin(trouble.retry_after)
                    await asyncio.sleep(max(0.0, min(patience.left, trouble.retry_after or wait)))
                try:
                    await self.probe()
                except Trouble as again:
                    trouble, wait = again, min(wait * 2, _LONGEST_WAIT)
                    if again.blame is Blame.FINAL:
                        raise
                else:
                    return
            raise trouble

    def trip(self, error: ProviderDown) -> None:
        """Open the circuit: calls fail at once until a probe succeeds.

        A script or a record is never down, unless waiting cannot help.
        """
        if not error.under_way:
            error.under_way = self.down.under_way if self.down is not None else self._under_way()
        local = self._model.provider in ("scripted", "replay") and not isinstance(error, OutOfService)
        if self.down is None and not local:
            self.down = error
            self._line.resume()  # what waits in line need not wait for a refusal
            self._up.clear()
            self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        wait = 1.0
        while True:
            await asyncio.sleep(wait)
            try:
                await self.probe()
            except BudgetSpent:
                return  # the campaign ends
            except ProviderDown as error:
                error.under_way = self.down.under_way if self.down is not None else frozenset()
                self.down = error
                wait = min(wait * 2, _MINUTE)
                continue
            self.down = None
            self._up.set()
            return
