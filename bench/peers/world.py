"""Simulated worlds with known truth, for every system alike. Standard library only: it runs in each peer's environment.

A program is the set of the patches that it holds. Patch n of a world has a fixed effect; patches are dealt as 1, 2, 3,
... to the one that asks, so that all systems see the same ones. There are 60 tasks of different difficulty,
and the base solves a quarter of them. Effects work on the logit scale.

| world | good | harmful | null | what is special |
|---|---|---|---|---|
| add | 10 % | 20 % | 70 % | effects add |
| mechanisms | 10 % | 20 % | 70 % | they do not: good patches belong to 6 mechanisms, and the best of each counts |
| some-tasks | 10 % | 20 % | 70 % | a patch acts on a third of the tasks |
| nothing | 0 % | 20 % | 80 % | there is nothing to find |
| needle | 2 % | 20 % | 78 % | a needle in noise: few good ones, each +10 to +20 points |
| flat | 0 % | 0 % | 100 % | costs nothing to evaluate: for overhead |
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

TASKS: Final = 60
BASE: Final = 0.25
SPREAD: Final = 1.5
MECHANISMS: Final = 6
PART: Final = 3
"""In `some-tasks` a patch acts on one task in so many."""


@dataclass(frozen=True)
class Kind:
    """The shares of good and harmful patches, and how many points they are worth at the base."""

    good: float = 0.10
    harmful: float = 0.20
    points: tuple[float, float] = (0.06, 0.12)
    mechanisms: int = 0
    part: int = 1


KINDS: Final = {
    "add": Kind(),
    "mechanisms": Kind(mechanisms=MECHANISMS),
    "some-tasks": Kind(part=PART),
    "nothing": Kind(good=0.0),
    "needle": Kind(good=0.02, points=(0.10, 0.20)),
    "flat": Kind(good=0.0, harmful=0.0),
}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def solve(rising: Callable[[float], float], low: float = -20.0, high: float = 20.0) -> float:
    """Where a rising function is 0."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class Patch:
    """An effect in logits, on the tasks whose number modulo PART is `on` (all of them with None)."""

    effect: float
    mechanism: int | None
    on: int | None


class World:
    """One world with one seed."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed, self.kind = name, seed, KINDS[name]
        rng = random.Random(f"tasks{seed}")
        raw = [rng.gauss(0, SPREAD) for _ in range(TASKS)]
        middle = solve(lambda s: sum(sigmoid(x + s) for x in raw) / TASKS - BASE)
        self.easiness = [x + middle for x in raw]
        self._patches: dict[int, Patch] = {}
        self._chances: dict[frozenset[int], list[float]] = {}

    def patch(self, number: int) -> Patch:
        if number not in self._patches:
            self._patches[number] = self._drawn(number)
        return self._patches[number]

    def _drawn(self, number: int) -> Patch:
        rng, kind = random.Random(f"patch{self.seed}-{number}"), self.kind
        draw, points = rng.random(), rng.uniform(*kind.points)
        on = rng.randrange(kind.part) if kind.part > 1 else None
        mechanism = rng.randrange(kind.mechanisms) if kind.mechanisms else None
        if draw >= kind.good + kind.harmful:
            return Patch(0.0, None, on)
        touched = [x for n, x in enumerate(self.easiness) if on is None or n % kind.part == on]
        base, moved = sum(map(sigmoid, touched)) / TASKS, points if draw < kind.good else -points
        most, least = 0.98 * len(touched) / TASKS - base, 0.02 * len(touched) / TASKS - base
        aim = min(max(moved, least), most)
        effect = solve(lambda s: sum(sigmoid(x + s) for x in touched) / TASKS - base - aim)
        return Patch(effect, mechanism if effect > 0 else None, on)

    def chances(self, ids: Iterable[int]) -> list[float]:
        """For each task the chance that a program with these patches solves it."""
        key = frozenset(ids)
        if key not in self._chances:
            if len(self._chances) > 4096:
                self._chances.clear()
            self._chances[key] = self._computed(key)
        return self._chances[key]

    def _computed(self, ids: Collection[int]) -> list[float]:
        patches = [self.patch(n) for n in ids]
        best: dict[int, Patch] = {}
        for patch in patches:
            if patch.mechanism is not None and patch.effect > best.get(patch.mechanism, Patch(0, None, None)).effect:
                best[patch.mechanism] = patch
        counting = [*(p for p in patches if p.mechanism is None and p.effect), *best.values()]
        everywhere = sum(p.effect for p in counting if p.on is None)
        parts = [sum(p.effect for p in counting if p.on == part) for part in range(self.kind.part)]
        return [sigmoid(x + everywhere + parts[n % self.kind.part]) for n, x in enumerate(self.easiness)]

    def true(self, ids: Iterable[int], tasks: Sequence[int] | None = None) -> float:
        chances = self.chances(ids)
        return sum(chances if tasks is None else [chances[n] for n in tasks]) / (TASKS if tasks is None else len(tasks))

    def kinds(self, ids: Iterable[int]) -> dict[str, int]:
        """How many good, null and harmful patches there are among some."""
        effects = [self.patch(n).effect for n in {*ids}]
        return {
            "good": sum(e > 0 for e in effects),
            "null": sum(e == 0 for e in effects),
            "harmful": sum(e < 0 for e in effects),
        }


_LINE = re.compile(r"PATCHES = \[([\d, ]*)\]")


def ids_of(text: str) -> list[int]:
    """The patches of a program's text: those of its last such line."""
    found = _LINE.findall(text)
    return [int(x) for x in found[-1].replace(" ", "").split(",") if x] if found else []


def program(ids: Iterable[int]) -> str:
    """A program as text."""
    return f"PATCHES = [{', '.join(map(str, ids))}]"
