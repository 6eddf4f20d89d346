"""The second objective: a claim of "as good and cheaper" is made only where both were proven, whatever a bill hides."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.types import Side
from agent.base.usage import Usage
from agent.kernel.decide.cheaper import (
    Aim,
    CostDecision,
    CostTest,
    Gain,
    Objective,
    Unit,
    costs,
    saved,
)
from agent.kernel.decide.gate import Costs, GateSettings, PairOutcome, Verdict, threshold
from agent.kernel.decide.voids import VoidPair
from bench.gate import cost as worlds

DEFAULT = GateSettings()
COST, BOTH = (Aim(objective=one) for one in (Objective.COST, Objective.BOTH))
HALF: Costs = (1000.0, 500.0)


def played(aim: Aim, outcomes: list[PairOutcome], numbers: GateSettings = DEFAULT) -> CostDecision:
    decision = CostTest(numbers, aim, 1, 0, outcomes).decide()
    assert isinstance(decision, CostDecision)
    return decision


def test_an_equal_score_at_half_the_cost_is_proven_as_good_and_cheaper() -> None:
    decision = played(COST, [(1.0, 1.0, HALF)] * 400)
    assert decision.gain is Gain.CHEAPER
    assert decision.accepted
    assert decision.saved == pytest.approx(0.5)
    assert decision.log_e is not None
    assert decision.log_e >= threshold(1, 0, DEFAULT)
    assert decision.log_e == min(decision.log_e_not_worse, decision.log_e_cheaper)
    assert "not worse by 0.05 or more, and cheaper" in decision.sentence
    assert "1,000 tokens -> 500 tokens a trial (-50%)" in decision.sentence


def test_a_better_score_at_more_cost_is_no_claim_under_cost_and_one_under_both() -> None:
    dearer: list[PairOutcome] = [(0.0, 1.0, (500.0, 1000.0))] * 60
    assert played(COST, dearer).verdict is Verdict.FUTILE
    assert played(BOTH, dearer).gain is Gain.BETTER


def test_two_claims_share_the_error() -> None:
    one, two = CostTest(DEFAULT, COST, 1, 0), CostTest(DEFAULT, BOTH, 1, 0)
    assert two.log_threshold == pytest.approx(one.log_threshold + math.log(2))
    assert one.log_threshold == threshold(1, 0, DEFAULT)


def test_a_candidate_that_costs_more_in_sum_is_not_cheaper_whatever_its_ratios_say() -> None:
    """It saves 9 of 10 tokens on small tasks, and one large task costs more than all of that."""
    pairs: list[PairOutcome] = [(1.0, 1.0, (100.0, 10.0))] * 8 + [(1.0, 1.0, (1000.0, 9000.0))]
    test = CostTest(DEFAULT, COST, 1, 0, pairs * 60)
    assert test.log_e <= 0.0
    assert test.gain is None


def test_a_worse_score_is_given_up_and_so_is_a_cost_that_stays() -> None:
    worse = played(COST, [(1.0, 0.0, HALF)] * 40)
    assert worse.verdict is Verdict.FUTILE
    assert "worse than the champion" in worse.sentence
    same = played(COST, [(1.0, 1.0, (500.0, 500.0))] * 300)
    assert same.verdict is Verdict.FUTILE
    assert "a saving is out of sight" in same.sentence


def test_a_void_never_helps() -> None:
    for pair in (VoidPair(Side.BOTH), VoidPair(Side.CHAMPION, None, 1.0), VoidPair(Side.CANDIDATE, 0.0)):
        test = CostTest(DEFAULT, BOTH, 1, 0, [(1.0, 1.0, HALF)] * 10)
        before = test.log_e
        test.feed([pair])
        assert test.log_e <= before


PAIR = st.tuples(
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
)
OUTCOMES = st.lists(st.one_of(PAIR, st.builds(VoidPair, st.sampled_from(Side))), max_size=80)


@given(OUTCOMES, st.sampled_from([COST, BOTH]), st.data())
@settings(max_examples=80)
def test_a_resumed_test_is_the_test(outcomes: list[PairOutcome], aim: Aim, data: st.DataObject) -> None:
    easy = GateSettings(alpha=0.5, spending=1)
    cut = data.draw(st.integers(0, len(outcomes)))
    whole, resumed = CostTest(easy, aim, 1, 0, outcomes), CostTest(easy, aim, 1, 0, outcomes[:cut])
    resumed.feed(outcomes[cut:])
    assert resumed.decide() == whole.decide()
    assert resumed.log_e == whole.log_e


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_saving_lies_between_minus_one_and_one_and_turns_with_the_sides(a: float, b: float) -> None:
    assert -1.0 <= saved(a, b) <= 1.0
    assert saved(a, b) == -saved(b, a)


def test_a_cost_below_zero_is_a_defect() -> None:
    with pytest.raises(ValueError, match="below 0"):
        CostTest(DEFAULT, COST, 1, 0).add(1.0, 1.0, (-1.0, 0.0))


BILL = st.builds(
    lambda sure, more, left, seconds: Usage(
        sure_tokens=sure, most_tokens=sure + more, sure_dollars=sure / 1e6, most_dollars=(sure + more) / 1e6,
        abandoned=left, seconds=seconds,
    ),
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 3), st.floats(0, 1000),
)  # fmt: skip


@given(BILL, BILL, st.sampled_from(Unit))
def test_what_is_not_sure_never_counts_in_the_candidates_favour(champion: Usage, candidate: Usage, unit: Unit) -> None:
    clean = replace(candidate, most_tokens=candidate.sure_tokens, most_dollars=candidate.sure_dollars, abandoned=0)
    full = replace(champion, sure_tokens=champion.most_tokens, sure_dollars=champion.most_dollars)
    assert saved(*costs(champion, candidate, unit)) <= saved(*costs(full, clean, unit)) + 1e-12


# ------------------------------------------------------------------------------------ error rates


@pytest.mark.slow
@pytest.mark.parametrize("world", worlds.WORLDS, ids=lambda world: world.name)
def test_false_claims_stay_below_the_level(world: worlds.World) -> None:
    for aim in (COST, BOTH):
        rate = worlds.false_claims(world, aim, 300, 7)
        assert rate <= worlds.LEVEL + 2.33 * math.sqrt(worlds.LEVEL / 300), f"{aim.objective}: {rate}"


@pytest.mark.slow
@pytest.mark.parametrize("world", [one for one in worlds.WORLDS if one.attack], ids=lambda world: world.name)
def test_without_its_defence_an_attack_on_the_bill_gets_through(world: worlds.World) -> None:
    assert worlds.false_claims(world, COST, 60, 7, defended=False) > 3 * worlds.LEVEL


@pytest.mark.slow
def test_a_campaign_of_nulls_commits_none_more_often_than_alpha() -> None:
    assert worlds.any_false_commit(replace(DEFAULT, alpha=0.1), BOTH, 20, 20, 7) <= 0.1 + 2.33 * math.sqrt(0.09 / 20)


@pytest.mark.slow
def test_a_candidate_that_saves_two_fifths_is_found() -> None:
    power, pairs = worlds.power(0.4, DEFAULT, COST, 100, 7)
    assert power >= 0.65
    assert pairs <= 700
