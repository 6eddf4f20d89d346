"""The trials that are shown are those that tell most."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.informative import informative


class Mark(NamedTuple):
    id: str
    candidate: int
    task: str
    score: float


def marks(*rows: tuple[int, str, float]) -> list[Mark]:
    return [Mark(str(number), *row) for number, row in zip(count(), rows, strict=False)]


def test_contrasts_come_first_then_mixed_results_then_losses_then_what_nobody_solves() -> None:
    known = marks(
        (1, "nobody", 0.0), (2, "lost", 0.5), (1, "lost", 1.0), (1, "mixed", 0.0), (1, "mixed", 1.0),
        (1, "contrast", 0.0), (2, "contrast", 1.0), (1, "fine", 1.0),
    )  # fmt: skip
    shown = [(one.mark.candidate, one.mark.task, one.mark.score) for one in informative(known, 1, [2])]
    assert shown[:2] == [(1, "contrast", 0.0), (2, "contrast", 1.0)]
    assert shown[2:4] == [(1, "mixed", 0.0), (1, "mixed", 1.0)]
    assert shown[4:6] == [(2, "lost", 0.5), (1, "nobody", 0.0)]
    assert (1, "fine", 1.0) in shown[6:]


def test_a_parent_without_failures_shows_those_of_its_nearest_relative() -> None:
    shown = informative(marks((3, "t", 0.0), (2, "t", 0.0)), 1, [2, 3])
    assert [(one.mark.candidate, one.why) for one in shown] == [(2, "#2 fails it")]


ROWS = st.tuples(st.integers(0, 5), st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.5, 1.0]))


@given(st.lists(ROWS, max_size=60), st.permutations(range(6)), st.integers(0, 12))
def test_no_trial_is_shown_twice_and_there_are_never_too_many(
    rows: list[tuple[int, str, float]], order: list[int], most: int
) -> None:
    known = marks(*rows)
    shown = informative(known, order[0], order[1:], most)
    assert len({one.mark.id for one in shown}) == len(shown) <= most
    assert {one.mark for one in shown} <= set(known)
