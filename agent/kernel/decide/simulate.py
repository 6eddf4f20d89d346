"""Campaigns on simulated scaffolds, with the real gate and search code: what can be proved, at what price.

The numbers of the world (`world`) are those that reproduce the naive rows of bench/gate/RESULTS.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.kernel.decide.archive import Archive, Compose, Measure, SearchSettings, Step
from agent.kernel.decide.gate import GateSettings, PairedTest, Verdict, threshold
from agent.kernel.decide.pooled import Spend
from agent.kernel.decide.promotion import Promoter, promising, within
from agent.kernel.decide.strategies import STRATEGIES, Strategy
from agent.kernel.decide.world import World, WorldSettings, sigmoid, solve

Floats = NDArray[np.float64]

EFFECTS: Final = (0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
"""The improvements (in score) that a prediction tries, smallest first."""
HIGHEST: Final = 0.98
"""No patch is imagined to lift a suite above this score."""
HALF, NINETY = 0.5, 0.9
SIMULATED: Final = 6000
"""A prediction simulates whole campaigns up to this many trials, to answer within seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a simulated campaign came to. `gain` and `overstatement` are score differences."""

    commits: int
    false_commits: int
    gain: float
    overstatement: float
    nodes: int
    tests: int
    null_tests: int
    null_trials: int
    verdicts: Counter[str]


class SimulatedCampaign:
    """One simulated campaign of `budget` trials: the loop of the kernel without boxes, models or ledger.

    Args:
        world: the suite and what proposals do.
        budget: trials, both sides of every pair included.
        search: settings of the search line.
        gate: settings of the gate; None commits nothing (the search line alone).
        strategy: where the next proposal or trial goes.
        workers: steps of the search line that are in flight at a time.
        smoke: run the first search trial of every candidate at once, as a campaign does.
    """

    def __init__(
        self,
        world: World,
        budget: int,
        *,
        search: SearchSettings,
        gate: GateSettings | None,
        strategy: Strategy,
        workers: int = 4,
        smoke: bool = False,
    ) -> None:
        self.world, self.budget, self.gate, self.strategy, self.workers = (
            world,
            budget,
            gate,
            strategy,
            workers,
        )
        self.archive = Archive(search)
        self.archive.add(0, None)
        self.skills = [0.0]
        self.effects = [0.0]
        """What each node's own patch does to the skill."""
        self.used = self.gate_used = self.tests = self.commits = self.false_commits = 0
        self.null_tests = self.null_trials = self.proposals = 0
        self.verdicts: Counter[str] = Counter()
        self._chances = [sigmoid(world.search)]
        self._order = world.rng.permutation(world.search.size)
        self._smoke = smoke
        self._champions = {0}
        self._fresh: list[float] = []
        self._flying: list[Step] = []

    def run(self) -> Outcome:
        """Spend the budget."""
        while self.used < self.budget:
            step = self.strategy.next(self.archive, self.world.rng)
            self.archive.begin(step)
            self._flying.append(step)
            if len(self._flying) >= self.workers:
                self._finish(self._flying.pop(0))
        champion = self.skills[self.archive.champion]
        true = self.world.mean(champion)
        fresh = self._fresh or self._measure_champion()
        return Outcome(
            commits=self.commits,
            false_commits=self.false_commits,
            gain=true - self.world.mean(0.0),
            overstatement=float(np.mean(fresh)) - true,
            nodes=len(self.archive),
            tests=self.tests,
            null_tests=self.null_tests,
            null_trials=self.null_trials,
            verdicts=self.verdicts,
        )

    def _finish(self, step: Step) -> None:
        if isinstance(step, Measure):
            self._trial(step.node, step.turn)
        elif isinstance(step, Compose):
            self._compose(step.patches)
        else:
            self.proposals += 1
            self._add(self.skills[step.parent], self.world.patch())
            self._enter(step.parent)
        self.archive.end(step)
        if self.gate is not None and isinstance(step, Measure):
            node = self._contender(self.gate)
            if node is not None and (isinstance(self.strategy, Promoter) and self._merges(node)):
                self.archive.tried.add((node, self.archive.champion))
                self._compose(self.archive.patches(node) | self.archive.patches(self.archive.champion))
            elif node is not None:
                self._meet(node, self.gate)

    def _trial(self, node: int, turn: int) -> None:
        task = self._order[turn % self._order.size]
        self.archive.record(node, float(self.world.luck(turn) < self._chances[node][task]), turn)
        self.used += 1

    def _enter(self, parent: int, patches: frozenset[int] | None = None) -> None:
        """The newest candidate joins the archive."""
        node = len(self.archive)
        self.archive.add(node, parent, patches=patches)
        if self._smoke:
            self._trial(node, 0)

    def _add(self, skill: float, effect: float) -> None:
        self.effects.append(effect)
        self.skills.append(skill + effect)
        self._chances.append(sigmoid(self.world.search + self.skills[-1]))

    def _compose(self, patches: frozenset[int]) -> None:
        """A node of just these patches, whose effects add up; nothing where they do not merge."""
        if not self.world.settings.merges:
            return
        self._add(sum(self.effects[patch] for patch in patches), 0.0)
        self._enter(self.archive.champion, patches)

    def _merges(self, node: int) -> bool:
        """Whether a node must be brought onto the champion first, which makes a new one.

        What was put together since the champion was accepted is a patch of it, also where it takes patches out.
        """
        champion, held = self.archive.patches(self.archive.champion), self.archive.patches(node)
        free = self.world.settings.merges and self._base(node) != self.archive.champion
        return free and champion | held not in self.archive.composed

    def _base(self, node: int) -> int:
        """The champion, or the seed, that a node descends from most closely."""
        while node not in self._champions and (parent := self.archive.node(node).parent) is not None:
            node = parent
        return node

    def _contender(self, gate: GateSettings) -> int | None:
        if not isinstance(self.strategy, Promoter):
            return promising(self.archive, self.gate_used / self.budget)
        return self.strategy.contender(self.archive, self._spend(gate))

    def _spend(self, gate: GateSettings) -> Spend:
        bar = threshold(self.tests + 1, self.commits, gate)
        return Spend(foreseen=self.budget, used=self.used, gate=self.gate_used, log_threshold=bar)

    def _meet(self, node: int, settings: GateSettings) -> None:
        if isinstance(self.strategy, Promoter):
            settings = within(settings, self.strategy.terms(self.archive, node, self._spend(settings)))
        self.tests += 1
        test = PairedTest(settings, self.tests, self.commits)
        before, after = self.skills[self.archive.champion], self.skills[node]
        allowed = min(settings.max_pairs, (self.budget - self.used) // 2)
        pairs = list(zip(*self.world.pairs(before, after, allowed), strict=True))
        test.feed((float(a), float(b)) for a, b in pairs)
        decision = test.decide() or test.close(Verdict.OUT_OF_BUDGET, "the campaign ended")
        self.verdicts[decision.verdict] += 1
        self.archive.tried.add((node, self.archive.champion))
        self.archive.tested.add((node, self.archive.champion))
        self.used += 2 * decision.pairs
        self.gate_used += 2 * decision.pairs
        if after == before:
            self.null_tests += 1
            self.null_trials += 2 * decision.pairs
        if decision.accepted:
            self.commits += 1
            self.false_commits += self.world.mean(after) <= self.world.mean(before)
            self.archive.crown(node)
            self._champions.add(node)
            self._fresh = []
        else:
            self._fresh += [float(a) for a, _ in pairs[: decision.pairs]]

    def _measure_champion(self) -> list[float]:
        """One fresh run of every gate task, as the holdout run after an acceptance."""
        skill = self.skills[self.archive.champion]
        return [float(score) for score in self.world.pairs(skill, skill, self.world.gate.size)[0]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a campaign can be expected to do. Times in hours, money in US dollars, effects in score.

    `provable_half` and `provable_ninety` are the smallest improvements proved with power .5 and .9 by the
    first candidate at the gate; None when even the largest tried is not. `commits` and `gain` are those of
    the first 6,000 trials.
    """

    trials: int
    proposals: float
    dollars: float | None
    hours: float | None
    pairs_without_effect: float
    provable_half: float | None
    provable_ninety: float | None
    commits: float
    gain: float
    sentence: str


def predict(
    *,
    search_tasks: int,
    gate_tasks: int,
    trials: int,
    search: SearchSettings,
    gate: GateSettings,
    strategy: str = "thompson",
    dollars_per_trial: float | None = None,
    seconds_per_trial: float | None = None,
    parallel: int = 1,
    base: float = 0.35,
    coupled: bool = False,
    seed: int = 0,
) -> Prediction:
    """Simulate a few campaigns of `trials` trials, and the power of the first test at the gate.

    `base` is the seed scaffold's expected score. Every figure is a simulation's, for the world above:
    real patches differ, so this says what the arithmetic allows, not what the model will achieve.
    """
    settings = WorldSettings(search_tasks=search_tasks, gate_tasks=gate_tasks, base=base, coupled=coupled)
    world = World(settings, np.random.default_rng((seed, 0)))
    pairs = min(gate.max_pairs, int(trials * search.max_gate_share) // 2)
    half, ninety = _provable(world, pairs, gate)
    shown = min(trials, SIMULATED)
    outcomes = [
        _one(settings, shown, search, gate, STRATEGIES[strategy], seed=(seed, number))
        for number in range(1, 2 + min(4, SIMULATED // max(2 * trials, 1)))
    ]
    nodes = float(np.mean([outcome.nodes for outcome in outcomes]))
    return Prediction(
        trials=trials,
        proposals=nodes * (trials / shown) ** search.growth - 1.0,
        dollars=None if dollars_per_trial is None else trials * dollars_per_trial,
        hours=None if seconds_per_trial is None else trials * seconds_per_trial / parallel / 3600,
        pairs_without_effect=power_of(world, 0.0, pairs, gate)[1] if pairs else 0.0,
        provable_half=half,
        provable_ninety=ninety,
        commits=float(np.mean([outcome.commits for outcome in outcomes])),
        gain=float(np.mean([outcome.gain for outcome in outcomes])),
        sentence=_sentence(trials, pairs, half, ninety),
    )


def power_of(world: World, effect: float, pairs: int, gate: GateSettings, paths: int = 200) -> tuple[float, float]:
    """(chance that the first test proves a patch worth `effect`, mean pairs taken) with at most `pairs`."""
    skill = solve(lambda shift: world.mean(shift) - world.mean(0.0) - effect) if effect else 0.0
    before, after = world.pairs(0.0, skill, paths * pairs)
    accepted, taken = many_tests((after - before).reshape(paths, pairs), threshold(1, 0, gate), gate)
    return float(accepted.mean()), float(taken.mean())


def many_tests(x: Floats, log_threshold: float, settings: GateSettings) -> tuple[NDArray[np.bool_], Floats]:
    """`PairedTest` on many rows of differences at once: (accepted, pairs taken), one a row.

    A row that reaches its end counts as not accepted. Checked against the real class in the tests.
    """
    lambdas = np.asarray(settings.lambdas)
    doubts = lambdas[lambdas <= settings.futility_lambda_max]
    doubt = _mixture(-doubts, x - settings.smallest_effect)
    hopeless = doubt >= -math.log(settings.futility_beta)
    hopeless[:, : settings.futility_min_pairs - 1] = False
    proven = _first(evidence_of(x, settings) >= log_threshold)
    ended = np.minimum(_first(hopeless), x.shape[1])
    accepted = (proven <= ended) & (proven <= x.shape[1])
    return accepted, np.minimum(proven, ended).astype(float)


def evidence_of(x: Floats, settings: GateSettings) -> Floats:
    """The logarithm of E_n after every pair, for rows of differences."""
    return _mixture(np.asarray(settings.bets or settings.lambdas), x)


def _mixture(bets: Floats, x: Floats) -> Floats:
    logs = np.zeros((bets.size, *x.shape))
    for row, bet in zip(logs, bets, strict=True):
        np.log1p(bet * x).cumsum(axis=1, out=row)
    top = logs.max(axis=0)
    mixture: Floats = top + np.log(np.exp(logs - top).mean(axis=0))
    return mixture


def _first(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place from 1 of the first hit of each row; past the end, plus one more, without a hit."""
    places: NDArray[np.int64] = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, hit.shape[1] + 1)
    return places


def _one(
    settings: WorldSettings,
    trials: int,
    search: SearchSettings,
    gate: GateSettings,
    strategy: Callable[[], Strategy],
    *,
    seed: tuple[int, int],
) -> Outcome:
    world = World(settings, np.random.default_rng(seed))
    return SimulatedCampaign(world, trials, search=search, gate=gate, strategy=strategy()).run()


def _provable(world: World, pairs: int, gate: GateSettings) -> tuple[float | None, float | None]:
    """The smallest of EFFECTS that the first test proves half of the time, and nine times in ten."""
    half = None
    for effect in EFFECTS if pairs else ():
        if effect > HIGHEST - world.settings.base:
            break
        power = power_of(world, effect, pairs, gate)[0]
        half = effect if half is None and power >= HALF else half
        if power >= NINETY:
            return half, effect
    return half, None


def _sentence(trials: int, pairs: int, half: float | None, ninety: float | None) -> str:
    if half is None:
        return (
            f"{trials:,} trials leave {pairs:,} pairs for the gate: too few to prove any improvement. "
            "Give more trials, or choose `gate: better`, which proves nothing and says so."
        )
    if half == ninety:
        return f"{trials:,} trials can prove an improvement of {100 * half:g} points nine times in ten."
    text = f"{trials:,} trials can prove an improvement of {100 * half:g} points half of the time"
    return text + (f", of {100 * ninety:g} points nine times in ten." if ninety is not None else ".")
