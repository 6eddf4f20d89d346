"""The figures at the end of a campaign."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.summary import Room, difference, paired, wilson

scores = st.lists(st.floats(0, 1), min_size=1, max_size=50)


def test_wilson_gives_the_textbook_interval() -> None:
    # Newcombe (1998), table I: 81 of 263.
    estimate = wilson([1.0] * 81 + [0.0] * 182)
    assert estimate is not None
    assert (estimate.low, estimate.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


@given(scores)
def test_an_interval_holds_its_mean_and_stays_within_the_scale(values: list[float]) -> None:
    estimate = wilson(values)
    assert estimate is not None
    assert 0 <= estimate.low <= estimate.mean + 1e-9
    assert estimate.mean - 1e-9 <= estimate.high <= 1


def test_a_paired_difference_uses_the_pairs() -> None:
    estimate = paired([0, 0, 1, 1], [1, 1, 1, 1])
    assert estimate is not None
    assert estimate.mean == 0.5
    assert estimate.high - estimate.mean == pytest.approx(1.959964 * math.sqrt((4 * 0.25) / 3 / 4))


@pytest.mark.parametrize(("tasks", "left", "warned"), [(12, 2, True), (12, 3, True), (12, 4, False), (0, 0, False)])
def test_search_without_room_for_improvement_is_warned_of(tasks: int, left: int, warned: bool) -> None:
    warning = Room(tasks=tasks, open=left).warning
    assert (warning is not None) is warned
    if warning:
        assert warning.startswith(
            f"the champion solves {tasks - left} of {tasks} search tasks each time, so {left} are"
        )


def test_nothing_is_said_of_too_little() -> None:
    assert wilson([]) is None
    assert paired([1.0], [0.0]) is None


def test_the_interval_of_a_difference_of_scores_ends_where_a_difference_can() -> None:
    wide = paired([0, 0, 0], [1, 1, 0])
    assert wide is not None
    assert wide.high > 1
    clipped = difference([0, 0, 0], [1, 1, 0])
    assert clipped is not None
    assert (clipped.mean, clipped.low, clipped.high) == (wide.mean, wide.low, 1.0)
    assert difference([1.0], [0.0]) is None
