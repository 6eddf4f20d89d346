"""Promotion: which node meets the champion."""

from __future__ import annotations

import pytest

from agent.kernel.decide.archive import Archive, SearchSettings
from agent.kernel.decide.promotion import promising
from tests.kernel.decide.archives import archive, score


def ready(wins: int, trials: int = 40, **settings_: float) -> Archive:
    """A champion with 20 successes in 40 trials and one child."""
    built = archive([None, 0], **settings_)
    score(built, 0, 20, 40)
    score(built, 1, wins, trials)
    return built


@pytest.mark.parametrize(("wins", "trials", "answer"), [(22, 40, 1), (21, 40, None), (39, 39, None)])
def test_a_node_goes_to_the_gate_with_enough_trials_and_a_margin(wins: int, trials: int, answer: int | None) -> None:
    assert promising(ready(wins, trials, min_z=0.0)) == answer


@pytest.mark.parametrize(("wins", "answer"), [(30, None), (31, 1)])
def test_a_lead_that_chance_explains_is_not_worth_a_test(wins: int, answer: int | None) -> None:
    assert promising(ready(wins)) == answer


def test_a_small_suite_needs_two_trials_a_task() -> None:
    built = archive([None, 0], task_count=6)
    for node, wins in ((0, 3), (1, 9)):
        score(built, node, wins, 12)
    assert promising(built) == 1


def test_an_uncertain_node_waits() -> None:
    built = archive([None, 0], min_trials=4)
    score(built, 0, 50, 100)
    score(built, 1, 3, 4)
    assert promising(built) is None


def test_a_champion_without_trials_is_measured_before_a_node_meets_it() -> None:
    built = archive([None, 0])
    score(built, 1, 40, 40)
    assert promising(built) is None


def test_a_node_meets_a_champion_once_and_a_new_champion_again() -> None:
    built = ready(40)
    built.tried.add((1, 0))
    assert promising(built) is None
    built.add(2, 0)
    score(built, 2, 21, 40)
    built.crown(2)
    assert promising(built) == 1


def test_the_gate_may_use_half_of_the_trials() -> None:
    assert promising(ready(40), gate_share=0.5) == 1
    assert promising(ready(40), gate_share=0.51) is None


def test_a_tie_goes_to_the_smaller_tree() -> None:
    built = Archive(SearchSettings())
    for node, size in enumerate([50, 70, 60]):
        built.add(node, None if node == 0 else 0, size=size)
        score(built, node, 20 if node == 0 else 35, 40)
    assert promising(built) == 2


def test_a_dead_node_never_goes_to_the_gate() -> None:
    built = archive([None])
    built.add(1, 0, alive=False)
    score(built, 0, 20, 40)
    score(built, 1, 40, 40)
    assert promising(built) is None
    assert built.node(0).failed_proposals == 1
