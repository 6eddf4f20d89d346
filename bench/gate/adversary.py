"""Candidates without effect that attack the pair: how often the gate accepts them, with and without the defence.

One world for each channel by which one side could change what the other gets, or choose when its bad luck counts. A
world draws the pairs of one test as the gate would see them; the gate's own code decides. The sides are equal in
truth, so every acceptance is false, and the level of the first test is what the rate must not exceed. The defences
against void and deterministic luck are the gate's own code; those against starving, redrawing and load are parts of
gateway and host, and stand here as models: `tests/models/gateway` and `tests/kernel/loop` attack the real ones.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from agent.base.types import Side
from agent.kernel.decide.gate import Decision, GateSettings, PairedTest, PairOutcome, Verdict, threshold
from agent.kernel.decide.voids import VoidPair, VoidRule
from agent.kernel.decide.world import World, WorldSettings, sigmoid
from agent.kernel.loop.determinism import ROUNDS, fixed_part, index_of
from agent.kernel.record.rows import PairRow

Rng = np.random.Generator
Pairs = Iterator[PairOutcome]
Meets = Callable[[Rng, int, int], Decision | None]
"""One test of a campaign: its randomness, its index, and the commits before it; None if it came to no verdict."""
PAIRS = 500
DEMO = GateSettings(alpha=0.05, spending=1, lambdas=(0.24, 0.48, 0.9), smallest_effect=0.15)
"""The kind of test that demo.yaml asks for: large effects, one index; its first test has the level .025."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attack:
    """One channel: what it does, and the pairs of one test without and with the defence."""

    name: str
    what: str
    open: Meets
    closed: Meets


def rate(meets: Meets, tests: int, seed: int, channel: int) -> float:
    """The share of first tests that accept."""
    return sum(accepted(meets(np.random.default_rng((seed, channel, n)), 1, 0)) for n in range(tests)) / tests


def accepted(decision: Decision | None) -> bool:
    """Whether a test ended with a commit."""
    return decision is not None and decision.accepted


def bound(level: float, tests: int) -> float:
    """What a rate of `level` shows at most in so many tests, 99 times in 100."""
    return level + 2.33 * math.sqrt(level * (1.0 - level) / tests)


def decided(test: PairedTest, pairs: Pairs) -> Decision | None:
    """The verdict of a test, after `PAIRS` pairs at most."""
    for outcome, _ in zip(pairs, range(PAIRS), strict=False):
        if (decision := test.feed([outcome])) is not None:
            return decision
    return None


def played(pairs: Callable[[Rng], Pairs], settings: GateSettings = DEMO) -> Meets:
    """A test on pairs of one kind."""
    return lambda rng, index, commits: decided(PairedTest(settings, index, commits), pairs(rng))


# ------------------------------------------------------------------------------------ starve

SLOTS, CALLS, DEADLINE, JUNK = 4, 6, 30, 400


def finished(junk: int, *, fair: bool) -> bool:
    """Whether a box's calls end before its deadline, beside another that asked for `junk` calls at once.

    A call takes one unit of one of `SLOTS` slots. In one queue for all, each call waits for all that came before. With
    a queue a box, every other free slot is the box's, and its clock stands still while it waits.
    """
    wait = 0 if fair else junk // SLOTS
    return CALLS + wait <= DEADLINE


def starve(*, fair: bool) -> Callable[[Rng], Pairs]:
    """The candidate floods the provider once its own calls are answered; the champion's come later."""

    def pairs(rng: Rng) -> Pairs:
        while True:
            a, b = rng.random(2) < 0.4
            first = rng.random() < 0.5  # the sides begin in random order: half of the time the champion is done before
            yield float(a and (first or finished(JUNK, fair=fair))), float(b)

    return pairs


# ------------------------------------------------------------------------------------ redraw


def redraw(*, once: bool) -> Callable[[Rng], Pairs]:
    """Wrong answers are mostly slow; the candidate hangs up on slow ones and asks again, up to four times."""

    def answer(rng: Rng, tries: int) -> bool:
        right = False
        for _ in range(tries):
            right = bool(rng.random() < 0.4)
            if rng.random() < (0.8 if right else 0.2):  # it came soon
                return right
        return right

    def pairs(rng: Rng) -> Pairs:
        while True:
            yield float(answer(rng, 1)), float(answer(rng, 1 if once else 4))

    return pairs


# ------------------------------------------------------------------------------------ void


def void(settings: GateSettings, *, label: str) -> Meets:
    """Sees both scores, and voids a pair that it loses, as long as one more void does not end the test.

    `label`: the side that the void is put down to; `random` picks one each time, and `own` voids its own failures
    without looking at the champion.
    """

    def meets(rng: Rng, index: int, commits: int) -> Decision | None:
        test = PairedTest(settings, index, commits)
        pairs = rng.random((PAIRS, 2)) < 0.5
        for a, b in pairs.astype(float):
            lost = b < a if label != "own" else b < 1.0
            outcome: PairOutcome = (a, b)
            if lost and not ends(test, hidden := voided(rng, label, a, b)):
                outcome = hidden
            if (decision := test.feed([outcome])) is not None:
                return decision
        return None

    return meets


