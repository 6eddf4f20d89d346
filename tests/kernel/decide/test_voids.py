"""Voids: a candidate that causes them gains nothing, and honest ones seldom end a test."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.types import Side
from agent.kernel.decide.gate import BetterTest, Fixed, GateSettings, PairedTest, Verdict
from agent.kernel.decide.voids import VoidCount, VoidLimit, VoidPair, VoidRule

DEFAULT = GateSettings()
BEFORE = GateSettings(voids=VoidRule.DISCARDED)
ENDLESS = GateSettings(alpha=1e-200, max_pairs=10**9, futility_min_pairs=10**9, max_void_share=0.999, void_error=1e-200)
SCORES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
TRUE_PAIRS = st.lists(st.tuples(SCORES, SCORES, st.sampled_from([None, *Side])), max_size=60)
FIXED = st.builds(
    lambda a, b, share: Fixed(champion=a * share, candidate=b * share, share=share), SCORES, SCORES, st.floats(0, 0.99)
)


def hidden(champion: float, candidate: float, side: Side | None) -> tuple[float, float] | VoidPair:
    """What is left of a pair after a void of `side`."""
    if side is None:
        return champion, candidate
    return VoidPair(side, *{Side.CHAMPION: (None, candidate), Side.CANDIDATE: (champion, None)}.get(side, ()))


# ------------------------------------------------------------------------------------ one void


@pytest.mark.parametrize(
    ("pair", "worst"),
    [
        (VoidPair(Side.CHAMPION, None, 0.3), (1.0, 0.3)),
        (VoidPair(Side.CANDIDATE, 0.3), (0.3, 0.0)),
        (VoidPair(Side.CHAMPION), (1.0, 0.0)),
        (VoidPair(Side.CANDIDATE), (1.0, 0.0)),
        (VoidPair(Side.BOTH), (1.0, 0.0)),
        (VoidPair(Side.CANDIDATE, None, 0.3), (1.0, 0.3)),  # its calls took the champion's trial down
    ],
)
def test_a_void_counts_as_the_worst_pair_that_it_can_hide(pair: VoidPair, worst: tuple[float, float]) -> None:
    assert pair.worst_case == worst
    voided, lost = PairedTest(DEFAULT, 1, 0, history=[pair]), PairedTest(DEFAULT, 1, 0, history=[worst])
    assert voided.log_e == lost.log_e


@pytest.mark.parametrize("scores", [(0.5, 0.5), (None, 1.5), (-0.1, None), (float("nan"), None)])
def test_a_void_with_impossible_scores_is_refused(scores: tuple[float | None, float | None]) -> None:
    with pytest.raises(ValueError, match="cannot have the scores"):
        VoidPair(Side.BOTH, *scores)


@given(TRUE_PAIRS, FIXED)
def test_whatever_is_voided_the_evidence_is_at_most_that_of_the_pairs_as_they_would_have_ended(
    pairs: list[tuple[float, float, Side | None]], fixed: Fixed
) -> None:
    counted, true = (PairedTest(ENDLESS, 1, 0, fixed) for _ in range(2))
    for champion, candidate, side in pairs:
        counted.feed([hidden(champion, candidate, side)])
        true.add(champion, candidate)
        assert counted.log_e <= true.log_e + 1e-9


def test_a_void_without_any_score_may_hide_a_repeated_run_that_differs() -> None:
    most = Fixed(champion=0.1, candidate=0.5, share=0.8)  # every pair is worth .2 or more
    test = PairedTest(ENDLESS, 1, 0, most, [VoidPair(Side.CANDIDATE)])
    assert test.log_e == pytest.approx(np.log(1 - np.mean(ENDLESS.lambdas)))
    assert PairedTest(ENDLESS, 1, 0, most, [VoidPair(Side.CANDIDATE, 1.0)]).log_e == 0.0


@given(TRUE_PAIRS, FIXED)
def test_a_void_never_adds_evidence_and_never_accepts(
    pairs: list[tuple[float, float, Side | None]], fixed: Fixed
) -> None:
    test = PairedTest(GateSettings(alpha=0.5, spending=1), 1, 0, fixed)
    for champion, candidate, side in pairs:
        before, evidence = test.decide(), test.log_e
        decision = test.feed([hidden(champion, candidate, side)])
        if side is not None:
            assert test.log_e <= evidence
            assert decision == before or (decision and decision.verdict is Verdict.VOID)


def test_voids_say_nothing_about_futility() -> None:
    patient = replace(ENDLESS, futility_min_pairs=20)
    voided = PairedTest(patient, 1, 0, history=[(0.5, 0.6), VoidPair(Side.BOTH)] * 30)
    assert voided.decide() is None


def test_a_few_voids_are_counted_a_side_and_shown() -> None:
    test = PairedTest(DEFAULT, 1, 0, history=[VoidPair(side) for side in Side])
    test.feed([(0.0, 1.0)] * 30)
    decision = test.decide()
    assert decision is not None
    assert decision.accepted
    assert (decision.champion_voids, decision.candidate_voids) == (2, 2)
    assert "3 void (2 champion, 2 candidate), counted as lost" in decision.sentence


def test_the_plain_rule_counts_a_void_as_a_lost_pair() -> None:
    won, lost = (0.0, 1.0), (1.0, 0.0)
    assert BetterTest(DEFAULT, 3, history=[won, won, lost]).decide().verdict is Verdict.ACCEPTED
    hiding = [won, VoidPair(Side.CANDIDATE, 1.0), VoidPair(Side.CANDIDATE, 1.0), won, (1.0, 1.0)]
    decision = BetterTest(DEFAULT, 3, history=hiding).decide()
    assert decision is not None
    assert decision.verdict is Verdict.REJECTED
    assert BetterTest(BEFORE, 3, history=hiding).decide().accepted
    assert BetterTest(DEFAULT, 3, history=[VoidPair(Side.CANDIDATE, 0.0), won, won, (1.0, 1.0)]).decide().accepted


# ------------------------------------------------------------------------------------ an adversary


def accepted(rule: GateSettings, tests: int, seed: int, *, void: bool = True) -> float:
    """How often the first test accepts a null that voids the pairs it loses, while the rule tolerates that."""
    rng, won = np.random.default_rng(seed), 0
    for _ in range(tests):
        test = PairedTest(rule, 1, 0)
        for a, b in rng.integers(0, 2, (400, 2)).astype(float):
            if void and a > b and not spent(test, rule):
                test.void(VoidPair(Side.CANDIDATE, a))
            else:
                test.add(a, b)
            if test.decide() is not None:
                break
        decision = test.decide()
        won += decision is not None and decision.accepted
    return won / tests


def spent(test: PairedTest, rule: GateSettings) -> bool:
    """Whether one more void would end the test: the adversary stops before."""
    probe = PairedTest(rule, 1, 0)
    probe._voids, probe._pairs = replace(test._voids), test._pairs
    probe._voids.add(Side.CANDIDATE)
    return probe._too_many_voids()


DEMO = GateSettings(alpha=0.05, spending=1, lambdas=(0.24, 0.48, 0.9), smallest_effect=0.15)
"""The first candidate has the level .025."""


def test_a_null_that_voids_its_losses_is_not_accepted_more_often_than_its_level() -> None:
    assert accepted(DEMO, 400, seed=5) <= 0.025
    assert accepted(replace(DEMO, voids=VoidRule.DISCARDED), 400, seed=5) > 0.1


# ------------------------------------------------------------------------------------ honest voids


def ended(rule: GateSettings, tests: int, share: float, seed: int) -> float:
    """How often blind voids of `share`, on any side, end a test of 1,500 pairs."""
    rng, void = np.random.default_rng(seed), 0
    endless = replace(rule, alpha=1e-200, futility_min_pairs=10**9, max_pairs=1500)
    for _ in range(tests):
        test = PairedTest(endless, 1, 0)
        while test.decide() is None:
            if rng.random() < share:
                test.void(VoidPair(list(Side)[rng.integers(3)]))
            else:
                test.add(0.5, 0.5)
        decision = test.decide()
        void += decision is not None and decision.verdict is Verdict.VOID
    return void / tests


@pytest.mark.slow
def test_blind_voids_of_three_percent_hardly_ever_end_a_test() -> None:
    assert ended(DEFAULT, 300, 0.03, seed=1) <= 0.01
    assert ended(BEFORE, 300, 0.03, seed=1) > 0.2


def test_many_voids_end_the_test() -> None:
    history = [(1.0, 1.0), (0.0, 0.0)] * 30
    assert PairedTest(DEFAULT, 1, 0, history=[*history, *[VoidPair(Side.BOTH)] * 5]).decide() is None
    decision = PairedTest(DEFAULT, 1, 0, history=[*history, *[VoidPair(Side.BOTH)] * 20]).decide()
    assert decision is not None
    assert decision.verdict is Verdict.VOID


def test_an_outage_at_the_start_is_tolerated() -> None:
    test = PairedTest(DEFAULT, 1, 0, history=[VoidPair(Side.BOTH)] * 4)
    assert test.decide() is None
    assert test.void(VoidPair(Side.BOTH)).verdict is Verdict.VOID


def test_lopsided_voids_end_the_test_even_when_they_are_few() -> None:
    patient = GateSettings(futility_min_pairs=10_000)
    fair, unfair = (PairedTest(patient, 1, 0, history=[(1.0, 1.0), (0.0, 0.0)] * 300) for _ in range(2))
    for turn in range(10):
        fair.void(VoidPair(Side.CHAMPION if turn % 2 else Side.CANDIDATE))
        unfair.void(VoidPair(Side.CANDIDATE))
    assert fair.decide() is None
    ended_by = unfair.decide()
    assert ended_by is not None
    assert ended_by.verdict is Verdict.VOID


@given(st.lists(st.sampled_from([None, *Side]), max_size=80))
@settings(max_examples=60)
def test_one_more_scored_pair_never_reaches_the_limit(outcomes: list[Side | None]) -> None:
    limit, voids, scored, reached = VoidLimit(share=0.05, tolerated=4, error=0.01), VoidCount(), 0, []
    for side in outcomes:
        if side is None:
            scored += 1
        else:
            voids.add(side)
        reached.append(limit.reached(voids, scored))
    for (before, now), side in zip(pairwise(reached), outcomes[1:], strict=True):
        assert side is not None or now <= before


# ------------------------------------------------------------------------------------ tests of an older Ratchet


def test_a_test_that_was_opened_under_the_old_rule_is_judged_by_it() -> None:
    test = PairedTest(BEFORE, 1, 0, history=[VoidPair(side) for side in Side])
    assert test.log_e == 0.0
    test.feed([(0.0, 1.0)] * 20)
    decision = test.decide()
    assert decision is not None
    assert decision.accepted
    assert "3 void (2 champion, 2 candidate);" in decision.sentence


def test_the_old_rule_ends_a_test_at_a_plain_share_and_at_eight_voids_of_one_side() -> None:
    history = [(1.0, 1.0), (0.0, 0.0)] * 30
    share = PairedTest(BEFORE, 1, 0, history=[*history, *[VoidPair(Side.BOTH)] * 4])
    assert share.decide() is None
    assert share.void(VoidPair(Side.BOTH)).verdict is Verdict.VOID
    side = PairedTest(replace(BEFORE, futility_min_pairs=10_000), 1, 0, history=history * 10)
    side.feed([VoidPair(Side.CANDIDATE)] * 7)
    assert side.decide() is None
    assert side.void(VoidPair(Side.CANDIDATE)).verdict is Verdict.VOID
