"""`python -m bench.gate.selection [--quick] [--trials N ...] [--strategy NAME ...]`: what a campaign finds.

The world of the head-to-head comparison with other systems: 60 tasks (20 search, 25 gate, 15 more), base .25; of the
proposals 10 % are worth +6 to +12 points at the base, 20 % as much less, 70 % nothing; effects add on the logit scale.
A full run writes SELECTION.md next to this file. Deterministic: no clock, recorded seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.simulate import Outcome, SimulatedCampaign
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.decide.world import World, WorldSettings, sigmoid, solve

RESULTS = Path(__file__).with_name("SELECTION.md")
SEED = 2027
MORE_TASKS = 15
LEAST, MOST = 0.06, 0.12
"""The points that a patch with an effect is worth at the base."""
ASIDE = 60
"""Trials that a real campaign uses for the A/A check, canaries and the holdout; they are taken off each budget."""
GROWTH = {"pooled": 0.66}
"""What campaign.yaml's default is for the strategy; the others are at 0.6."""
SPENDING = 2
"""What campaign.yaml's default is; the gate's own tables are at 30."""
PEERS = WorldSettings(search_tasks=20, gate_tasks=25, base=0.25, spread=1.5)
WORLDS = {
    "independent noise": PEERS,
    "coupled": replace(PEERS, coupled=True),
    "coupled, all patches in one file": replace(PEERS, coupled=True, merges=False),
    "nothing to find": replace(PEERS, good=0.0),
    "needle: 2 % good, none harmful": replace(PEERS, good=0.02, harmful=0.0, coupled=True),
}
REPETITIONS = {2000: 96, 6000: 24}
"""Trials of a campaign, and how many campaigns a row is made of."""
HEAD = f"""# What search and gate find

Seed {SEED}; {", ".join(f"{n} campaigns of {trials:,} trials" for trials, n in REPETITIONS.items())} a row.
Command: `python -m bench.gate.selection`. How to read this: [NOTES.md](NOTES.md). `passengers`:
patches without effect for each good one in the champion; `asked`: proposals asked of the improver.

"""
TABLE = """\
| world | trials | strategy | true points | overstated | good | passengers | commits | false | asked | bar |
|---|---|---|---|---|---|---|---|---|---|---|"""
BARS = {
    ("independent noise", 2000): 27.0,
    ("coupled", 2000): 38.0,
    ("independent noise", 6000): 60.0,
    ("coupled", 6000): 60.0,
}


class PoolWorld(World):
    """The world of the comparison: effects in points, true scores over all its tasks."""

    def __init__(self, settings: WorldSettings, rng: np.random.Generator) -> None:
        super().__init__(settings, rng)
        middle = float(np.concatenate([self.search, self.gate]).mean())
        self._all = np.concatenate([self.search, self.gate, rng.normal(middle, settings.spread, MORE_TASKS)])
        self._points = cache(lambda points: solve(lambda skill: self.true(skill) - self.true(0.0) - points))

    def patch(self) -> float:
        """The effect of one proposal on the skill."""
        kind, points = self.rng.random(), round(float(self.rng.uniform(LEAST, MOST)), 3)
        if kind < self.settings.good:
            return float(self._points(points))
        return float(self._points(-points)) if kind < self.settings.good + self.settings.harmful else 0.0

    def true(self, skill: float) -> float:
        """The true score over all tasks, not the gate's alone."""
        return float(sigmoid(self._all + skill).mean())


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One campaign: its outcome, its true gain, the champion's patches by kind, and the proposals asked for."""

    outcome: Outcome
    gain: float
    good: int
    passengers: int
    proposals: int


def campaign(settings: WorldSettings, budget: int, strategy: str, number: int) -> Found:
    """One simulated campaign of `budget` trials."""
    world = PoolWorld(settings, np.random.default_rng((SEED, number)))
    search = SearchSettings(task_count=settings.search_tasks, growth=GROWTH.get(strategy, 0.6), foreseen=budget)
    run = SimulatedCampaign(
        world,
        budget - ASIDE,
        search=search,
        gate=GateSettings(spending=SPENDING),
        strategy=STRATEGIES[strategy](),
        smoke=True,
    )
    outcome = run.run()
    held = [run.effects[patch] for patch in run.archive.patches(run.archive.champion)]
    return Found(
        outcome=outcome,
        gain=world.true(run.skills[run.archive.champion]) - world.true(0.0),
        good=sum(effect > 0 for effect in held),
        passengers=sum(effect <= 0 for effect in held),
        proposals=run.proposals,
    )


def row(found: Iterable[Found]) -> tuple[float, float, int, str]:
    """(true points, passengers a good patch, false commits, the cells of the table)."""
    ends = list(found)
    gains = 100 * np.array([end.gain for end in ends])
    over = 100 * np.array([end.outcome.overstatement for end in ends])
    good, passengers = (sum(getattr(end, name) for end in ends) for name in ("good", "passengers"))
    wrong, commits = (sum(getattr(end.outcome, name) for end in ends) for name in ("false_commits", "commits"))
    share = passengers / good if good else 0.0
    error = [float(values.std()) / len(ends) ** 0.5 for values in (gains, over)]
    cells = (
        f"{gains.mean():.1f} ± {error[0]:.1f} | {over.mean():+.1f} ± {error[1]:.1f} | {good / len(ends):.1f} | "
        f"{share:.2f} | {commits} | {wrong} | {np.mean([end.proposals for end in ends]):.0f}"
    )
    return float(gains.mean()), share, wrong, cells


def simulate(strategies: Sequence[str], repetitions: dict[int, int], target: Path | None) -> None:
    """The table, printed and kept row by row; rows of an earlier run that are not run now stay."""
    known = _kept(target) if target is not None and target.exists() else {}
    print(TABLE, flush=True)
    for budget, count in repetitions.items():
        for name, settings in WORLDS.items():
            for strategy in strategies:
                gain, _, _, cells = row(campaign(settings, budget, strategy, number) for number in range(count))
                bar = BARS.get((name, budget))
                met = "-" if bar is None else f">= {bar:.0f}: {'yes' if gain >= bar else '**no**'}"
                known[name, f"{budget:,}", strategy] = f"| {name} | {budget:,} | {strategy} | {cells} | {met} |"
                print(known[name, f"{budget:,}", strategy], flush=True)
                if target is not None:
                    target.write_text("\n".join([HEAD + TABLE, *known.values()]) + "\n", encoding="utf-8")


def _kept(target: Path) -> dict[tuple[str, str, str], str]:
    """World, trials and strategy -> row of a recorded table."""
    rows = [line for line in target.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    return {(cells[1], cells[2], cells[3]): line for line in rows if (cells := [c.strip() for c in line.split("|")])}


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions, nothing is written")
    parser.add_argument("--trials", nargs="*", type=int, default=[*REPETITIONS], choices=[*REPETITIONS])
    parser.add_argument("--strategy", nargs="*", default=["thompson", "pooled"], choices=sorted(STRATEGIES))
    given = parser.parse_args()
    repetitions = {trials: 2 if given.quick else REPETITIONS[trials] for trials in given.trials}
    simulate(given.strategy, repetitions, None if given.quick else RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
