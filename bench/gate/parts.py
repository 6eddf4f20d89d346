"""`python -m bench.gate.parts [--quick]`: leave-one-out after acceptance, simulated with the gate's own code.

Campaigns of composites, each accepted or not by its own test; then a smaller set is chosen and tested. The chooser is
an adversary: the set that it proposes is always one without effect (what carries the whole is left out). Half of the
wholes have no effect either. A commit is false if what it commits has none. The second table is about the rule that
chooses: how often it leaves out a patch that is worth the margin, and how often it finds an idle one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.kernel.decide.attribution import ERROR, Attribution, Standing
from agent.kernel.decide.gate import Control, GateSettings, PairedTest

Rng = np.random.Generator
RECORD = Path(__file__).with_name("PARTS.md")
SEED = 20_26
PAIRS, COMPOSITES = 400, 30
MARGIN, GROUPS = 0.05, 80


def accepts(rng: Rng, settings: GateSettings, index: int, commits: int, gain: float) -> bool:
    """Whether a test accepts a candidate that is better by `gain`, in coupled pairs."""
    test = PairedTest(settings, index, commits)
    base = rng.random(PAIRS) < 0.4
    moved = rng.random(PAIRS) < 0.3 + gain
    up = rng.random(PAIRS) < (0.15 + gain) / (0.3 + gain)
    for a, moves, better in zip(base.tolist(), moved.tolist(), up.tolist(), strict=True):
        scores = (float(a), float(a)) if not moves else (0.0, 1.0) if better else (1.0, 0.0)
        if (decision := test.add(*scores)) is not None:
            return decision.accepted
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What one campaign committed."""

    true: int
    false: int
    tests: int


def campaign(rng: Rng, settings: GateSettings, composites: int = COMPOSITES) -> Committed:
    """One campaign: each accepted whole is taken apart, and the set without effect goes to the gate in its place."""
    true = false = tests = 0
    for number in range(composites):
        gain = 0.3 if number % 2 else 0.0
        tests += 1
        if not accepts(rng, settings, tests, true + false, gain):
            continue
        tests += 1
        if accepts(rng, settings, tests, true + false, 0.0):
            false += 1
        elif gain:
            true += 1
        else:
            false += 1
    return Committed(true=true, false=false, tests=tests)


KEPT = (Standing.IDLE, Standing.NEEDED, Standing.OPEN, Standing.NOISY)
"""Where a patch that can be left out may stand at the end."""


def standing(rng: Rng, worth: float, differs: float, margin: float = MARGIN) -> Standing:
    """Where a patch stands after all groups: leaving it out costs `worth` on average.

    `differs`: the part of the tasks on which leaving it out changes the score by chance, in either direction.
    """
    attribution = Attribution([1], [], margin)
    for _ in range(GROUPS):
        if not attribution.open:
            break
        whole = float(rng.random() < 0.6)
        draw = rng.random()
        without = whole
        if draw < differs:
            whole, without = (1.0, 0.0) if rng.random() < 0.5 else (0.0, 1.0)
        elif draw < differs + worth:
            whole, without = 1.0, 0.0
        attribution.add(whole, {1: without})
    return attribution.parts[1].standing


def shares(worth: float, differs: float, patches: int, seed: int) -> dict[Standing, float]:
    """How often a patch stands where."""
    found = [standing(np.random.default_rng((seed, n)), worth, differs) for n in range(patches)]
    return {one: found.count(one) / patches for one in Standing}


def report(campaigns: int, patches: int) -> Iterator[str]:
    """The figures as Markdown."""
    yield "# The parts of a composite: false commits, and which patches are left out\n"
    yield f"`python -m bench.gate.parts`, seed {SEED}. {campaigns} campaigns of {COMPOSITES} composites, half of them"
    yield "without effect; after each acceptance a set without effect is proposed in its place.\n"
    yield "| control | any false commit | false share | alpha | true commits | met |\n|---|---|---|---|---|---|"
    for control in Control:
        settings = GateSettings(control=control)
        runs = [campaign(np.random.default_rng((SEED, n)), settings) for n in range(campaigns)]
        share = float(np.mean([run.false / max(run.true + run.false, 1) for run in runs]))
        any_false = float(np.mean([run.false > 0 for run in runs]))
        bounded = share if control is Control.FDR else any_false
        met = "yes" if bounded <= settings.level else "**no**"
        true = float(np.mean([run.true for run in runs]))
        yield f"| {control} | {any_false:.3f} | {share:.3f} | {settings.level:.2f} | {true:.1f} | {met} |"
    yield f"\nPatches of a composite, {patches} a row, after at most {GROUPS} groups; the margin is {MARGIN}.\n"
    yield "| worth | differs by chance on | idle: left out | needed | open | noisy | left out at most | met |"
    yield "|---|---|---|---|---|---|---|---|"
    for worth, differs in ((0.0, 0.0), (0.0, 0.1), (0.05, 0.0), (0.05, 0.1), (0.2, 0.1), (0.0, 0.4), (0.1, 0.4)):
        seen = shares(worth, differs, patches, SEED)
        most = ERROR + 2.33 * math.sqrt(ERROR / patches) if worth >= MARGIN else 1.0
        figures = " | ".join(f"{seen[one]:.2f}" for one in KEPT)
        met = "yes" if seen[Standing.IDLE] <= most else "**no**"
        yield f"| {worth:g} | {differs:.0%} | {figures} | {f'{most:.2f}' if worth >= MARGIN else '-'} | {met} |"


def main() -> None:
    """Print the figures; the full run keeps them."""
    quick, lines = "--quick" in sys.argv, list[str]()
    for line in report(*((20, 100) if quick else (40, 300))):
        lines.append(line)
        print(line, flush=True)
    if not quick:
        RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(int(any("**no**" in line for line in lines)))


if __name__ == "__main__":
    main()
