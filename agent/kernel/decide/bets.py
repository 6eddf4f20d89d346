"""How much the gate bets on a pair, and how many pairs that should take. Pure, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.kernel.decide.statistics import Floats

SMALLEST_FACTOR: Final = 0.05
"""Bets are clipped so that no single pair can take more than 95 % of the evidence away."""

BETS: Final = (0.06, 0.12, 0.24, 0.48, 0.9)
"""The lambdas that a test mixes, where search expects no lead of its candidate."""

CAUTIOUS_BET: Final = 0.48
"""The largest bet that futility is judged by; never left out."""


def bets_for(effect: float) -> tuple[float, ...]:
    """The lambdas worth mixing for effects of at least `effect`; smaller ones only dilute the evidence.

    The mean of ln(1 + lambda x) is greatest at a lambda that rises with the mean of x and falls with its spread
    (Kelly 1956). The smallest one kept is the best for a mean of `effect` at the greatest spread: x = 1 or -1. Any
    choice made before the pairs is valid.
    """
    won, lost = (1.0 + effect) / 2.0, (1.0 - effect) / 2.0
    best = max(BETS, key=lambda bet: won * math.log1p(bet) + lost * math.log1p(-bet))
    return tuple(bet for bet in BETS if bet >= min(best, CAUTIOUS_BET))


def bets_on(lead: float, differ: float) -> tuple[float, float, float]:
    """The bets of a test whose candidate should lead by `lead`, where the sides differ in the share `differ` of pairs.

    The one under which evidence of such a lead grows fastest (Kelly 1956); half of it, as a lead that was searched for
    is mostly too large; and the largest of all, as the sides of a pair may differ less often than search has seen.
    """
    best = min(lead / differ, 1.0 - SMALLEST_FACTOR)
    return best, best / 2.0, BETS[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Of one test: the pairs after which it ends without proof, and its bets."""

    pairs: int
    bets: tuple[float, ...]


def expected_pairs(lead: float, noise: float, log_threshold: float) -> float:
    """Pairs after which bets on a lead should have won, for scores of 0 and 1 (Kelly 1956); endless without a lead.

    A mixture of bets is worth its best one, less the logarithm of how many there are.
    """
    if lead <= 0.0:
        return math.inf
    lead = min(lead, 1.0)  # a model that adds up effects may expect more
    differ = differing(lead, noise)
    bets = bets_on(lead, differ)
    won, lost = (differ + lead) / 2.0, (differ - lead) / 2.0
    rate = won * math.log1p(bets[0]) + lost * math.log1p(-bets[0])
    return (log_threshold + math.log(len(bets))) / max(rate, 1e-9)


def differing(lead: float, noise: float) -> float:
    """The share of pairs in which the sides of a test differ, as the noise of a trial and the lead say."""
    return min(1.0, max(2.0 * noise + lead**2, lead))


def clipped(bets: Floats, worst: float) -> Floats:
    """Bets under which a loss of `worst` leaves a factor of at least SMALLEST_FACTOR."""
    return np.minimum(bets, (1.0 - SMALLEST_FACTOR) / worst) if worst > 0.0 else bets
