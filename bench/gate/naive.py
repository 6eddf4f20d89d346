"""The rules that others use, in the world of agent/kernel/decide/simulate.py: what the gate is compared with.

Each returns what it ended with: (commits, false commits, true gain, reported minus true), in score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import GateSettings, PairedTest, threshold
from agent.kernel.decide.simulate import SimulatedCampaign, many_tests
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.decide.world import World, sigmoid

Z95 = 1.645
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Figures:
    """What one campaign came to; `nulls` tests of candidates without effect took `null_trials` trials."""

    commits: int
    false_commits: int
    gain: float
    overstatement: float
    tests: int = 0
    nulls: int = 0
    null_trials: int = 0


def keep_if_better(world: World, budget: int, *, paired: bool) -> Figures:
    """Run every task once; keep the patch if it beat the champion, run again (`paired`) or as recorded."""
    count = world.gate.size
    skill, commits, wrong, used = 0.0, 0, 0, count
    recorded = _run(world, skill)
    while used + count * (1 + paired) <= budget:
        patched = skill + world.patch()
        score, bar = _run(world, patched), _run(world, skill) if paired else recorded
        used += count * (1 + paired)
        if score > bar:
            commits += 1
            wrong += patched <= skill
            skill, recorded = patched, score
    true = world.mean(skill)
    return Figures(commits, wrong, true - world.mean(0.0), recorded - true)


def strict_every_patch(world: World, budget: int, settings: GateSettings) -> Figures:
    """The gate alone: every patch of the champion meets it, without a search line."""
    skill, used, tests, commits, wrong, nulls, null_trials = 0.0, 0, 0, 0, 0, 0, 0
    fresh: list[float] = []
    while budget - used > 1:
        patched, tests = skill + world.patch(), tests + 1
        allowed = min(settings.max_pairs, (budget - used) // 2)
        before, after = world.pairs(skill, patched, allowed)
        accepted, pairs = first_decision(after - before, threshold(tests, commits, settings), settings)
        used += 2 * pairs
        if patched == skill:
            nulls, null_trials = nulls + 1, null_trials + 2 * pairs
        if accepted:
            commits, wrong, skill, fresh = commits + 1, wrong + (patched <= skill), patched, []
        else:
            fresh += [float(score) for score in before[:pairs]]
    true = world.mean(skill)
    reported = float(np.mean(fresh)) if fresh else _run(world, skill)
    return Figures(commits, wrong, true - world.mean(0.0), reported - true, tests, nulls, null_trials)


def first_decision(x: np.ndarray, bar: float, settings: GateSettings) -> tuple[bool, int]:
    """One test by the vectorised twin, looking no further than it must."""
    width = CHUNK
    while True:
        accepted, taken = many_tests(x[None, :width], bar, settings)
        if accepted[0] or taken[0] < min(width, x.size) or width >= x.size:
            return bool(accepted[0]), int(taken[0])
        width *= 2


def archive_alone(world: World, budget: int, strategy: str, settings: SearchSettings) -> Figures:
    """The search line without a gate: report the node with the best lower bound (thompson, hgm), or the best score."""
    campaign = SimulatedCampaign(world, budget, search=settings, gate=None, strategy=STRATEGIES[strategy]())
    campaign.run()
    won, lost = campaign.archive.scores
    trials = won + lost
    if strategy in {"thompson", "hgm"}:
        mean = (1.0 + won) / (2.0 + trials)
        best = int((mean - Z95 * np.sqrt(mean * (1.0 - mean) / (3.0 + trials))).argmax())
    else:
        full = trials >= settings.enough
        best = int(np.where(full, campaign.archive.means, -1.0).argmax())
    skill = campaign.skills[best]
    reported = float(campaign.archive.means[best]) - float(sigmoid(world.search + skill).mean())
    return Figures(0, 0, world.mean(skill) - world.mean(0.0), reported)


def ours(world: World, budget: int, search: SearchSettings, gate: GateSettings) -> Figures:
    """The search line and the gate."""
    strategy = STRATEGIES["thompson"]()
    end = SimulatedCampaign(world, budget, search=search, gate=gate, strategy=strategy).run()
    counts = (end.tests, end.null_tests, end.null_trials)
    return Figures(end.commits, end.false_commits, end.gain, end.overstatement, *counts)


def twin_disagreements(seed: int, tests: int, settings: GateSettings) -> int:
    """How many of `tests` random tests the vectorised twin decides otherwise than `PairedTest`."""
    rng, wrong = np.random.default_rng(seed), 0
    for index in range(1, tests + 1):
        a, b = rng.random((2, 400)) < rng.random((2, 1))
        test = PairedTest(settings, index, 0)
        decision = test.feed(zip(a.astype(float), b.astype(float), strict=True))
        accepted, taken = first_decision(b * 1.0 - a, threshold(index, 0, settings), settings)
        pairs = decision.pairs if decision else a.size
        wrong += (decision is not None and decision.accepted) != accepted or pairs != taken
    return wrong


def _run(world: World, skill: float) -> float:
    """The score of one run of every gate task."""
    return float((world.rng.random(world.gate.size) < sigmoid(world.gate + skill)).mean())
