"""What the report says about models beside their use: caches, what they do not take, calls that no box made."""

from __future__ import annotations

from dataclasses import dataclass

from agent.base.refusal import Refusal
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.rows import AsideRow, CacheRow, LeftOutRow

SHOWN_LEFT_OUT, SHOWN_REFUSALS = 40, 40


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """`asides` are preflights, probes and the like; `refusals` the last kinds of calls that the gateway refused."""

    cache: tuple[CacheRow, ...]
    asides: tuple[AsideRow, ...]
    left_out: tuple[LeftOutRow, ...]
    refusals: tuple[Refusal, ...]

    @property
    def saved(self) -> float:
        """Dollars that prompt caches saved."""
        return sum(row.saved for row in self.cache)


def models_of(ledger: Ledger) -> ModelFacts:
    """Read it."""
    return ModelFacts(
        cache=tuple(ledger.cache_use()),
        asides=tuple(ledger.asides()),
        left_out=tuple(ledger.left_out()[:SHOWN_LEFT_OUT]),
        refusals=tuple(ledger.refusals(last=SHOWN_REFUSALS)),
    )
