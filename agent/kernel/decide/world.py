"""Simulated scaffolds: tasks of known difficulty, patches of known effect. Pure, no I/O.

A task has a difficulty theta ~ N(m, spread^2) on the logit scale, a scaffold a skill; a trial succeeds with chance
sigmoid(skill + theta). A patch moves the skill up, down, or (mostly) not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agent.kernel.decide.statistics import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldSettings:
    """Simulated tasks and patches; `good` and `harmful` are shares of all proposals, `effect` in logits.

    `coupled`: both sides of a pair share their chance wherever the patch leaves a trial as it was, and so do all
    candidates at one search index. `merges`: patches of several candidates can be put together.
    """

    search_tasks: int = 60
    gate_tasks: int = 60
    base: float = 0.35
    spread: float = 3.2
    effect: float = 0.44
    good: float = 0.1
    harmful: float = 0.2
    coupled: bool = False
    merges: bool = True


class World:
    """One suite and its seed scaffold, whose expected score is `base` on either split."""

    def __init__(self, settings: WorldSettings, rng: np.random.Generator) -> None:
        self.settings = settings
        self.rng = rng
        self.search = _tasks(settings.search_tasks, settings, rng)
        self.gate = _tasks(settings.gate_tasks, settings, rng)
        self._luck: dict[int, float] = {}

    def patch(self) -> float:
        """The effect of one proposal on the skill."""
        settings, kind = self.settings, self.rng.random()
        size = settings.effect * float(self.rng.uniform(0.5, 1.5))
        if kind < settings.good:
            return size
        return -size if kind < settings.good + settings.harmful else 0.0

    def luck(self, index: int) -> float:
        """The chance of one search trial, in [0, 1)."""
        if not self.settings.coupled:
            return float(self.rng.random())
        if index not in self._luck:
            self._luck[index] = float(self.rng.random())
        return self._luck[index]

    def mean(self, skill: float) -> float:
        """The true gate score."""
        return float(sigmoid(self.gate + skill).mean())

    def pairs(self, champion: float, candidate: float, count: int) -> tuple[Floats, Floats]:
        """Fresh gate scores of both sides."""
        theta = self.gate[self.rng.integers(self.gate.size, size=count)]
        chance = self.rng.random((2, count))
        if self.settings.coupled:
            chance[1] = chance[0]
        first, second = sigmoid(theta + champion), sigmoid(theta + candidate)
        return (chance[0] < first).astype(float), (chance[1] < second).astype(float)


def sigmoid(logits: Floats) -> Floats:
    """Chances from logits."""
    chances: Floats = 1.0 / (1.0 + np.exp(-logits))
    return chances


def _tasks(count: int, settings: WorldSettings, rng: np.random.Generator) -> Floats:
    spread = rng.normal(0.0, settings.spread, count)
    middle = solve(lambda shift: float(sigmoid(spread + shift).mean()) - settings.base)
    return spread + middle


def solve(rising: Callable[[float], float], width: float = 40.0) -> float:
    """Where a rising function crosses zero, by bisection; an end of the range where it does not."""
    low, high = -width, width
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0.0 else (low, middle)
    return (low + high) / 2
