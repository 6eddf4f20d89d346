"""The campaign's hard limits: money, tokens, calls and time, reserved before each call.

A limit is used up when a call does not fit and what is left cannot pay for a small call either: 1/50 of the limit or,
if that is more, four times what a call has cost so far (over ten calls at least, since one alone says little), but
never more than 1/10 of it. So a call that asks for far more than calls need is refused to its box and ends nothing, and
where ordinary calls no longer fit, the campaign ends instead of failing the trials that make them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

_EXACT = 1e-12
_SMALL_SHARE = 1 / 50
_LARGEST_SHARE = 1 / 10
_SMALL_CALLS = 4
_FEW_CALLS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a whole campaign may use; None: no limit. Money in US dollars."""

    dollars: float | None = None
    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What a campaign has used, fresh calls only. Restored from the ledger at resume."""

    dollars: float = 0.0
    tokens: int = 0
    calls: int = 0
    seconds: float = 0.0


class Reservation:
    """What is set aside for one call, until it is settled."""

    def __init__(self, budget: Budget, tokens: int, dollars: float) -> None:
        self._budget, self.tokens, self.dollars = budget, tokens, dollars

    def settle(self, tokens: int, dollars: float) -> None:
        """Replace the reservation by what was really spent; the first settling counts."""
        self._budget._settle(self, tokens, dollars)  # noqa: SLF001 - the two are one thing


@dataclass(frozen=True, slots=True)
class _Short:
    """Why a call does not fit, and whether no small call fits either."""

    reason: str
    for_small_calls: bool = True


class Budget:
    """Counts what is spent and what is promised. Concurrent calls cannot overshoot together."""

    def __init__(
        self, limits: Limits, spent: Spent | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._before = spent or Spent()
        self._dollars, self._tokens, self._calls = (
            self._before.dollars,
            self._before.tokens,
            self._before.calls,
        )
        self._held: set[Reservation] = set()
        self._refused: str | None = None
        self._clock, self._start = clock, clock()
        self._changed = asyncio.Event()

    @property
    def spent(self) -> Spent:
        """What is used up so far, earlier runs of the campaign included."""
        seconds = self._before.seconds + self._clock() - self._start
        return Spent(dollars=self._dollars, tokens=self._tokens, calls=self._calls, seconds=seconds)

    async def reserve(self, tokens: int, dollars: float) -> Reservation | None:
        """Set aside what one call may take; None when the campaign cannot pay for it.

        Near a limit this waits until calls in flight have settled: most take less than was set aside. Whether a smaller
        call may still be paid for, `exhausted` says.
        """
        while self._short(tokens, dollars, self._held):
            short = self._short(tokens, dollars)
            if short is not None:
                if short.for_small_calls:
                    self._refused = short.reason
                return None
            self._changed.clear()
            await self._changed.wait()
        hold = Reservation(self, tokens, dollars)
        self._held.add(hold)
        return hold

    def exhausted(self) -> str | None:
        """Why no more may be spent, in words; None while a small call may still be paid for."""
        short = self._short(1, 0.0)
        return self._refused or (short.reason if short is not None else None)

    def share_since(self, start: Spent) -> float:
        """The largest share, of any limit, of what was left at `start` that is used since; 0 without limits."""
        now, limits = self.spent, self.limits
        used = (
            (now.dollars - start.dollars, limits.dollars, start.dollars),
            (now.tokens - start.tokens, limits.tokens, start.tokens),
            (now.calls - start.calls, limits.calls, start.calls),
            (now.seconds - start.seconds, limits.seconds, start.seconds),
        )
        shares = (part / (most - before) if most > before else 1.0 for part, most, before in used if most is not None)
        return max(shares, default=0.0)

    def fraction(self) -> float:
        """The largest used share of any limit, in [0, 1]; 0 without limits."""
        return min(1.0, self.share_since(Spent()))

    def _settle(self, hold: Reservation, tokens: int, dollars: float) -> None:
        if hold not in self._held:
            return
        self._held.remove(hold)
        self._tokens += tokens
        self._dollars += dollars
        self._calls += 1
        self._changed.set()

    def _short(self, tokens: int, dollars: float, held: Collection[Reservation] = ()) -> _Short | None:
        """The limit that a call of this size would break, beside the calls that are held."""
        used, most = self.spent, self.limits
        if most.seconds is not None and used.seconds >= most.seconds:
            return _Short(f"the campaign's time is used up ({most.seconds:.0f} s)")
        if most.calls is not None and used.calls + len(held) + 1 > most.calls:
            return _Short(f"the campaign's calls are used up ({used.calls} of {most.calls})")
        if most.tokens is not None and used.tokens + sum(h.tokens for h in held) + tokens > most.tokens:
            reason = f"the campaign's tokens are used up ({used.tokens} of {most.tokens})"
            return _Short(reason, most.tokens - used.tokens <= self._small(most.tokens, used.tokens))
        if most.dollars is not None:
            total = used.dollars + sum(h.dollars for h in held) + dollars
            if total > most.dollars + _EXACT or used.dollars >= most.dollars > 0:
                reason = f"the campaign's money is used up (${used.dollars:.4f} of ${most.dollars:.2f})"
                return _Short(reason, most.dollars - used.dollars <= self._small(most.dollars, used.dollars))
        return None

    def _small(self, limit: float, used: float) -> float:
        """What a small call may cost."""
        usual = _SMALL_CALLS * used / max(self._calls, _FEW_CALLS)
        return min(limit * _LARGEST_SHARE, max(limit * _SMALL_SHARE, usual))
