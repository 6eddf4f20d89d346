"""The search line where cost counts: cheaper candidates get their trials, and meet the champion. Pure, no I/O.

A candidate is compared with the champion at the indices that both were measured at: the same tasks with shared answers.
Search decides nothing, so a rule of thumb will do; the gate measures again (`cheaper`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.base.usage import Usage
from agent.kernel.decide.archive import ALIVE, Archive, Measure, Step
from agent.kernel.decide.bets import BETS, clipped
from agent.kernel.decide.cheaper import Aim, Objective, Unit, saved
from agent.kernel.decide.pooled import Spend
from agent.kernel.decide.strategies import Strategy
from agent.kernel.decide.turns import met

FIRST: Final = 3
"""Common trials after which a candidate may look cheaper."""
LEAD: Final = 1.65
"""Standard errors by which a saving must be above 0 before a test."""
HALF: Final = 0.5
"""The part of the margin that a candidate may seem to be worse by, in search, when its test begins."""

SHARE: Final = 0.5
"""The part of the trials that are left which a test may be expected to take; no other candidate has any meanwhile."""

Seen = Mapping[int, tuple[float, float]]
"""Index -> score and cost of one candidate's search trials."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A candidate beside the champion, in `n` common trials: mean saving and its standard error, mean difference.

    `differ` is the part of these trials in which the scores differ, with one more that half differs.
    """

    n: int
    saving: float
    error: float
    difference: float
    differ: float


def search_cost(usage: Usage, unit: Unit) -> float:
    """What a search trial cost."""
    amounts = {Unit.TOKENS: usage.most_tokens, Unit.DOLLARS: usage.most_dollars, Unit.SECONDS: usage.seconds}
    return float(amounts[unit])


def compared(champion: Seen, candidate: Seen) -> Compared:
    """A candidate beside the champion; without common trials nothing is saved."""
    both = sorted(champion.keys() & candidate.keys())
    if not both:
        return Compared(0, 0.0, 1.0, 0.0, 0.5)
    ratios = np.asarray([saved(champion[index][1], candidate[index][1]) for index in both])
    scores = np.asarray([candidate[index][0] - champion[index][0] for index in both])
    # Ratios of equal sign lie close together when there are few: half a unit more keeps their error honest.
    error = float(np.sqrt((ratios.var() * len(both) + 0.25) / len(both)) / np.sqrt(len(both)))
    differ = (float(np.abs(scores).sum()) + 0.5) / (len(both) + 1.0)
    return Compared(len(both), float(ratios.mean()), error, float(scores.mean()), differ)


def pairs_to_show(one: Compared, margin: float, log_threshold: float) -> float:
    """Pairs after which bets that a candidate is not worse by `margin` should have won, if it is as it seems.

    A pair is won, lost or equal, as often as in search; the best of the mixed bets is looked at (Kelly 1956). Infinite
    where every bet should lose.
    """
    lead = min(max(one.difference, -one.differ), one.differ)
    won, lost = (one.differ + lead) / 2.0, (one.differ - lead) / 2.0
    bets = clipped(np.asarray(BETS), 1.0 - margin)
    rates = (
        won * np.log1p(bets * (1.0 + margin))
        + lost * np.log1p(bets * (margin - 1.0))
        + (1.0 - one.differ) * np.log1p(bets * margin)
    )
    rate = float(rates.max())
    return (log_threshold + math.log(len(BETS))) / rate if rate > 0.0 else math.inf


class Thrifty:
    """A strategy that gives trials to candidates which look cheaper, and leaves the rest to another one."""

    def __init__(self, inner: Strategy, aim: Aim) -> None:
        self.inner, self.aim = inner, aim

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:
        """A trial of the cheapest candidate that has too few in common with the champion, or of the champion.

        Where no candidate is short of them, the inner strategy's.
        """
        enough, champion = archive.settings.enough, archive.champion
        ours = met(archive, champion)
        short = {node for node in self._worth(archive) if len(ours & met(archive, node)) < enough}
        if not short:
            return self.inner.next(archive, rng)
        node = max(short, key=lambda one: self._beside(archive, one).saving)
        theirs = met(archive, node)
        behind, ahead = sorted(ours - theirs), sorted(theirs - ours)
        if behind:
            return Measure(node, behind[0])
        return Measure(champion, ahead[0] if ahead else next(n for n in range(len(ours) + 1) if n not in ours))

    def cheapest(self, archive: Archive, spend: Spend) -> int | None:
        """The node that should meet the champion for what it saves, or None."""
        settings = archive.settings
        if spend.gate_share > settings.max_gate_share:
            return None
        ready = [
            node
            for node, one in self._worth(archive).items()
            if one.n >= settings.enough
            and one.saving > LEAD * one.error
            and one.difference >= -HALF * self.aim.not_worse
            and self._affordable(one, spend)
        ]
        return max(ready, key=lambda node: self._beside(archive, node).saving, default=None)

    def _affordable(self, one: Compared, spend: Spend) -> bool:
        """Whether a test of a candidate should leave enough of the campaign to the others."""
        claims = math.log(2.0) if self.aim.objective is Objective.BOTH else 0.0
        pairs = pairs_to_show(one, self.aim.not_worse, spend.log_threshold + claims)
        return 2.0 * pairs <= SHARE * (spend.foreseen - spend.used)

    def _worth(self, archive: Archive) -> dict[int, Compared]:
        """The living candidates that never met this champion and look cheaper, and not worse than the margin allows."""
        alive = np.flatnonzero(archive.column(ALIVE) > 0)
        fresh = [one for row in alive if (one := archive.ids[int(row)]) != archive.champion]
        found = {one: self._beside(archive, one) for one in fresh if (one, archive.champion) not in archive.tried}
        aim = self.aim
        return {
            node: one
            for node, one in found.items()
            if one.n >= FIRST and one.saving >= aim.saving and one.difference >= -aim.not_worse - 1.0 / one.n
        }

    def _beside(self, archive: Archive, node: int) -> Compared:
        return compared(archive.costs.get(archive.champion, {}), archive.costs.get(node, {}))