def voided(rng: Rng, label: str, a: float, b: float) -> VoidPair:
    """What is left of a pair: the scores of the trials that ended."""
    side = list(Side)[rng.integers(3)] if label == "random" else Side.CANDIDATE if label == "own" else Side(label)
    if side is Side.BOTH:
        return VoidPair(side)
    return VoidPair(side, None, b) if side is Side.CHAMPION else VoidPair(side, a)


def ends(test: PairedTest, pair: VoidPair) -> bool:
    """Whether a void would end the test: the adversary knows the gate."""
    return copy.deepcopy(test).feed([pair]) is not None


# ------------------------------------------------------------------------------------ deterministic luck


def lucky(tasks: int, random_tasks: int, rounds: int) -> Meets:
    """A suite declared deterministic, on some tasks of which both scaffolds toss a coin."""

    def meets(rng: Rng, number: int, commits: int) -> Decision | None:
        shares = {f"t{n}": 1 / tasks for n in range(tasks)}
        bar, runs = threshold(number, commits, DEMO), list[PairRow]()
        while (part := fixed_part(shares, rounds, bar, runs)).missing:
            for name, turn in part.missing:
                index = index_of(int(name[1:]), turn, tasks)
                runs.append(run_row(index, name, *tossed(rng, name, random_tasks)))
        test, seed = PairedTest(DEMO, number, commits, part.fixed()), int(rng.integers(2**31))
        for index, outcome in zip(range(PAIRS), coins(rng), strict=False):
            if (decision := test.decide()) is not None:
                return decision
            again = [(name, tossed(rng, name, random_tasks)) for name in part.rechecks(seed, 1, index)]
            if any(run != part.runs[name] for name, run in again):
                return None  # two runs differ: the test ends void
            test.feed([outcome])
        return None

    return meets


def tossed(rng: Rng, task: str, random_tasks: int) -> tuple[float, float]:
    """One run of a task on both sides: solved, or a coin for each."""
    if int(task[1:]) >= random_tasks:
        return 1.0, 1.0
    return float(rng.integers(2)), float(rng.integers(2))


def run_row(index: int, task: str, champion: float, candidate: float) -> PairRow:
    """One run of a deterministic task on both sides."""
    return PairRow(index=index, task=task, champion=champion, candidate=candidate, void_side=None, at=0.0)


def coins(rng: Rng) -> Pairs:
    """Pairs of two equal scaffolds of even chance."""
    while True:
        a, b = rng.integers(0, 2, 2)
        yield float(a), float(b)


# ------------------------------------------------------------------------------------ load


def load(*, seen: bool) -> Callable[[Rng], Pairs]:
    """Load comes and goes; a program with a clock inside fails under it. The candidate is the faster starter.

    Its trials meet the load later than the champion's. A trial whose box was starved is void on both sides.
    """

    def pairs(rng: Rng) -> Pairs:
        while True:
            a, b = rng.random(2) < 0.5
            starved = rng.random() < 0.04
            if starved and seen:
                yield VoidPair(Side.BOTH)
            else:
                yield float(a and not (starved or rng.random() < 0.15 * (not seen))), float(b)

    return pairs


# ------------------------------------------------------------------------------------ honest voids


def honest(settings: GateSettings, effect: float, share: float, tests: int, seed: int) -> tuple[float, float]:
    """(power, share of tests that ended void) of the first test, at blind voids of `share` of all pairs on any side."""
    accepted = ended = 0
    for number in range(tests):
        rng = np.random.default_rng((seed, number))
        test, world = PairedTest(settings, 1, 0), World(WorldSettings(base=0.4), rng)
        chance = sigmoid(world.gate)
        better = chance + (1.0 - chance) * effect / (1.0 - chance.mean())
        while (decision := test.decide()) is None:
            task = rng.integers(chance.size)
            a, b = float(rng.random() < chance[task]), float(rng.random() < better[task])
            test.feed([voided(rng, "random", a, b) if rng.random() < share else (a, b)])
        accepted += decision.accepted
        ended += decision.verdict is Verdict.VOID
    return accepted / tests, ended / tests


# ------------------------------------------------------------------------------------ all

BEFORE = replace(DEMO, voids=VoidRule.DISCARDED)
ATTACKS = [
    Attack(
        name="starve", what="floods the provider", open=played(starve(fair=False)), closed=played(starve(fair=True))
    ),
    Attack(
        name="redraw",
        what="hangs up on slow answers",
        open=played(redraw(once=False)),
        closed=played(redraw(once=True)),
    ),
    *(
        Attack(name=f"void ({label})", what=what, open=void(BEFORE, label=label), closed=void(DEMO, label=label))
        for label, what in (
            ("candidate", "voids the pairs it loses, on its own side"),
            ("champion", "voids the pairs it loses, on the champion's side"),
            ("both", "voids the pairs it loses, on both sides"),
            ("random", "voids the pairs it loses, on any side"),
            ("own", "voids its own failures"),
        )
    ),
    *(
        Attack(
            name=f"deterministic luck ({number} of 12 tasks)",
            what="tosses coins on tasks declared deterministic",
            open=lucky(12, number, 1),
            closed=lucky(12, number, ROUNDS),
        )
        for number in (1, 3, 12)
    ),
    Attack(name="load", what="is hit less by load", open=played(load(seen=False)), closed=played(load(seen=True))),
]
LEVEL = math.exp(-threshold(1, 0, DEMO))
