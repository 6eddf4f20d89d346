"""Whether one scaffold improves better than another: figures of an experiment, with intervals. Pure, no I/O.

A proposal's gain is the mean over tasks of its candidate's score minus the parent's, in coupled trials of its own; a
refused one gains 0. So gains of a side are independent draws of what that improver does with this parent and this
brief, and intervals are of the gains (Student, Welch): chance of the improver and of the trials together. They are cut
to what is possible: a gain is in [-1, 1], a difference of two in [-2, 2]. Where all gains of a side are equal, no
variance can be estimated, and wider intervals that need none are taken. Nothing is said of other parents, briefs or
suites.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from agent.kernel.decide.statistics import beta_cdf
from agent.review.audit.fresh import betting_interval
from agent.review.summary import Estimate

LEVEL = 0.95
_FEWEST, _NONE = 2, 1e-18
ENOUGH = 10
"""Proposals a side below which an interval of gains, most of them 0, covers less than it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one improver did. `gains` has one figure a proposal, 0 for a refused one; `tokens` are of a proposal."""

    label: str
    gains: tuple[float, ...]
    admitted: int
    tokens: float

    @property
    def mean(self) -> float | None:
        """The mean gain, which one proposal has as well; None without any."""
        return fmean(self.gains) if self.gains else None

    @property
    def gain(self) -> Estimate | None:
        """The mean gain of a proposal; None below two proposals."""
        return student(self.gains)


@dataclass(frozen=True, kw_only=True, slots=True)
class Improvement:
    """The experiment: the improver that was asked about, and the one that it is compared with."""

    sides: tuple[Side, Side]

    @property
    def mean(self) -> float | None:
        """The difference of the mean gains; None where a side has no proposal."""
        first, second = (side.mean for side in self.sides)
        return None if first is None or second is None else first - second

    @property
    def difference(self) -> Estimate | None:
        """Mean gain of the first improver's proposals minus that of the second's."""
        return welch(self.sides[0].gains, self.sides[1].gains)

    @property
    def sentence(self) -> str:
        """The answer in words."""
        found = self.difference
        if found is None:
            return "too few proposals for an interval"
        if found.low > 0:
            return "the first improver improves better"
        return "the second improver improves better" if found.high < 0 else "not settled: the interval holds 0"

    @property
    def caution(self) -> str:
        """A warning where the interval is easily wrong; empty otherwise."""
        fewest = min(len(side.gains) for side in self.sides)
        if self.difference is None or fewest >= ENOUGH:
            return ""
        return f"{fewest} proposals a side are few: such an interval is easily wrong (--proposals {ENOUGH} or more)"


def gain(parent: Mapping[tuple[str, int], float], candidate: Mapping[tuple[str, int], float]) -> float:
    """Mean over the trials (task, run) that both have of the candidate's score minus the parent's."""
    both = parent.keys() & candidate.keys()
    return sum(candidate[one] - parent[one] for one in both) / len(both) if both else 0.0


def student(values: Sequence[float]) -> Estimate | None:
    """A mean with Student's 95 % interval; None below two values."""
    if len(values) < _FEWEST:
        return None
    if variance(values) < _NONE:
        return betting_interval(values)
    mean, error = fmean(values), math.sqrt(variance(values) / len(values))
    half = quantile(len(values) - 1) * error
    return _within(1.0, mean, half, len(values))


def welch(first: Sequence[float], second: Sequence[float]) -> Estimate | None:
    """The difference of two means with Welch's 95 % interval (1947); None below two values a side."""
    if min(len(first), len(second)) < _FEWEST:
        return None
    parts = [variance(values) / len(values) for values in (first, second)]
    whole, mean = sum(parts), fmean(first) - fmean(second)
    if min(parts) < _NONE:
        one, other = (betting_interval(values, (1.0 - LEVEL) / 2.0) for values in (first, second))
        return Estimate(mean=mean, low=one.low - other.high, high=one.high - other.low, n=one.n + other.n)
    below = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
    half = quantile(whole**2 / below) * math.sqrt(whole)
    return _within(2.0, mean, half, len(first) + len(second))


def _within(bound: float, mean: float, half: float, n: int) -> Estimate:
    """An interval around a mean, cut to [-bound, bound]."""
    return Estimate(mean=mean, low=max(-bound, mean - half), high=min(bound, mean + half), n=n)


def quantile(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's distribution, by bisection of its distribution function."""
    low, high = 0.0, 1e3
    for _ in range(80):
        t = (low + high) / 2.0
        inside = 1.0 - beta_cdf(freedom / (freedom + t * t), freedom / 2.0, 0.5)
        low, high = (t, high) if inside < LEVEL else (low, t)
    return high
