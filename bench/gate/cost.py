"""The second objective (as good and cheaper) on simulated pairs: false claims, attacks on the bill, power.

Every world but those of `power` is one in which each claim that could be made is false, so every acceptance is; the
gate's own code decides, and reads the bill of each trial by the gate's own rule (`cheaper.costs`). `before` is the rule
that believes what came in: tokens answered and dollars paid.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.base.types import Side
from agent.base.usage import Usage
from agent.kernel.decide.cheaper import Aim, CostTest, Gain, Objective, Unit, costs, saved
from agent.kernel.decide.gate import Control, Costs, GateSettings, PairOutcome, threshold
from agent.kernel.decide.voids import VoidPair

Rng = np.random.Generator
Read = Callable[[Usage, Usage, Unit], Costs]
Pair = tuple[float, float, Usage, Usage] | VoidPair
Pairs = Iterator[Pair]
PAIRS = 400
STRICT = GateSettings(alpha=0.05, spending=1, lambdas=(0.24, 0.48, 0.9), smallest_effect=0.15)
"""Its first test has the level .025."""
COST, BOTH = (Aim(objective=one) for one in (Objective.COST, Objective.BOTH))
LEVEL = math.exp(-threshold(1, 0, STRICT))


def plain(tokens: float) -> Usage:
    """The bill of a trial of which every call was answered at once."""
    whole, paid = round(tokens), round(tokens) / 1e6
    booked = Usage(tokens_in=whole, sure_tokens=whole, most_tokens=whole, dollars=paid)
    return replace(booked, sure_dollars=paid, most_dollars=paid)


def believed(champion: Usage, candidate: Usage, unit: Unit) -> Costs:
    """The rule without a defence: what was answered, and what was paid."""
    if unit is Unit.TOKENS:
        return float(champion.tokens_in), float(candidate.tokens_in)
    return (champion.dollars, candidate.dollars) if unit is Unit.DOLLARS else (champion.seconds, candidate.seconds)


def _tokens(rng: Rng) -> float:
    return float(rng.lognormal(7.0, 0.6))


def _scores(rng: Rng, worse: float = 0.0) -> tuple[float, float]:
    """Coupled scores: the sides differ in some tasks; the candidate is worse by so much on average."""
    a = float(rng.random() < 0.6)
    if rng.random() >= 0.2:
        return a, a
    return (1.0, 0.0) if rng.random() < 0.5 + worse / 0.4 else (0.0, 1.0)


# ------------------------------------------------------------------------------------ nulls


def same(rng: Rng) -> Pairs:
    """As good, and as dear."""
    while True:
        yield *_scores(rng), plain(_tokens(rng)), plain(_tokens(rng))


def worse(rng: Rng) -> Pairs:
    """Costs half, and is worse by exactly the margin."""
    while True:
        tokens = _tokens(rng)
        yield *_scores(rng, COST.not_worse), plain(tokens), plain(tokens / 2)


def rarely(rng: Rng) -> Pairs:
    """Saves a fifth on most tasks, and costs five times as much on one in five: nothing is saved on average."""
    while True:
        tokens = _tokens(rng)
        yield *_scores(rng), plain(tokens), plain(tokens * (5.0 if rng.random() < 0.2 else 0.8))


def voiding(rng: Rng) -> Pairs:
    """As dear; voids the pairs in which it loses or is dearer, as long as the test lets it."""
    while True:
        a, b = _scores(rng)
        first, second = plain(_tokens(rng)), plain(_tokens(rng))
        bad = b < a or second.sure_tokens > first.sure_tokens
        yield VoidPair(Side.CANDIDATE, a) if bad and rng.random() < 0.3 else (a, b, first, second)


# ------------------------------------------------------------------------------------ attacks on the bill


def hiding(rng: Rng) -> Pairs:
    """As dear; hangs up on calls under way at its end, so that a part of its cost is never answered."""
    while True:
        tokens = _tokens(rng)
        kept = round(0.7 * tokens)
        hidden = replace(plain(kept), most_tokens=round(1.1 * tokens), abandoned=1)
        yield *_scores(rng), plain(tokens), hidden


def inflating(rng: Rng) -> Pairs:
    """As dear; makes the provider fail under the champion's calls, so that attempts are booked that nobody answered."""
    while True:
        tokens = _tokens(rng)
        blown = replace(plain(1.5 * tokens), sure_tokens=round(0.6 * tokens), sure_dollars=0.6 * tokens / 1e6)
        yield *_scores(rng), blown, plain(tokens)


