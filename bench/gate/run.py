"""`python -m bench.gate.run [--quick] [--attacks]`: what the gate must show, attacks on it, and the naive rules.

The full run (one process) writes RESULTS.md next to this file; `--quick` prints only. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import Control, GateSettings
from agent.kernel.decide.voids import VoidRule
from agent.kernel.decide.world import World, WorldSettings
from bench.gate import adversary, evidence, naive
from bench.gate.naive import Figures

GATE = GateSettings()
RESULTS = Path(__file__).with_name("RESULTS.md")
SEED = 20_26
HGM_SHARE = 0.85


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is simulated."""

    paths: int
    pairs: int
    campaigns_null: int
    worlds: int
    paths_a_world: int
    campaigns: int
    campaigns_elsewhere: int
    budget: int
    settings: tuple[str, ...]
    attacked: int
    honest: int


FULL = Size(
    paths=3000,
    pairs=2000,
    campaigns_null=200,
    worlds=40,
    paths_a_world=50,
    campaigns=24,
    campaigns_elsewhere=8,
    budget=20_000,
    settings=("T = 60", "T = 20", "T = 200", "all null", "50 % harmful"),
    attacked=1000,
    honest=200,
)
QUICK = Size(
    paths=500,
    pairs=500,
    campaigns_null=20,
    worlds=5,
    paths_a_world=20,
    campaigns=3,
    campaigns_elsewhere=2,
    budget=2500,
    settings=("T = 60",),
    attacked=200,
    honest=20,
)
WORLDS = {
    "T = 60": WorldSettings(),
    "T = 20": WorldSettings(search_tasks=20, gate_tasks=20),
    "T = 200": WorldSettings(search_tasks=200, gate_tasks=200),
    "all null": WorldSettings(good=0.0, harmful=0.0),
    "50 % harmful": WorldSettings(harmful=0.5),
}
Rule = Callable[[World, int], Figures]


