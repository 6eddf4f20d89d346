"""The figures of a campaign: what was gained, what it cost; intervals of scores and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.base.types import Candidate, Purpose
from agent.config.improve import ITSELF
from agent.kernel.decide import statistics
from agent.kernel.loop.opening import IMPROVER
from agent.kernel.record.ledger import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean score over `n` trials with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f}  [{self.low:.3f}, {self.high:.3f}]  ({self.n} trials)"


LITTLE_ROOM: Final = 0.25
"""Where the champion leaves so small a part of the search tasks open, search can hardly tell candidates apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """How many search tasks the champion was run on, and how many of these it failed at least once."""

    tasks: int
    open: int

    @property
    def warning(self) -> str | None:
        """What to do about too little room for improvement, or None."""
        if not self.tasks or self.open > LITTLE_ROOM * self.tasks:
            return None
        solved = f"the champion solves {self.tasks - self.open} of {self.tasks} search tasks each time"
        return f"{solved}, so {self.open} are left to tell candidates apart; add tasks, or lower search.shown"


def wilson(scores: Sequence[float]) -> Estimate | None:
    """Wilson's score interval (1927); conservative for scores in [0, 1] that are not binary."""
    if not scores:
        return None
    n, mean = len(scores), sum(scores) / len(scores)
    low, high = statistics.wilson(mean, n)
    return Estimate(mean=mean, low=low, high=high, n=n)


def paired(before: Sequence[float], after: Sequence[float]) -> Estimate | None:
    """Mean difference of pairs with its normal 95 % interval; None below two pairs."""
    differences = [b - a for a, b in zip(before, after, strict=True)]
    if len(differences) < 2:  # noqa: PLR2004 (a variance needs two)
        return None
    n, mean = len(differences), sum(differences) / len(differences)
    half = statistics.Z * math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)


def difference(before: Sequence[float], after: Sequence[float]) -> Estimate | None:
    """`paired`, of scores in [0, 1]: the interval ends where a difference can."""
    found = paired(before, after)
    return None if found is None else replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The figures of a campaign, all from its ledger.

    Scores are of search tasks before the first commit, of held-out tasks after it. `improver` names the program that
    wrote the patches if that is not the scaffold itself. `saved` is what the prompt caches of providers saved, in
    dollars. `untried` are the candidates without a search trial.
    """

    baseline: Estimate | None
    champion: Estimate | None
    gain: Estimate | None
    champion_id: int
    candidates: tuple[Candidate, ...]
    trials: int
    fresh_calls: int
    shared_calls: int
    tokens: int
    dollars: float
    unpriced: int
    saved: float
    seconds: float
    ending: str
    improver: str | None = None
    untried: frozenset[int] = frozenset()
    room: Room = Room(tasks=0, open=0)


def summarise(ledger: Ledger) -> Summary:
    """Compute the summary of a campaign that has begun."""
    commits, spent, reverts = ledger.commits(), ledger.spent(), ledger.reverts()
    champion = ledger.champion()
    purpose = Purpose.HOLDOUT if commits else Purpose.SEARCH
    first, last = ledger.scores(purpose, 0), ledger.scores(purpose, champion)
    both = sorted(first.keys() & last.keys())
    searched = ledger.results([champion], Purpose.SEARCH)
    end = ledger.latest("end")
    return Summary(
        baseline=wilson([*first.values()]),
        champion=wilson([*last.values()]),
        gain=difference([first[p] for p in both], [last[p] for p in both]) if champion else None,
        champion_id=champion,
        candidates=tuple(c for c in ledger.candidates() if c.id not in reverts),  # a person made those
        trials=ledger.count_trials(),
        fresh_calls=spent.fresh_calls,
        shared_calls=spent.calls - spent.fresh_calls,
        tokens=spent.fresh_tokens,
        dollars=spent.dollars,
        unpriced=spent.unpriced,
        saved=sum(row.saved for row in ledger.cache_use()),
        seconds=float(ledger.recollect("seconds") or 0.0),
        ending=end.text if end else "not ended",
        untried=frozenset(c.id for c in ledger.candidates())
        - {row.candidate for row in ledger.tallies(Purpose.SEARCH)},
        room=Room(tasks=len(searched), open=sum(row.total < row.trials for row in searched)),
        improver=None if (improver := ledger.recollect(IMPROVER)) in {None, ITSELF} else improver,
    )
