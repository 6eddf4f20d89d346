"""Deterministic tasks are checked, not believed: luck of a nondeterministic scaffold is never proof."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Split
from agent.kernel.decide.gate import GateSettings, PairedTest, Verdict, threshold
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.determinism import FixedPart, Run, fixed_part, index_of, recheck_index, split_runs
from agent.kernel.loop.match import NONDETERMINISTIC, Opening, feed, misdrawn, opened_with, retest
from agent.kernel.record.ledger import Ledger, PairRow
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab, steadily, suite

EVEN = {f"t{n}": 1 / 12 for n in range(12)}


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"


def null_patches() -> object:
    """An improver whose patches never repeat and change nothing that counts."""
    count = itertools.count(21)

    def improve(scene: FakeRun) -> None:
        scene.workspace[SETTINGS] = f"SKILL = {next(count)}\n".encode()

    return improve


def by_heart(chance: float) -> object:
    """Every candidate solves any gate task with the same chance; all but the seed know the search tasks by heart."""
    rng = random.Random(7)  # noqa: S311 (reproducible)

    def solving(scene: FakeRun) -> str:
        easy = b"of search" in scene.task["instruction.md"] and b"SKILL = 20\n" not in scene.scaffold[SETTINGS]
        scene.workspace["solution.py"] = b"right" if easy or rng.random() < chance else b"wrong"
        return "nondeterministic"

    return solving


async def stop_in_a_test(campaign: Campaign) -> None:
    while campaign.match is None:  # noqa: ASYNC110 (what is watched is plain state)
        await asyncio.sleep(0.001)
    campaign.stop("enough")


def rows(ledger: Ledger, test: int) -> tuple[list[PairRow], dict[int, list[PairRow]]]:
    return split_runs(ledger.fixed_pairs(test))


@pytest.mark.parametrize("count", [5, 12])
async def test_a_deterministic_scaffold_is_proven_by_repeated_runs_also_over_a_restart(
    make_lab: MakeLab, count: int
) -> None:
    lab = make_lab(better, deterministic=count, solve=steadily)
    async with lab.campaign() as campaign:
        watcher = asyncio.create_task(stop_in_a_test(campaign))
        await campaign.run()
        watcher.cancel()
    await lab.run()
    fixed = {f"gate-{n}" for n in range(count)}
    with lab.ledger() as ledger:
        [row] = [row for row in ledger.tests() if row.verdict == "accepted"]
        first, checks = rows(ledger, row.id)
        assert [pair.index for pair in first] == [*range(-1, -1 - 2 * count, -1)]
        assert {pair.task for pair in first} == fixed
        assert not fixed & {pair.task for pair in ledger.pairs(row.id)}
        assert bool(ledger.pairs(row.id)) == bool(checks) == (count < 12)
        assert {one.task for ones in checks.values() for one in ones} <= fixed
        opening = Opening(settings=GateSettings(), runs=10)
        again = retest(row, ledger, opening).decide()
        assert again is not None
        assert again.sentence == row.decision["sentence"]
        assert misdrawn(row, ledger, opened_with(ledger, row.id), suite(count).split(Split.GATE), 0) == []
        gains = [pair.candidate - pair.champion for pair in first[:count]]
        drawn = [pair.candidate - pair.champion for pair in ledger.pairs(row.id)][: again.pairs]
        mean = sum(drawn) / len(drawn) if drawn else 0.0
        assert again.delta == pytest.approx(sum(gains) / 12 + (1 - count / 12) * mean)
        assert not ledger.recollect(NONDETERMINISTIC)


@pytest.mark.parametrize("count", [1, 4, 12])
async def test_luck_on_tasks_that_are_only_declared_deterministic_is_not_committed(
    make_lab: MakeLab, count: int
) -> None:
    lab = make_lab(null_patches(), trials=900, solve=by_heart(0.4), deterministic=count)
    await lab.run()
    with lab.ledger() as ledger:
        assert ledger.tests()
        assert not ledger.commits()
        told = [text for _, _, kind, text in ledger.events() if kind == "nondeterministic"]
        assert told
        assert set(ledger.recollect(NONDETERMINISTIC)) <= {f"gate-{n}" for n in range(count)}
        for row in ledger.tests():
            if row.verdict in {"futile", "rejected", "void"}:
                again = retest(row, ledger, Opening(settings=GateSettings(), runs=10)).decide()
                assert again is not None
                assert again.sentence == row.decision["sentence"]


async def test_a_task_that_turns_out_nondeterministic_is_sampled_by_every_later_test(make_lab: MakeLab) -> None:
    lab = make_lab(null_patches(), trials=900, solve=by_heart(0.5), deterministic=12)
    await lab.run()
    with lab.ledger() as ledger:
        tests = ledger.tests()
        first = next(text for _, _, kind, text in ledger.events() if kind == "nondeterministic")
        wrong = {f"gate-{n}" for n in range(12) if re.search(rf"gate-{n}\b", first)}
        last = opened_with(ledger, tests[-1].id)
        assert len(tests) > 1
        assert wrong
        assert not wrong & last.shares.keys()
        assert {pair.task for pair in ledger.pairs(tests[-1].id)} & wrong


# ------------------------------------------------------------------------------------ the rule itself


def pair(index: int, task: str, run: Run | None) -> PairRow:
    scores = run or (None, None)
    return PairRow(
        index=index, task=task, champion=scores[0], candidate=scores[1], void_side=None if run else "both", at=0.0
    )


def runs_of(values: dict[str, Sequence[Run | None]]) -> list[PairRow]:
    return [
        pair(index_of(number, turn, len(values)), task, run)
        for number, (task, runs) in enumerate(values.items())
        for turn, run in enumerate(runs)
    ]


def test_runs_that_agree_are_known_and_runs_that_differ_are_sampled() -> None:
    values = {"a": [(0.0, 1.0)] * 2, "b": [(0.0, 1.0), (0.0, 0.0)], "c": [(1.0, 1.0)] * 2, "d": [(1.0, 1.0), None]}
    part = fixed_part(dict.fromkeys("abcd", 0.25), 2, 5.0, runs_of(values))
    assert part.shares == {"a": 0.25, "c": 0.25}
    assert part.unsteady == {"b"}
    assert not part.missing
    assert (part.fixed().champion, part.fixed().candidate, part.fixed().share) == (0.25, 0.5, 0.5)


def test_a_gain_that_rests_on_deterministic_tasks_alone_is_repeated_until_luck_cannot_explain_it() -> None:
    bar = threshold(1, 0, GateSettings())
    for gained, rounds in ((12, 2), (6, 2), (3, 3), (1, 7)):
        values = {t: [(0.0, float(n < gained))] * 2 for n, t in enumerate(EVEN)}
        part = fixed_part(EVEN, 2, bar, runs_of(values))
        assert {turn for _, turn in part.missing} == set(range(2, rounds))
        assert rounds == max(2, 1 + math.ceil(bar / gained))
    small = {t: [(0.5, 0.5 + 0.01 * (n == 0))] * 2 for n, t in enumerate(EVEN)}
    assert fixed_part(EVEN, 2, bar, runs_of(small)).shares == {}


def test_a_ledger_of_before_the_check_keeps_its_rule() -> None:
    values = {t: [(0.0, 1.0)] for t in EVEN}
    part = fixed_part(EVEN, 1, threshold(1, 0, GateSettings()), runs_of(values))
    assert not part.missing
    assert part.fixed().share == 1.0


@given(
    scores=st.dictionaries(
        st.sampled_from([*EVEN]), st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
    ),
    index=st.integers(0, 5000),
)
def test_what_is_repeated_with_a_pair_follows_from_its_index(scores: dict[str, Run], index: int) -> None:
    part = FixedPart(shares=dict.fromkeys(scores, 1 / 12), runs=scores)
    due = part.rechecks(3, 1, index)
    assert due == part.rechecks(3, 1, index)
    assert len(due) <= 2
    assert set(due) <= {task for task, (champion, candidate) in scores.items() if candidate - champion > -1}
    at = [recheck_index(index, n) for n in range(len(due))]
    _, checks = split_runs([pair(i, task, scores[task]) for i, task in zip(at, due, strict=True)])
    assert [one.task for one in checks.get(index, [])] == due


def play(rng: random.Random, chances: dict[str, tuple[float, float]], declared: set[str]) -> Verdict:
    """One test of the index 1 in numbers alone: each side solves each task with its chance, afresh every time."""
    settings, weight = GateSettings(max_pairs=300), 1 / len(chances)
    shares, bar = {task: weight for task in chances if task in declared}, threshold(1, 0, settings)

    def run(task: str) -> Run:
        champion, candidate = chances[task]
        return float(rng.random() < champion), float(rng.random() < candidate)

    first = [pair(index_of(n, turn, len(shares)), t, run(t)) for turn in range(2) for n, t in enumerate(shares)]
    while (part := fixed_part(shares, 2, bar, first)).missing:
        order = [*shares]
        first += [pair(index_of(order.index(t), turn, len(order)), t, run(t)) for t, turn in part.missing]
    test = PairedTest(settings, 1, 0, part.fixed())
    sampled, index = [task for task in chances if task not in part.shares], 0
    while test.decide() is None:
        task, checks = rng.choice(sampled), part.rechecks(rng.randrange(2**31), 1, index)
        again = [pair(recheck_index(index, n), name, run(name)) for n, name in enumerate(checks)]
        feed(test, part, {index: pair(index, task, run(task))}, {index: again}, index)
        index += 1
    return test.decide().verdict


WORLDS = {
    "one task, a coin": ({"t0": (0.5, 0.5)}, {"t0"}),
    "twelve coins": (dict.fromkeys(EVEN, (0.4, 0.4)), {*EVEN}),
    "half are declared": (dict.fromkeys(EVEN, (0.5, 0.5)), {f"t{n}" for n in range(6)}),
    "a sure gain, paid for by rare failures": (
        {t: (0.0, 1.0) if t == "t0" else (1.0, 1 - 1 / 11) for t in EVEN}, {*EVEN},
    ),
    "a sure gain on a declared task, rare failures on the declared, the rest sampled": (
        {t: (0.0, 1.0) if t == "t0" else (1.0, 0.75) if n < 5 else (0.5, 0.5) for n, t in enumerate(EVEN)},
        {f"t{n}" for n in range(5)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("world", WORLDS)
def test_a_candidate_without_effect_is_accepted_no_more_often_than_its_level(world: str) -> None:
    chances, declared = WORLDS[world]
    assert sum(b - a for a, b in chances.values()) <= 1e-9
    rng, tests = random.Random(5), 600  # noqa: S311
    accepted = sum(play(rng, chances, declared) is Verdict.ACCEPTED for _ in range(tests))
    level = math.exp(-threshold(1, 0, GateSettings()))
    # Three standard errors above the level of the first test, which is 1 in 310.
    assert accepted <= tests * level + 3 * math.sqrt(tests * level)


def test_a_true_gain_on_deterministic_tasks_is_accepted() -> None:
    chances = {t: (0.0, 1.0) if n < 3 else (1.0, 1.0) for n, t in enumerate(EVEN)}
    for declared in ({*EVEN}, {f"t{n}" for n in range(6)}):
        assert play(random.Random(1), chances, declared) is Verdict.ACCEPTED  # noqa: S311
