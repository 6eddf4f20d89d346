"""`python -m bench.gate.attacked [--quick]`: whole campaigns under attack, with the default search strategy.

No patch has an effect. Each knows the search tasks by heart, so that it is promising at once, and attacks its tests at
the gate by one channel of `adversary`, against the defences. Search, promotion and thresholds are the real ones. Writes
ATTACKS.md next to this file.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.pooled import Pooled
from agent.kernel.decide.simulate import SimulatedCampaign
from agent.kernel.decide.world import World, WorldSettings
from bench.gate import adversary
from bench.gate.adversary import DEMO, Attack, Meets

RESULTS = Path(__file__).with_name("ATTACKS.md")
SEED = 2028
TRIALS = 1_000
CAMPAIGNS, QUICK = 50, 5
NOTHING_TO_FIND = WorldSettings(search_tasks=20, gate_tasks=25, good=0.0, harmful=0.0)
BY_HEART = 0.98
"""The chance that a patch solves a search task."""
VOID_PAIRS = 20
"""What a test that came to no verdict cost, in pairs."""


class Attacked(SimulatedCampaign):
    """A campaign of `TRIALS` trials in which every candidate but the seed attacks; `meets` are its tests."""

    def __init__(self, meets: Meets, rng: np.random.Generator) -> None:
        search = SearchSettings(task_count=NOTHING_TO_FIND.search_tasks, growth=0.66, foreseen=TRIALS)
        super().__init__(World(NOTHING_TO_FIND, rng), TRIALS, search=search, gate=DEMO, strategy=Pooled(), smoke=True)
        self._meets = meets

    def _trial(self, node: int, turn: int) -> None:
        if node == 0:
            super()._trial(node, turn)
            return
        self.archive.record(node, float(self.world.rng.random() < BY_HEART), turn)
        self.used += 1

    def _meet(self, node: int, settings: GateSettings) -> None:  # noqa: ARG002 - the attack has its own
        self.tests += 1
        decision = self._meets(self.world.rng, self.tests, self.commits)
        self.archive.tried.add((node, self.archive.champion))
        pairs = VOID_PAIRS if decision is None else decision.pairs
        self.used += 2 * pairs
        self.gate_used += 2 * pairs
        if adversary.accepted(decision):
            self.commits += 1
            self.false_commits += 1
            self.archive.crown(node)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What campaigns came to: the share with a false commit, and tests a campaign."""

    share: float
    tests: float


def seen(attack: Attack, campaigns: int, channel: int) -> Seen:
    """Run them."""
    ends = [Attacked(attack.closed, np.random.default_rng((SEED, channel, n))).run() for n in range(campaigns)]
    return Seen(
        share=sum(end.false_commits > 0 for end in ends) / campaigns, tests=sum(end.tests for end in ends) / campaigns
    )


def head(campaigns: int) -> str:
    """What stands above the rows."""
    most = adversary.bound(DEMO.level, campaigns)
    return f"""\
# Whole campaigns under attack

Seed {SEED}; {campaigns} campaigns of {TRIALS:,} trials a row, `search.strategy: pooled`,
alpha {DEMO.level:.2f}. Command: `python -m bench.gate.attacked`. No patch has an effect; each knows
the search tasks by heart and attacks every test at the gate. The bar is what a rate of alpha
shows at most in so many campaigns, 99 times in 100: {most:.3f}.

| attack | tests a campaign | campaigns with a false commit | met |
|---|---|---|---|"""


def main() -> int:
    """The command; rows of an earlier run that are not run now stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few campaigns; nothing is written")
    parser.add_argument("--only", nargs="*", choices=[attack.name for attack in adversary.ATTACKS])
    given = parser.parse_args()
    campaigns = QUICK if given.quick else CAMPAIGNS
    most, missed = adversary.bound(DEMO.level, campaigns), 0
    known = {} if given.quick else _kept()
    print(head(campaigns), flush=True)
    for channel, attack in enumerate(adversary.ATTACKS):
        if given.only is None or attack.name in given.only:
            found = seen(attack, campaigns, channel)
            missed += found.share > most
            met = "yes" if found.share <= most else "**no**"
            known[attack.name] = f"| {attack.name} | {found.tests:.1f} | {found.share:.3f} | {met} |"
            print(known[attack.name], flush=True)
            if not given.quick:
                rows = [known[one.name] for one in adversary.ATTACKS if one.name in known]
                RESULTS.write_text("\n".join([head(campaigns), *rows]) + "\n", encoding="utf-8")
    return int(missed > 0)


def _kept() -> dict[str, str]:
    """Attack -> its row in the recorded table."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


if __name__ == "__main__":
    sys.exit(main())
