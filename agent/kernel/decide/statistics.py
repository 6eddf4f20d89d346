"""Statistics of the search line and the gate that numpy does not have. Pure, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = Ints | slice
EVERY: Final = slice(None)

Z: Final = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""

FRESH: Final = 256
"""Rows that get a new draw for each decision, so that its time does not grow with the archive."""


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(Beta(a, b) <= x), by the continued fraction of DLMF 8.17.22 with the modified Lentz method.

    The q-quantile is above x exactly when this is below q, so no quantile is ever solved for.
    """
    if not 0.0 < x < 1.0:  # nor is nan
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny, c, d, value, m = 1e-300, 1.0, 0.0, 1.0, 0
    while True:
        half = m // 2
        if m == 0:
            step = 1.0
        elif m % 2:
            step = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            step = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1.0 / (1.0 + step * d or tiny)
        c = 1.0 + step / c or tiny
        value *= c * d
        if abs(c * d - 1.0) < 1e-14:  # noqa: PLR2004  (double precision)
            return math.exp(log) * (value - 1.0) / a
        m += 1


def lead_in_errors(scores: Floats, champion: Floats) -> Floats:
    """By how many standard errors the posterior mean of each (successes, failures) exceeds the champion's."""
    won, lost = np.column_stack([scores, champion]) + 1.0
    mean = won / (won + lost)
    variance = mean * (1.0 - mean) / (won + lost + 1.0)
    lead: Floats = (mean[:-1] - mean[-1]) / np.sqrt(variance[:-1] + variance[-1])
    return lead


class Draws:
    """One draw a row from its Beta posterior.

    Up to `FRESH` rows, all are drawn for every decision. In a larger archive it is `FRESH` of them in turn,
    the new ones, and the one chosen last; the others keep their draws, which lag behind by a few decisions.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0)
        self._turn, self._chosen = 0, 0

    def best(self, posterior: Callable[[Rows], Floats], allowed: Ints, rng: np.random.Generator) -> int:
        """The row with the best draw among those allowed; `posterior` gives (a, b) x the rows that it is asked for."""
        rows = self._due(len(allowed))
        self._held[rows] = rng.beta(*posterior(rows))
        self._chosen = int(np.where(allowed > 0, self._held, -1.0).argmax())
        return self._chosen

    def _due(self, many: int) -> Rows:
        known = len(self._held)
        if many <= FRESH or not known:
            self._held = np.zeros(many)
            return EVERY
        if many > known:
            self._held = np.append(self._held, np.zeros(many - known))
        due = np.arange(self._turn, self._turn + FRESH) % many
        self._turn = (self._turn + FRESH) % many
        return np.concatenate([due, np.arange(known, many), [self._chosen]])


def sign_flip(differences: Iterable[float], shift: float = 0.0) -> tuple[float, float]:
    """(P(S > 0), P(S >= observed)) when every difference is as likely as its opposite (Fisher 1935).

    S is `shift` plus the sum of the differences. Fresh runs of equal scaffolds on one task are exchangeable,
    so given the sizes |d_j| all 2^n signs are equally likely. Differences are rounded to 1/1000.
    """
    steps = [round(1000 * d) for d in differences]
    still = round(1000 * shift)
    sizes = [abs(step) for step in steps if step]
    chances = np.ones(1)
    for size in sizes:
        wider = np.zeros(chances.size + size)
        wider[: chances.size] += chances / 2
        wider[size:] += chances / 2
        chances = wider
    sums = 2 * np.arange(chances.size) - sum(sizes)
    return float(chances[sums + still > 0].sum()), float(chances[sums >= sum(steps)].sum())


def wilson(mean: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval (1927) of a mean over n trials; conservative for scores that are not binary."""
    if not n:
        return 0.0, 1.0
    centre = (mean + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(mean * (1 - mean) / n + Z * Z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def log_mean_exp(logs: Floats) -> float:
    """Ln of the mean of exp(logs), without overflow."""
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))