class Report:
    """What is printed and kept, and which bars were missed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.missed: list[str] = []

    def say(self, line: str = "") -> None:
        self.lines.append(line)
        print(line, flush=True)

    def bar(self, measure: str, figure: str, bar: str, ok: bool) -> None:
        self.say(f"| {measure} | {figure} | {bar} | {'yes' if ok else '**no**'} |")
        if not ok:
            self.missed.append(measure)


def errors(report: Report, size: Size) -> None:
    """Crossings of null paths, and campaigns of nulls."""
    report.say("\n## Error\n\n| measure | seen | bar | met |\n|---|---|---|---|")
    for kind in evidence.NULLS:
        seen = evidence.crossings(kind, SEED, size.paths, size.pairs)
        ok = all(share <= 1 / bar for share, bar in zip(seen, evidence.BARS, strict=True))
        figure = ", ".join(f"{share:.4f}" for share in seen)
        report.bar(f"P(sup E >= 10, 20, 100), {kind}", figure, ".10, .05, .01", ok)
    for control in Control:
        settings = replace(GATE, control=control)
        share = evidence.any_false_commit(settings, "60 mixed tasks", SEED, size.campaigns_null)
        measure = f"any false commit in 100 null candidates, {control}"
        report.bar(measure, f"{share:.3f}", f"{settings.level:.2f}", share <= settings.level)
    wrong = naive.twin_disagreements(SEED, 40, GATE)
    report.bar("tests that the vectorised twin decides otherwise", str(wrong), "0", wrong == 0)


def powers(report: Report, size: Size) -> None:
    """The table of coupled pairs."""
    report.say("\n## Power of the first test, patches that repair, 60 tasks\n")
    report.say("| true effect | pairs, independent | power | model calls | pairs, coupled | power | model calls |")
    report.say("|---|---|---|---|---|---|---|")
    shown = {}
    for effect in (0.03, 0.05, 0.10, 0.0):
        for limit in (GATE.max_pairs, 3000):
            settings = replace(GATE, max_pairs=limit)
            plain, coupled = (
                evidence.repair(
                    effect,
                    coupled=shared,
                    settings=settings,
                    seed=SEED,
                    worlds=size.worlds,
                    paths=size.paths_a_world,
                )
                for shared in (False, True)
            )
            shown[effect, limit] = plain, coupled
            report.say(
                f"| {100 * effect:+.0f}, at most {limit:,} pairs | {plain.pairs:,.0f} | {plain.power:.2f} | "
                f"{plain.calls:,.0f} | {coupled.pairs:,.0f} | {coupled.power:.2f} | {coupled.calls:,.0f} |"
            )
    report.say("\n| measure | seen | bar | met |\n|---|---|---|---|")
    strong, fair = (shown[effect, GATE.max_pairs] for effect in (0.10, 0.05))
    report.bar("power at +10, independent", f"{strong[0].power:.2f}", ">= .90", strong[0].power >= 0.9)
    report.bar("power at +5, independent", f"{fair[0].power:.2f}", ">= .45", fair[0].power >= 0.45)
    ratio = fair[1].calls / fair[0].calls
    report.bar("model calls at +5, coupled / independent", f"{ratio:.2f}", "<= .25", ratio <= 0.25)
    for (effect, limit), (_, coupled) in shown.items():
        if limit == GATE.max_pairs and effect in TABLE:
            pairs, power = TABLE[effect]
            ok = abs(coupled.pairs / pairs - 1) <= 0.1 and abs(coupled.power - power) <= 0.1 * max(power, 0.1)
            figure = f"{coupled.pairs:.0f} pairs, {coupled.power:.2f}"
            report.bar(f"coupled pairs at {100 * effect:+.0f}", figure, f"{pairs}, {power:.2f} within 10 %", ok)
    idle = shown[0.0, GATE.max_pairs]
    report.bar("trials on a null candidate, coupled", f"{2 * idle[1].pairs:.0f}", "<= 400", idle[1].pairs <= 200)
    report.bar("trials on a null candidate, independent", f"{2 * idle[0].pairs:.0f}", "<= 400", idle[0].pairs <= 200)


TABLE = {0.03: (260, 0.45), 0.05: (231, 0.95), 0.10: (119, 1.00), 0.0: (108, 0.0)}
"""Pairs and power of coupled pairs in gate.md."""


ATTACKED = "\n## Attacks on the pair"


def attacks(report: Report, size: Size) -> None:
    """Candidates without effect that attack the pair."""
    level, most = adversary.LEVEL, adversary.bound(adversary.LEVEL, size.attacked)
    report.say(f"{ATTACKED}, {size.attacked:,} tests each, level {level:.3f}\n")
    report.say(f"The bar is {most:.3f}: what a rate of the level shows at most in so many tests, 99 times in 100.\n")
    report.say("| attack | a candidate without effect | accepted before | accepted | met |\n|---|---|---|---|---|")
    for channel, attack in enumerate(adversary.ATTACKS):
        before, now = (adversary.rate(rule, size.attacked, SEED, channel) for rule in (attack.open, attack.closed))
        met = "yes" if now <= most else "**no**"
        report.say(f"| {attack.name} | {attack.what} | {before:.3f} | {now:.3f} | {met} |")
        if now > most:
            report.missed.append(f"attack: {attack.name}")
    honest_voids(report, size)


def honest_voids(report: Report, size: Size) -> None:
    """What blind voids cost a candidate with an effect, under the old rule and the new one."""
    report.say(f"\n## Blind voids, {size.honest} tests each, independent pairs\n")
    report.say("| voids | true effect | power before | ended before | power | ended |\n|---|---|---|---|---|---|")
    for share in (0.0, 0.01, 0.03):
        for effect in (0.05, 0.10):
            rows = [
                adversary.honest(replace(GATE, voids=rule), effect, share, size.honest, SEED)
                for rule in (VoidRule.DISCARDED, VoidRule.WORST_CASE)
            ]
            cells = " | ".join(f"{power:.2f} | {ended:.2f}" for power, ended in rows)
            report.say(f"| {100 * share:g} % | {100 * effect:+.0f} | {cells} |")


def rules(tasks: int, *, everything: bool) -> dict[str, Rule]:
    """What is compared; `everything` adds the variants of our own rule."""
    search = SearchSettings(task_count=tasks)
    once = SearchSettings(task_count=tasks, min_trials=tasks)
    some: dict[str, Rule] = {
        "keep if one paired run is better": lambda w, b: naive.keep_if_better(w, b, paired=True),
        "keep if better than the recorded score": lambda w, b: naive.keep_if_better(w, b, paired=False),
        "greedy archive, no gate": lambda w, b: naive.archive_alone(w, b, "greedy", once),
        "DGM archive, no gate": lambda w, b: naive.archive_alone(w, b, "dgm", once),
        "HGM Thompson archive, no gate": lambda w, b: naive.archive_alone(w, b, "hgm", search),
        "strict gate on every patch": lambda w, b: naive.strict_every_patch(w, b, GATE),
    }
    if everything:
        letter = replace(search, min_z=0.0)
        some["search line + gate, promoted at any lead"] = lambda w, b: naive.ours(w, b, letter, GATE)
    some[OURS] = lambda w, b: naive.ours(w, b, search, GATE)
    return some


OURS = "**search line + gate (ours)**"


def campaigns(report: Report, size: Size, name: str) -> None:
    """Whole campaigns in one setting, every rule on the same worlds and seeds."""
    settings, main = WORLDS[name], name == "T = 60"
    count = size.campaigns if main else size.campaigns_elsewhere
    report.say(f"\n## Whole campaigns, {name}: {size.budget:,} trials, {count} campaigns\n")
    report.say("| rule | commits | false commits | true gain, points | reported minus true | trials a null |")
    report.say("|---|---|---|---|---|---|")
    rows = {
        rule: _row(report, rule, run, settings=settings, budget=size.budget, count=count)
        for rule, run in rules(settings.search_tasks, everything=main).items()
    }
    if main:
        coupled = replace(settings, coupled=True)
        _row(
            report,
            OURS + ", coupled pairs",
            rules(60, everything=False)[OURS],
            settings=coupled,
            budget=size.budget,
            count=count // 2,
        )
    _judge(report, size, rows, main=main)


def _row(report: Report, name: str, rule: Rule, *, settings: WorldSettings, budget: int, count: int) -> list[Figures]:
    ends = [rule(World(settings, np.random.default_rng((SEED, n))), budget) for n in range(count)]
    gain = [100 * end.gain for end in ends]
    over = [100 * end.overstatement for end in ends]
    error = [float(np.std(values)) / len(ends) ** 0.5 for values in (gain, over)]
    committing = any(end.commits for end in ends) or any(end.tests for end in ends)
    commits = f"{_mean(ends, 'commits'):.1f} | {_mean(ends, 'false_commits'):.2f}" if committing else "- | -"
    nulls = sum(end.nulls for end in ends)
    trials = f"{sum(end.null_trials for end in ends) / nulls:,.0f} ({nulls})" if nulls else "-"
    report.say(
        f"| {name} | {commits} | {np.mean(gain):.1f} ± {error[0]:.1f} | "
        f"{np.mean(over):+.1f} ± {error[1]:.1f} | {trials} |"
    )
    return ends


def _judge(report: Report, size: Size, rows: dict[str, list[Figures]], *, main: bool) -> None:
    ends = rows[OURS]
    wrong = sum(end.false_commits for end in ends)
    report.say("\n| measure | seen | bar | met |\n|---|---|---|---|")
    report.bar("false commits, ours", str(wrong), "0", wrong == 0)
    if not main or size is not FULL:
        return
    over, gain = 100 * _mean(ends, "overstatement"), 100 * _mean(ends, "gain")
    share = gain / (100 * _mean(rows["HGM Thompson archive, no gate"], "gain"))
    report.bar("overstatement, points", f"{over:+.1f}", "<= 1.5", over <= 1.5)
    report.bar("true gain, points", f"{gain:.1f}", ">= 33", gain >= 33)
    report.bar("true gain, share of ungated HGM", f"{share:.2f}", f">= {HGM_SHARE}", share >= HGM_SHARE)


def _mean(ends: list[Figures], field: str) -> float:
    return float(np.mean([getattr(end, field) for end in ends]))


def simulate(size: Size) -> Report:
    """Everything, in order."""
    report, begun = Report(), time.process_time()
    report.say("# What the gate shows, by simulation\n")
    report.say(f"Seed {SEED}. Command: `python -m bench.gate.run`. How to read this: [NOTES.md](NOTES.md).")
    errors(report, size)
    powers(report, size)
    attacks(report, size)
    for name in size.settings:
        campaigns(report, size, name)
    report.say(f"\nCPU: {time.process_time() - begun:.0f} s.")
    return report


def only_attacks(size: Size) -> int:
    """Run the attacks, and put what they show into RESULTS.md in the place of what stands there."""
    report = Report()
    attacks(report, size)
    if size is FULL:
        before, _, rest = RESULTS.read_text().partition(ATTACKED)
        after = rest.partition("\n## Whole campaigns")
        RESULTS.write_text(before + "\n".join(report.lines) + "\n" + "".join(after[1:]))
    print("missed: " + "; ".join(report.missed) if report.missed else "every bar is met")
    return 1 if report.missed else 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run that writes nothing")
    parser.add_argument("--attacks", action="store_true", help="the attacks alone; replaces their part of RESULTS.md")
    chosen = parser.parse_args()
    if chosen.attacks:
        return only_attacks(QUICK if chosen.quick else FULL)
    report = simulate(QUICK if chosen.quick else FULL)
    if not chosen.quick:
        RESULTS.write_text("\n".join(report.lines) + "\n")
    print("missed: " + "; ".join(report.missed) if report.missed else "every bar is met")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
