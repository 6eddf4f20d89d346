"""The archive: sums over clades, and steps that are in flight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.archive import Archive, Measure, SearchSettings
from agent.kernel.decide.promotion import promising
from agent.kernel.decide.strategies import Thompson
from tests.kernel.decide.archives import archive, score

TREES = st.lists(st.integers(0, 10_000), max_size=40).map(
    lambda picks: [None, *(pick % (index + 1) for index, pick in enumerate(picks))]
)


@given(TREES, st.data())
def test_clade_sums_equal_walking_the_tree(parents: list[int | None], data: st.DataObject) -> None:
    built = archive(parents)
    scores = data.draw(st.lists(st.tuples(st.integers(0, len(parents) - 1), st.floats(0, 1)), max_size=60))
    for node, value in scores:
        built.record(node, value)
    for _ in range(3):
        won, lost = built.clades()
    for node in range(len(parents)):
        below = {node}
        for child in range(node + 1, len(parents)):
            if parents[child] in below:
                below.add(child)
        values = [value for index, value in scores if index in below]
        assert won[node] == pytest.approx(sum(values))
        assert lost[node] == pytest.approx(sum(1 - value for value in values))


def test_ids_need_not_be_consecutive() -> None:
    built = Archive(SearchSettings())
    built.add(0, None)
    built.add(7, 0)
    built.add(9, 7)
    built.record(9, 1.0)
    assert built.ids == [0, 7, 9]
    assert built.clades()[0].tolist() == [1.0, 1.0, 1.0]
    assert built.node(9).parent == 7


@pytest.mark.parametrize(("node", "parent"), [(0, 0), (5, 3), (5, None)])
def test_a_candidate_whose_parent_does_not_fit_is_refused(node: int, parent: int | None) -> None:
    with pytest.raises(ValueError, match="candidate"):
        archive([None]).add(node, parent)


def test_the_champion_must_be_in_the_archive() -> None:
    built = archive([None, 0])
    built.crown(1)
    assert built.champion == 1
    with pytest.raises(ValueError, match="not in the archive"):
        built.crown(2)


def test_a_score_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        archive([None]).record(0, 1.2)


def test_trials_in_flight_count_and_are_forgotten_when_they_end() -> None:
    built = archive([None])
    step = Measure(0, 0)
    built.begin(step)
    assert built.trials == 1
    assert built.node(0).trials == 0
    assert built.own().tolist() == [[0.5], [0.5]]
    built.end(step)
    assert built.trials == 0
    assert built.own().tolist() == [[0.0], [0.0]]


def test_a_retired_node_earns_no_further_trial_and_has_no_offspring() -> None:
    built = archive([None, 0, 0], min_trials=5)
    score(built, 0, wins=1, trials=5)
    score(built, 1, wins=5, trials=5)
    score(built, 2, wins=2, trials=5)
    built.retire(1)
    strategy, rng = Thompson(), np.random.default_rng(1)
    for _ in range(40):
        step = strategy.next(built, rng)
        assert (step.node if isinstance(step, Measure) else step.parent) != 1
        if isinstance(step, Measure):
            built.record(step.node, 0.5)
        else:
            built.fail(step.parent)
    assert built.node(1).trials == 5
    assert promising(built) != 1
