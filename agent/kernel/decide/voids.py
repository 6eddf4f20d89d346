"""Voided pairs: what each one costs, and when there are too many of them. Pure, no I/O.

A void is decided without looking at scores, but a candidate that finds a way to cause voids could look first: it
would void the pairs that it is about to lose. So a void is counted as the worst pair that it can hide. A trial that
did not end gets the score that is worst for the candidate (the champion 1, the candidate 0); a score that the other
side reached is kept. Write x_j for the pair as it would have ended and y_j for the pair as counted: y_j = x_j where
nothing was voided, and y_j <= x_j where something was, whatever the candidate saw, and whichever side it voided.
Each factor 1 + lambda y_j is then at most 1 + lambda x_j, so the counted evidence is at most prod_j (1 + lambda x_j)
at every step. That product is the supermartingale of `gate`, and by Ville's inequality

    P(accept) <= P(sup_n prod_j (1 + lambda x_j) >= 1 / alpha_i) <= alpha_i

for every candidate without effect. Nothing is assumed about how often, when or on which side it voids, only that
x_j has mean at most 0 given the past (docs/security.md says what a pair guarantees).

Before some pairs, runs of deterministic tasks are repeated, and a difference ends the test (`loop.determinism`). With
q the chance of a difference, x_j may be too high by delta <= q on average, and (1 - q)(1 + lambda delta) <= 1. A void
may hide the difference, and no score is known then: it is counted as y_j = -1, and still
(1 - q)(1 + lambda delta) + q (1 - lambda) <= 1 + lambda ((1 - q) delta - q) <= 1.

A pair whose scaffolds never ran (no box, a provider known to be down) is not counted at all and is played later: its
void was decided by the past alone, so the pair that takes its place has mean at most 0 as well.

A test that ended void is followed by another of the same two candidates (`loop.gatekeeping`). That one has an index i
of its own and starts from 1 with fresh pairs, so it accepts with chance at most alpha_i whatever made the first one
end, and the levels of all tests together are bounded as before (e-LOND holds under any dependence between tests).

The limit on voids serves honest candidates: it ends a test that a broken machine would lose, with the verdict void
instead of rejected. It bets against "each pair is void with chance `share`, on either side alike" until the bets
have won 1 / error, so blind voids of at most that share end a test with chance at most 2 error, at any length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from agent.base.types import Side
from agent.kernel.decide.statistics import log_mean_exp

_STAKES: Final = np.array([0.05, 0.15, 0.45])
"""Parts of the capital that are bet on one more void; the middle one is best when one pair in five is void."""


class VoidRule(StrEnum):
    """What a void does to the evidence."""

    WORST_CASE = "worst case"
    DISCARDED = "discarded"
    """The rule before WORST_CASE; tests that were opened under it are still judged by it."""


@dataclass(frozen=True, slots=True)
class VoidPair:
    """A pair that `side` voided, with the scores of the trials that ended all the same; not both.

    Raises:
        ValueError: a score is outside [0, 1], or both are known.
    """

    side: Side
    champion: float | None = None
    candidate: float | None = None

    def __post_init__(self) -> None:
        known = [score for score in (self.champion, self.candidate) if score is not None]
        if len(known) > 1 or not all(0.0 <= score <= 1.0 for score in known):
            raise ValueError(f"a void pair cannot have the scores {self.champion}, {self.candidate}")

    @property
    def is_known(self) -> bool:
        """Whether one side reached a score."""
        return self.champion is not None or self.candidate is not None

    @property
    def worst_case(self) -> tuple[float, float]:
        """(champion's score, candidate's score) of the worst pair for the candidate that this void can hide."""
        return 1.0 if self.champion is None else self.champion, 0.0 if self.candidate is None else self.candidate


@dataclass(slots=True)
class VoidCount:
    """How many pairs of a test were void on the champion's side, on the candidate's, and at all."""

    champion: int = 0
    candidate: int = 0
    pairs: int = 0

    def add(self, side: Side) -> None:
        """Count one void."""
        self.champion += side is not Side.CANDIDATE
        self.candidate += side is not Side.CHAMPION
        self.pairs += 1

    @property
    def one_sided(self) -> tuple[int, int]:
        """Voids of the champion's side alone, and of the candidate's side alone."""
        return self.pairs - self.candidate, self.pairs - self.champion


@dataclass(frozen=True, kw_only=True, slots=True)
class VoidLimit:
    """When a test has too many voids: `share` of all pairs, `tolerated` in any case; `error` as above."""

    share: float
    tolerated: int
    error: float

    def reached(self, voids: VoidCount, scored: int) -> bool:
        """Whether blind voids hardly explain so many, beside `scored` pairs, or such a difference of sides."""
        if voids.pairs <= self.tolerated:
            return False
        won = max(_won_on_more(voids.pairs, scored, self.share), _won_on_a_side(*voids.one_sided))
        return won >= -math.log(self.error)


def reached_before(voids: VoidCount, scored: int, *, share: float, tolerated: int, chance: float) -> bool:
    """The limit of `VoidRule.DISCARDED`: a plain share, and a binomial test that is repeated at each void."""
    few, many = sorted((voids.champion, voids.candidate))
    total = few + many
    tail = sum(math.comb(total, i) for i in range(few + 1)) / 2**total
    too_many = voids.pairs > tolerated and voids.pairs / (voids.pairs + scored) > share
    return too_many or (many > few and 2 * tail < chance)


def _won_on_more(voids: int, scored: int, share: float) -> float:
    """Ln of what bets on voids have won: a supermartingale from 1 while each pair is void with chance <= `share`."""
    odds = (1.0 - share) / share
    return log_mean_exp(voids * np.log1p(_STAKES * odds) + scored * np.log1p(-_STAKES))


def _won_on_a_side(first: int, second: int) -> float:
    """Ln of what bets on one side have won: a martingale from 1 while each side is as likely (Krichevsky-Trofimov)."""
    both = math.lgamma(first + 0.5) + math.lgamma(second + 0.5) - math.lgamma(first + second + 1)
    return both - 2.0 * math.lgamma(0.5) + (first + second) * math.log(2.0)
