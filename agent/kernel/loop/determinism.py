"""Deterministic tasks are checked, not believed: what their recorded runs are worth as evidence.

A task that is declared deterministic runs `Opening.rounds` times a side before the first pair. If all runs of each side
agree, its difference is a known number. Else it is not deterministic, and is drawn in pairs like any other task; so is
a task of which a run was void. A nondeterministic scaffold can agree with itself by luck, so agreement is tested
further, such that a test accepts a candidate without effect with at most the chance alpha_i of its index i:

* Every task is deterministic, and the candidate gains D > 0. A run of side s differs from its first one with chance
  f_s(t) on task t. The true gain is at least D - sum_t w_t (f_a(t) + f_b(t)), w_t the task's share, so if it is not
  positive, then sum_t (f_a(t) + f_b(t)) >= D / max w =: K, and n further rounds all agree with a chance of at most
  prod_t (1 - f_a(t))^n (1 - f_b(t))^n <= exp(-n K). So n >= ln(1 / alpha_i) / K rounds are enough.
* Some tasks are sampled. The evidence E multiplies by 1 + lambda x a pair, x too high on average by some delta <=
  sum_t w_t d(t) (1 + b_t - a_t), d(t) the chance that a repeated run of t differs on either side. With each pair,
  S = sum_t w_t (1 + b_t - a_t) runs are repeated on average, of tasks drawn by these weights: the chance that they
  agree times 1 + lambda delta is at most 1 for lambda <= 1. So E, as long as no repeated run differs, is still a
  nonnegative supermartingale (Ville). The first difference ends the test as void.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.kernel.decide.gate import Fixed
from agent.kernel.record.rows import PairRow
from agent.trials.evaluator import seed_of

ROUNDS: Final = 2
"""How often a deterministic task runs a side before the first pair, at least."""

MOST_ROUNDS: Final = 8
"""A gain that is too small to be proven by so many rounds is tested in pairs."""

_RECHECKS: Final = 1_000_000
"""Indices below -_RECHECKS are repeated runs; two for each pair."""

Run = tuple[float, float]
"""The scores of champion and candidate on one task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedPart:
    """The deterministic tasks of one test, as far as they were run.

    `shares` and `runs` are of the tasks that count as deterministic, `unsteady` are those that turned out not to be.
    `missing` holds (task, round) of the runs that must be made before the test can begin.
    """

    shares: Mapping[str, float]
    runs: Mapping[str, Run]
    unsteady: frozenset[str] = frozenset()
    missing: Sequence[tuple[str, int]] = ()

    def fixed(self) -> Fixed:
        """What the gate is told."""
        return Fixed(
            champion=sum(share * self.runs[task][0] for task, share in self.shares.items()),
            candidate=sum(share * self.runs[task][1] for task, share in self.shares.items()),
            share=round(sum(self.shares.values()), 12),
        )

    def deviating(self, checks: Iterable[PairRow]) -> str | None:
        """The first task of some repeated runs on which a side differs from its first run."""
        return next((one.task for one in checks if run_of(one) != self.runs.get(one.task)), None)

    def rechecks(self, seed: int, test: int, index: int) -> list[str]:
        """The tasks that are repeated with one pair; two at most. They follow from seed, test and index alone."""
        weights = {t: self.shares[t] * (1.0 + self.runs[t][1] - self.runs[t][0]) for t in sorted(self.shares)}
        rng = random.Random(seed_of(seed, "recheck", test, index))  # noqa: S311 (reproducible, not secret)
        whole = sum(weights.values())
        count = int(whole) + (rng.random() < whole - int(whole))
        return rng.choices([*weights], weights=[*weights.values()], k=count) if count else []


def fixed_part(shares: Mapping[str, float], rounds: int, bar: float, runs: Sequence[PairRow]) -> FixedPart:
    """What the runs before the first pair say.

    Args:
        shares: the declared tasks, each with its share of the weight of all gate tasks.
        rounds: how often each of them runs a side at least; 1 in a ledger of before they were checked.
        bar: ln(1 / alpha_i), what a gain that rests on them alone must be worth; 0 for a policy that proves nothing.
        runs: the recorded ones, in the order of their rounds.
    """
    found: dict[str, dict[int, Run]] = {task: {} for task in shares}
    for pair in runs:
        if (run := run_of(pair)) is not None and pair.task in found:
            found[pair.task][(-1 - pair.index) // len(shares)] = run
    whole = {task: share for task, share in shares.items() if task not in {one.task for one in runs if one.void_side}}
    steady = {task: share for task, share in whole.items() if len(set(found[task].values())) <= 1}
    first = {task: next(iter(found[task].values())) for task in steady if found[task]}
    due = dict.fromkeys(whole, rounds)
    if rounds > 1 and all(found[task].keys() >= set(range(rounds)) for task in whole):
        more = _rounds_to_prove(steady, first, bar)
        if more > MOST_ROUNDS:
            steady, first = {}, {}
        due = dict.fromkeys(steady, max(rounds, more))
    return FixedPart(
        shares=steady,
        runs=first,
        unsteady=frozenset(task for task in shares if len(set(found[task].values())) > 1),
        missing=[(task, turn) for task, count in due.items() for turn in range(count) if turn not in found[task]],
    )


def _rounds_to_prove(steady: Mapping[str, float], runs: Mapping[str, Run], bar: float) -> int:
    """Rounds after which a gain that rests on deterministic tasks alone is proven; 0 if it need not be."""
    if sum(steady.values()) < 1.0 - 1e-9:
        return 0
    gain = sum(share * (runs[task][1] - runs[task][0]) for task, share in steady.items())
    if gain <= 0.0 or bar <= 0.0:
        return 0
    return 1 + math.ceil(bar * max(steady.values()) / gain)


def run_of(pair: PairRow) -> Run | None:
    """The scores of a pair that is not void."""
    return None if pair.champion is None or pair.candidate is None else (pair.champion, pair.candidate)


def index_of(number: int, turn: int, tasks: int) -> int:
    """Where the run of the `number`-th (from 0) of so many declared tasks is recorded, in a round from 0."""
    return -1 - number - turn * tasks


def recheck_index(index: int, number: int) -> int:
    """Where the `number`-th repeated run of a pair is recorded."""
    return -_RECHECKS - 1 - 2 * index - number


def split_runs(pairs: Iterable[PairRow]) -> tuple[list[PairRow], dict[int, list[PairRow]]]:
    """The runs before the first pair, and the repeated ones by the index of their pair."""
    first, checks = list[PairRow](), dict[int, list[PairRow]]()
    for pair in pairs:
        if pair.index >= -_RECHECKS:
            first.append(pair)
        else:
            checks.setdefault((-_RECHECKS - 1 - pair.index) // 2, []).append(pair)
    return first, checks
