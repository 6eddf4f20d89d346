"""The error of the gate under nulls of every kind, and its power, by simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.kernel.decide.gate import GateSettings, threshold
from agent.kernel.decide.simulate import evidence_of, many_tests
from agent.kernel.decide.world import World, WorldSettings, sigmoid

Floats = NDArray[np.float64]
ROWS = 250
BARS = (10, 20, 100)
RETRY_SHARE = 1.0
"""A repairing patch asks the model as often again as the first attempt did, where that attempt failed."""


def fair(rng: np.random.Generator, paths: int, pairs: int) -> Floats:
    """Two equal scaffolds of even chance: the widest differences that pass and fail can make."""
    sides = rng.integers(0, 2, (2, paths, pairs)).astype(float)
    difference: Floats = sides[1] - sides[0]
    return difference


def suite(rng: np.random.Generator, paths: int, pairs: int) -> Floats:
    """Equal scaffolds on 60 tasks of mixed difficulty, tasks drawn afresh for every pair."""
    world = World(WorldSettings(), rng)
    before, after = world.pairs(0.0, 0.0, paths * pairs)
    return (after - before).reshape(paths, pairs)


def shuffled(rng: np.random.Generator, paths: int, pairs: int) -> Floats:
    """A real gain of 10 points with the labels of the sides shuffled pair by pair."""
    a, b = rng.random((2, paths, pairs)) < np.array([0.4, 0.5])[:, None, None]
    difference: Floats = (b * 1.0 - a) * rng.choice([-1.0, 1.0], (paths, pairs))
    return difference


def skewed(rng: np.random.Generator, paths: int, pairs: int) -> Floats:
    """A little better 95 times in 100 and far worse 5 times, with mean zero: what a mean test falls for."""
    return np.where(rng.random((paths, pairs)) < 0.95, 0.05, -0.95)


def traded(rng: np.random.Generator, paths: int, pairs: int) -> Floats:
    """Better on half of the tasks by 40 points, worse on the other half by as much."""
    gain = rng.choice([-0.4, 0.4], (paths, pairs))
    a, b = rng.random((2, paths, pairs))
    difference: Floats = (b < 0.5 + gain / 2) * 1.0 - (a < 0.5 - gain / 2)
    return difference


def adversarial(rng: np.random.Generator, paths: int, pairs: int) -> Floats:
    """Picks the size of each fair bet after seeing all evidence: bold when behind, and just enough near 100."""
    settings = GateSettings()
    bets = np.asarray(settings.lambdas)[:, None]
    wealth, x = np.zeros((bets.size, paths)), np.zeros((paths, pairs))
    for pair in range(pairs):
        top = wealth.max(axis=0)
        log_e = top + np.log(np.exp(wealth - top).mean(axis=0))
        size = np.where(log_e >= np.log(BARS[-1]), 0.0, np.where(log_e > np.log(BARS[0]), 0.3, 1.0))
        x[:, pair] = size * rng.choice([-1.0, 1.0], paths)
        wealth += np.log1p(bets * x[:, pair])
    return x


NULLS: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "fair coins": fair,
    "60 mixed tasks": suite,
    "shuffled labels": shuffled,
    "skewed": skewed,
    "gains traded for losses": traded,
    "adversarial": adversarial,
}


def crossings(kind: str, seed: int, paths: int = 3000, pairs: int = 2000) -> list[float]:
    """P(sup E_n >= bar) for each of BARS over null paths."""
    rng, hits = np.random.default_rng(seed), np.zeros(len(BARS))
    for _ in range(paths // ROWS):
        peak = evidence_of(NULLS[kind](rng, ROWS, pairs), GateSettings()).max(axis=1)
        hits += [float((peak >= np.log(bar)).sum()) for bar in BARS]
    return [float(hit) / paths for hit in hits]


def any_false_commit(settings: GateSettings, kind: str, seed: int, campaigns: int, candidates: int = 100) -> float:
    """Share of campaigns of null candidates, each followed to the last pair, with any commit at all."""
    rng, hits = np.random.default_rng(seed), 0
    bars = np.array([threshold(i, 0, settings) for i in range(1, candidates + 1)])
    for _ in range(campaigns):
        x = NULLS[kind](rng, candidates, settings.max_pairs)
        hits += bool((evidence_of(x, settings).max(axis=1) >= bars).any())
    return hits / campaigns


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """The first test of candidates of one true effect; `calls` counts model calls in champion's trials."""

    effect: float
    pairs: float
    power: float
    calls: float


def repair(effect: float, *, coupled: bool, settings: GateSettings, seed: int, worlds: int, paths: int) -> Power:
    """A patch that tries again where the champion fails: p + (1 - p) r on every one of 60 tasks."""
    rng = np.random.default_rng(seed)
    accepted, taken, calls = [], [], []
    for _ in range(worlds):
        world = World(WorldSettings(base=0.4), rng)
        chance = sigmoid(world.gate)
        repaired = chance + (1.0 - chance) * effect / (1.0 - chance.mean())
        task = rng.integers(chance.size, size=(paths, settings.max_pairs))
        first = rng.random(task.shape)
        second = first if coupled else rng.random(task.shape)
        x = (second < repaired[task]) * 1.0 - (first < chance[task])
        won, pairs = many_tests(x, threshold(1, 0, settings), settings)
        accepted.append(won.mean())
        taken.append(pairs.mean())
        retries = RETRY_SHARE * (1.0 - float(chance.mean())) if effect else 0.0
        calls.append(pairs.mean() * ((1.0 if coupled else 2.0) + retries))
    means = [float(np.mean(values)) for values in (taken, accepted, calls)]
    return Power(effect=effect, pairs=means[0], power=means[1], calls=means[2])
