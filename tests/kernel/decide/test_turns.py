"""At which index the next search trial is run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.archive import Archive, Measure, SearchSettings
from agent.kernel.decide.effects import fit
from agent.kernel.decide.turns import RECENT, met, next_index, openness


def telling(outcomes: dict[int, list[float]]) -> list[float]:
    """What a trial should tell at each index, after these outcomes, each of another candidate."""
    built = Archive(SearchSettings())
    for node in range(max(map(len, outcomes.values()))):
        built.add(node, 0 if node else None)
        for index, scores in outcomes.items():
            if node < len(scores):
                built.record(node, scores[node], index)
    trials = built.observations.trials
    return openness(trials, fit(built.members, trials)).tolist()


def test_a_trial_tells_most_where_some_pass_and_some_do_not() -> None:
    half, passed, failed, new = telling({0: [0.0, 1.0] * 10, 1: [1.0] * 20, 2: [0.0] * 20})
    assert half > new > max(passed, failed)


def test_only_the_newest_trials_at_an_index_say_how_open_it_is() -> None:
    ever, lately, _ = telling({0: [0.0, 1.0] * RECENT, 1: [0.0, 1.0] * (RECENT // 2) + [1.0] * RECENT})
    assert ever > 3 * lately


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.integers(1, 60))
def test_no_trial_tells_less_than_nothing_also_after_fractional_scores(early: list[float], late: int) -> None:
    told = telling({index: [score, *[1.0] * late] for index, score in enumerate(early)})
    assert min(told) >= 0.0
    assert max(told) <= 0.25


@pytest.mark.parametrize("seed", range(20))
def test_what_was_fractional_and_is_always_passed_now_tells_nothing_and_not_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    told = telling({index: [round(rng.random(), 2), *[1.0] * 39] for index in range(12)})
    assert 0.0 <= min(told[:12]) <= max(told[:12]) < 1e-2


@given(st.lists(st.floats(0.0, 0.25), min_size=1, max_size=12), st.sets(st.integers(0, 15)), st.integers(0, 99))
def test_no_index_is_met_twice(told: list[float], known: set[int], seed: int) -> None:
    index = next_index(np.asarray(told), known, np.random.default_rng(seed))
    assert index not in known
    assert index <= max(len(told), len(known)), "no hole larger than needed"


def test_an_index_in_flight_counts_as_met_until_its_trial_is_void() -> None:
    built, step = Archive(SearchSettings()), Measure(0, 4)
    built.add(0, None)
    built.record(0, 1.0, 2)
    built.begin(step)
    assert met(built, 0) == {2, 4}
    built.end(step)
    assert met(built, 0) == {2}
