"""How much the gate bets on a pair. Pure, no I/O."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from agent.kernel.decide.statistics import Floats

SMALLEST_FACTOR: Final = 0.05
"""Bets are clipped so that no single pair can take more than 95 % of the evidence away."""

BETS: Final = (0.06, 0.12, 0.24, 0.48, 0.9)
"""The lambdas that a test mixes."""

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


def clipped(bets: Floats, worst: float) -> Floats:
    """Bets under which a loss of `worst` leaves a factor of at least SMALLEST_FACTOR."""
    return np.minimum(bets, (1.0 - SMALLEST_FACTOR) / worst) if worst > 0.0 else bets