def caching(rng: Rng) -> Pairs:
    """As dear; asks what the champion asked, later, so that the provider's cache makes its own calls cheap."""
    while True:
        tokens = _tokens(rng)
        late = plain(tokens)
        yield *_scores(rng), plain(tokens), replace(late, dollars=0.4 * late.dollars)


def slowing(*, apart: bool) -> Callable[[Rng], Pairs]:
    """As fast; busy on every core while it waits for answers, so that what runs beside it takes longer."""

    def pairs(rng: Rng) -> Pairs:
        while True:
            first, second = (float(rng.lognormal(2.0, 0.3)) for _ in range(2))
            yield *_scores(rng), Usage(seconds=first * (1.0 if apart else 1.4)), Usage(seconds=second)

    return pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Pairs in which every claim is false, and by what their cost is counted."""

    name: str
    what: str
    pairs: Callable[[Rng], Pairs]
    unit: Unit = Unit.TOKENS
    open: Callable[[Rng], Pairs] | None = None
    """The pairs without the defence, where it lies in how they are run."""
    attack: bool = False


WORLDS = (
    World(name="same", what="as good, as dear", pairs=same),
    World(name="worse", what="half the cost, worse by the margin", pairs=worse),
    World(name="rarely", what="mostly cheaper, rarely much dearer", pairs=rarely),
    World(name="voiding", what="voids pairs that it loses", pairs=voiding),
    World(name="hiding", what="hangs up on calls under way", pairs=hiding, attack=True),
    World(name="inflating", what="makes the champion's calls fail", pairs=inflating, attack=True),
    World(name="caching", what="profits from the prompt cache", pairs=caching, unit=Unit.DOLLARS, attack=True),
    World(
        name="slowing",
        what="slows what runs beside it",
        pairs=slowing(apart=True),
        open=slowing(apart=False),
        unit=Unit.SECONDS,
        attack=True,
    ),
)


# ------------------------------------------------------------------------------------ rates


def gain(test: CostTest, pairs: Pairs, read: Read, most: int = PAIRS) -> Gain | None:
    """The claim that a test accepts, after `most` pairs at most."""
    for pair, _ in zip(pairs, range(most), strict=False):
        outcome: PairOutcome = pair if isinstance(pair, VoidPair) else (*pair[:2], read(*pair[2:], test.unit))
        if test.feed([outcome]) is not None:
            break
    return test.gain


def false_claims(world: World, aim: Aim, tests: int, seed: int, *, defended: bool = True) -> float:
    """The share of first tests that make a claim, all of which are false."""
    read, pairs = (costs, world.pairs) if defended else (believed, world.open or world.pairs)
    found = 0
    for number in range(tests):
        rng = np.random.default_rng((seed, number))
        test = CostTest(STRICT, replace(aim, unit=world.unit), 1, 0)
        found += gain(test, pairs(rng), read) is not None
    return found / tests


def any_false_commit(settings: GateSettings, aim: Aim, campaigns: int, candidates: int, seed: int) -> float:
    """The share of campaigns of null candidates, each of a kind drawn at random, that commit one."""
    found = 0
    for number in range(campaigns):
        rng = np.random.default_rng((seed, number))
        for index in range(1, candidates + 1):
            world = WORLDS[rng.integers(len(WORLDS))]
            test = CostTest(settings, replace(aim, unit=world.unit), index, 0)
            if gain(test, world.pairs(rng), costs) is not None:
                found += 1
                break
    return found / campaigns


def cheaper(saving: float, differ: float = 0.1) -> Callable[[Rng], Pairs]:
    """As good on average, cheaper by `saving`; scores differ in `differ` of the tasks, either way."""

    def pairs(rng: Rng) -> Pairs:
        while True:
            tokens, a = _tokens(rng), float(rng.random() < 0.6)
            b = a if rng.random() >= differ else 1.0 - a if rng.random() < 0.5 else a
            yield a, b, plain(tokens), plain(tokens * (1.0 - saving) * float(rng.lognormal(0.0, 0.2)))

    return pairs


def power(saving: float, settings: GateSettings, aim: Aim, tests: int, seed: int) -> tuple[float, float]:
    """(power, mean pairs) of the first test of a candidate that is as good and cheaper by `saving`."""
    accepted, pairs = 0, 0
    for number in range(tests):
        test = CostTest(settings, aim, 1, 0)
        accepted += gain(test, cheaper(saving)(np.random.default_rng((seed, number))), costs, 1500) is Gain.CHEAPER
        pairs += test.pairs
    return accepted / tests, pairs / tests


def mean_saving(world: World, pairs: int, seed: int) -> float:
    """The mean of r in a world, as it would be counted from the true costs: what makes it a null."""
    rng, ratios = np.random.default_rng(seed), list[float]()
    for pair, _ in zip(world.pairs(rng), range(pairs), strict=False):
        if not isinstance(pair, VoidPair):
            ratios.append(saved(*costs(*pair[2:], world.unit)))
    return float(np.mean(ratios))


# ------------------------------------------------------------------------------------ the record

RECORD = Path(__file__).with_name("COST.md")
SEED = 20_26


def report(tests: int, campaigns: int) -> Iterator[str]:
    """The figures as Markdown, line by line; a bar that is missed says so."""
    most = LEVEL + 2.33 * math.sqrt(LEVEL * (1.0 - LEVEL) / tests)
    yield "# As good and cheaper: false claims and power\n"
    yield f"`python -m bench.gate.cost`: {tests} first tests a world at the level {LEVEL:.3f}, seed {SEED}; in all of"
    yield f"these worlds every claim is false. A rate of {LEVEL:.3f} shows at most {most:.3f}, 99 times in 100.\n"
    yield "| world | what the candidate does | cost | both | undefended | met |\n|---|---|---|---|---|---|"
    for world in WORLDS:
        rates = [false_claims(world, aim, tests, SEED) for aim in (COST, BOTH)]
        naive = f"{false_claims(world, COST, tests, SEED, defended=False):.3f}" if world.attack else "-"
        met = "yes" if max(rates) <= most else "**no**"
        yield f"| {world.name} | {world.what} | {rates[0]:.3f} | {rates[1]:.3f} | {naive} | {met} |"
    yield "\n| any false commit in 100 such candidates | seen | alpha | met |\n|---|---|---|---|"
    for control in Control:
        numbers = GateSettings(control=control)
        share = any_false_commit(numbers, BOTH, campaigns, 100, SEED)
        bar = numbers.level + 2.33 * math.sqrt(numbers.level / campaigns)
        yield f"| {control}, {campaigns} campaigns | {share:.3f} | {numbers.level:.2f} | {_met(share <= bar)} |"
    yield "\n| saves | power, cost | pairs | power, both | pairs |\n|---|---|---|---|---|"
    for saving in (0.1, 0.2, 0.4):
        cells = [f"{part:.2f} | {pairs:.0f}" for aim in (COST, BOTH) for part, pairs in [_power(saving, aim, tests)]]
        yield f"| {saving:.0%} | {' | '.join(cells)} |"


def _met(ok: bool) -> str:
    return "yes" if ok else "**no**"


def _power(saving: float, aim: Aim, tests: int) -> tuple[float, float]:
    return power(saving, GateSettings(), aim, max(tests // 4, 1), SEED)


def main() -> None:
    """Print the figures; the full run keeps them."""
    quick = "--quick" in sys.argv
    lines = []
    for line in report(*((30, 2) if quick else (400, 40))):
        lines.append(line)
        print(line, flush=True)
    if not quick:
        RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(int(any("**no**" in line for line in lines)))


if __name__ == "__main__":
    main()
