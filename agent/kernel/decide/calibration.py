"""What runs of the seed say about a suite: which tasks can show progress, how noisy they are, what can be proved.

Pure. A task has headroom if a candidate can do better on it than the seed does: not if the seed always solves it, nor
if neither the seed nor the reference ever does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from agent.base.types import Split
from agent.kernel.decide.gate import GateSettings, threshold
from agent.kernel.decide.simulate import many_tests
from agent.kernel.decide.statistics import Floats
from agent.kernel.decide.world import World, WorldSettings, solve

PATHS: Final = 400
"""Simulated tests behind a number of pairs."""
NINETY: Final = 0.9
DEALT: Final = (
    Split.GATE,
    Split.SEARCH,
    Split.HOLDOUT,
    Split.GATE,
    Split.HOLDOUT,
    Split.SEARCH,
    Split.GATE,
)
"""How tasks are dealt to splits in the order of their difficulty: 2 : 3 : 2, each as hard as the others."""


class Headroom(StrEnum):
    """Whether a task can show that a candidate is better."""

    YES = "yes"
    ALWAYS = "always solved"
    NEVER = "never solved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One task: its split, the seed's scores and, where there is a reference, the reference's."""

    task: str
    split: Split
    scores: tuple[float, ...]
    reference: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """The seed's mean score."""
        return sum(self.scores) / len(self.scores)

    @property
    def reference_rate(self) -> float | None:
        """The reference's mean score."""
        return sum(self.reference) / len(self.reference) if self.reference else None

    @property
    def noise(self) -> float:
        """The variance of one run's score; 0 for a single run."""
        return float(np.var(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0

    @property
    def headroom(self) -> Headroom:
        """Whether it can show progress, as far as these runs tell."""
        if min(self.scores) >= 1:
            return Headroom.ALWAYS
        return Headroom.YES if max(*self.scores, *self.reference, 0.0) > 0 else Headroom.NEVER


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What a set of gate tasks can prove. `room` is the greatest possible gain in score.

    `pairs` is how many pairs the first test takes to prove the wanted effect nine times in ten, `trials` the budget
    that leaves the gate so many; None if it cannot be proved within the gate's largest number of pairs.
    """

    tasks: int
    room: float
    pairs: int | None
    trials: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What a suite is good for. `noise` is the standard deviation of one pair without any effect.

    `sizes` are numbers of tasks with headroom a split at which the wanted effect, if it is there, is two standard
    errors above nothing on tasks like these.
    """

    tasks: tuple[Measured, ...]
    effect: float
    noise: float
    now: Proof
    proposed: Proof
    splits: Mapping[str, Split]
    sizes: Mapping[Split, int]

    def without_headroom(self, kind: Headroom) -> list[str]:
        """The tasks that are always, or never, solved."""
        return [one.task for one in self.tasks if one.headroom is kind]


def calibrated(tasks: Sequence[Measured], effect: float, gate: GateSettings, share: float) -> Calibration:
    """Put the runs of a suite together.

    Args:
        tasks: every task that was run.
        effect: the improvement in score that one wants to prove.
        gate: the gate's numbers.
        share: the part of a campaign's trials that the gate may take.
    """
    useful = sorted((one for one in tasks if one.headroom is Headroom.YES), key=lambda one: (one.rate, one.task))
    splits = {one.task: DEALT[place % len(DEALT)] for place, one in enumerate(useful)}
    current = [one for one in tasks if one.split is Split.GATE]
    dealt = [one for one in useful if splits[one.task] is Split.GATE]
    spread = float(np.mean([one.noise for one in tasks])) if tasks else 0.0
    return Calibration(
        tasks=tuple(tasks),
        effect=effect,
        noise=math.sqrt(2 * spread),
        now=_proof(current, effect, gate, share),
        proposed=_proof(dealt, effect, gate, share),
        splits=splits,
        sizes=_sizes(effect, float(np.mean([one.noise for one in useful])) if useful else 0.0),
    )


def _sizes(effect: float, noise: float) -> dict[Split, int]:
    """Tasks a split. A patch of this effect differs most between tasks if it solves a part of them and no other.

    The gate runs its tasks often enough to average their noise out; the holdout runs each once a side.
    """
    between = effect * (1 - effect)
    gate = math.ceil(4 * between / effect**2)
    return {
        Split.SEARCH: math.ceil(gate * 2 / 3),
        Split.GATE: gate,
        Split.HOLDOUT: math.ceil(4 * (between + 2 * noise) / effect**2),
    }


def _proof(tasks: Sequence[Measured], effect: float, gate: GateSettings, share: float) -> Proof:
    room = float(np.mean([_room(one) for one in tasks])) if tasks else 0.0
    pairs = pairs_for(_logits(tasks), effect, gate) if room >= effect else None
    trials = None if pairs is None else math.ceil(2 * pairs / share)
    return Proof(tasks=len(tasks), room=room, pairs=pairs, trials=trials)


def _room(task: Measured) -> float:
    return 1 - task.rate if task.headroom is Headroom.YES else 0.0


def _logits(tasks: Sequence[Measured]) -> Floats:
    """Difficulties; half a success and half a failure are added, so that few runs do not look certain."""
    won = np.array([sum(one.scores) + 0.5 for one in tasks])
    lost = np.array([len(one.scores) - sum(one.scores) + 0.5 for one in tasks])
    difficulty: Floats = np.log(won / lost)
    # What has no headroom stays as it is, whatever a patch does.
    fixed = {Headroom.ALWAYS: np.inf, Headroom.NEVER: -np.inf}
    return np.array([fixed.get(one.headroom, float(x)) for one, x in zip(tasks, difficulty, strict=True)])


def pairs_for(difficulty: Floats, effect: float, gate: GateSettings) -> int | None:
    """Pairs with which the first test proves a patch worth `effect` nine times in ten; None if there are too few."""
    world = World(WorldSettings(coupled=True), np.random.default_rng(0))
    world.gate = difficulty
    start = world.mean(0.0)
    skill = solve(lambda shift: world.mean(shift) - start - effect)
    if abs(world.mean(skill) - start - effect) > effect / 100:
        return None
    before, after = world.pairs(0.0, skill, PATHS * gate.max_pairs)
    accepted, taken = many_tests((after - before).reshape(PATHS, gate.max_pairs), threshold(1, 0, gate), gate)
    proved = np.sort(taken[accepted])
    place = math.ceil(NINETY * PATHS) - 1
    return int(proved[place]) if proved.size > place else None
