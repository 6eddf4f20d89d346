"""Where cost counts: which candidates look cheaper, and when one of them may meet the champion for it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.archive import Archive, Measure, SearchSettings
from agent.kernel.decide.cheaper import Aim, CostTest, Objective
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.pooled import Pooled, Spend
from agent.kernel.decide.thrift import Compared, Seen, Thrifty, compared, pairs_to_show

AIM = Aim(objective=Objective.BOTH)
RICH = Spend(foreseen=10_000.0, used=100, gate=0, log_threshold=4.25)


def beside(differ: float, difference: float = 0.0) -> Compared:
    return Compared(40, 0.5, 0.01, difference, differ)


def archive(cheap: Seen, champion: Seen) -> Archive:
    """Champion 0 and candidate 1, with these scores and costs at the same indices."""
    made = Archive(SearchSettings(task_count=20))
    made.add(0, None)
    made.add(1, 0)
    for node, seen in ((0, champion), (1, cheap)):
        made.record_all(node, {index: score for index, (score, _) in seen.items()})
        made.costs[node] = dict(seen)
    return made


CHAMPION = {index: (float(index % 2), 100.0) for index in range(40)}
SAME = {index: (score, 40.0) for index, (score, _) in CHAMPION.items()}
NOISY = {index: (float(index % 4 < 2), 40.0) for index in range(40)}
"""The same mean score, from other tasks: every second trial differs."""


def test_what_answers_alike_and_costs_less_meets_the_champion() -> None:
    assert Thrifty(Pooled(), AIM).cheapest(archive(SAME, CHAMPION), RICH) == 1


def test_what_would_take_most_of_a_campaign_to_show_does_not_keep_others_waiting() -> None:
    thrifty, noisy = Thrifty(Pooled(), AIM), archive(NOISY, CHAMPION)
    assert compared(CHAMPION, NOISY).differ == pytest.approx(20.5 / 41)
    assert thrifty.cheapest(noisy, replace(RICH, foreseen=2000)) is None
    assert thrifty.cheapest(archive(SAME, CHAMPION), replace(RICH, foreseen=2000)) == 1
    assert thrifty.cheapest(archive(SAME, CHAMPION), replace(RICH, foreseen=2000, used=1500)) is None
    assert thrifty.cheapest(archive(SAME, CHAMPION), replace(RICH, gate=6000)) is None


def test_candidates_that_look_cheaper_get_their_trials_first() -> None:
    made = archive({0: (0.0, 40.0), 1: (1.0, 40.0), 2: (0.0, 40.0)}, CHAMPION)
    assert Thrifty(Pooled(), AIM).next(made, np.random.default_rng(1)) == Measure(1, 3)


def test_both_get_trials_where_only_the_other_has_one() -> None:
    apart = {index + 100: seen for index, seen in CHAMPION.items()}
    few = {100: (0.0, 40.0), 101: (1.0, 40.0), 102: (0.0, 40.0), 7: (1.0, 40.0), 8: (0.0, 40.0)}
    made, rng = archive(few, apart), np.random.default_rng(1)
    assert Thrifty(Pooled(), AIM).next(made, rng) == Measure(1, 103), "where the champion was"
    for index in range(103, 140):
        made.record(1, 0.5, index)
    assert Thrifty(Pooled(), AIM).cheapest(made, RICH) is None, "their costs are known together at three indices"
    made.observations, made.costs[0] = Archive(made.settings).observations, {i: apart[i] for i in (100, 101, 102)}
    for node, seen in ((0, (100, 101, 102)), (1, few)):
        for index in seen:
            made.record(node, 0.5, index)
    assert Thrifty(Pooled(), AIM).next(made, rng) == Measure(0, 7), "where the candidate was"


@given(st.floats(0.0, 1.0), st.floats(-1.0, 1.0), st.floats(0.01, 0.5))
def test_noise_and_losses_make_a_test_longer(differ: float, difference: float, margin: float) -> None:
    pairs = pairs_to_show(beside(differ, difference), margin, 4.0)
    assert pairs > 0
    assert pairs_to_show(beside(differ, difference - 0.1), margin, 4.0) >= pairs * 0.999
    assert pairs_to_show(beside(differ, difference), margin, 5.0) >= pairs


def test_what_is_worse_than_the_margin_is_never_shown() -> None:
    assert math.isinf(pairs_to_show(beside(0.3, -0.2), 0.05, 4.0))


@pytest.mark.parametrize("differ", [0.0, 0.1, 0.2])
def test_a_test_takes_about_as_many_pairs_as_it_should(differ: float) -> None:
    settings, taken = GateSettings(max_pairs=5000), []
    for seed in range(40):
        rng, test = np.random.default_rng(seed), CostTest(GateSettings(max_pairs=5000), AIM, 1, 0)
        while test.decide() is None:
            a = float(rng.random() < 0.5)
            b = float(rng.random() < 0.5) if rng.random() < 2 * differ else a
            test.add(a, b, (100.0, 50.0))
        taken.append(test.decide().pairs)  # type: ignore[union-attr]
    hoped = pairs_to_show(beside(differ), AIM.not_worse, CostTest(settings, AIM, 1, 0).log_threshold)
    assert 0.5 * hoped <= np.median(taken) <= 1.5 * hoped
