"""Strategies: where the next proposal or trial goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kernel.decide.archive import TRIALS, Archive, Compose, Expand, Measure, SearchSettings
from agent.kernel.decide.statistics import FRESH
from agent.kernel.decide.strategies import STRATEGIES, Strategy
from tests.kernel.decide.archives import archive, score


@pytest.fixture(params=sorted(STRATEGIES))
def strategy(request: pytest.FixtureRequest) -> Strategy:
    """Every strategy in turn."""
    return STRATEGIES[request.param]()


@given(seed=st.integers(0, 2**32), workers=st.integers(1, 8), kind=st.sampled_from(sorted(STRATEGIES)))
@settings(max_examples=40)
def test_no_strategy_ever_touches_a_dead_node(seed: int, workers: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    built, chooser, flying = archive([None], min_trials=6), STRATEGIES[kind](), []
    for _ in range(120):
        step = chooser.next(built, rng)
        if isinstance(step, Compose):
            built.begin(step)
            built.add(len(built), built.champion, alive=bool(rng.integers(2)), patches=step.patches)
            continue
        node = built.node(step.node if isinstance(step, Measure) else step.parent)
        assert node.alive
        assert node.expandable or isinstance(step, Measure)
        built.begin(step)
        flying.append(step)
        if len(flying) == workers:
            done = flying.pop(int(rng.integers(workers)))
            if isinstance(done, Measure):
                built.record(done.node, float(rng.random()))
            else:
                built.add(len(built), done.parent, alive=bool(rng.integers(2)))
            built.end(done)


def test_the_same_seed_gives_the_same_steps(strategy: Strategy) -> None:
    built = archive([None, 0, 0, 1], min_trials=2)
    for node in range(4):
        score(built, node, 1, 2)
    first, second = (strategy.next(built, np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_parallel_workers_are_not_all_given_the_same_work() -> None:
    built, chooser, rng = archive([None]), STRATEGIES["thompson"](), np.random.default_rng(1)
    score(built, 0, 30, 60)
    steps = []
    for _ in range(20):
        steps.append(chooser.next(built, rng))
        built.begin(steps[-1])
    proposals = [step for step in steps if isinstance(step, Expand)]
    turns = [step.turn for step in steps if isinstance(step, Measure)]
    assert 0 < len(proposals) < 20
    assert turns == list(range(60, 60 + len(turns)))


def test_the_archive_grows_with_the_power_of_the_trials() -> None:
    built, chooser, rng = archive([None]), STRATEGIES["thompson"](), np.random.default_rng(2)
    for _ in range(600):
        step = chooser.next(built, rng)
        if isinstance(step, Measure):
            built.record(step.node, float(rng.integers(2)))
        else:
            built.add(len(built), step.parent)
    assert len(built) == pytest.approx(built.trials**0.6, abs=1.5)


def test_an_improver_that_only_fails_does_not_starve_the_trials() -> None:
    built, chooser, rng = archive([None]), STRATEGIES["thompson"](), np.random.default_rng(2)
    for _ in range(400):
        step = chooser.next(built, rng)
        if isinstance(step, Measure):
            built.record(step.node, 0.5)
        else:
            built.fail(step.parent)
    assert built.trials > 200


def test_thompson_prefers_the_clade_that_does_well() -> None:
    built, chooser, rng = (
        archive([None, 0, 0, 1, 2], parent_trials=0),
        STRATEGIES["thompson"](),
        np.random.default_rng(3),
    )
    score(built, 3, 90, 100)
    score(built, 4, 10, 100)
    parents = [step.parent for step in (chooser.next(built, rng) for _ in range(100)) if isinstance(step, Expand)]
    assert len(parents) == 100
    assert sum(parent in {1, 3} for parent in parents) > 90


def test_the_offspring_of_a_failure_gets_neither_proposals_nor_trials_beside_a_node_that_works() -> None:
    built = archive([None, 0, *[1] * 12], growth=0.9)
    score(built, 0, 10, 20)
    score(built, 1, 0, 20)
    for node in range(2, len(built)):
        score(built, node, 0, 1)

    def parents(kind: str) -> list[int]:
        draws, chooser = np.random.default_rng(3), STRATEGIES[kind]()
        steps = [chooser.next(built, draws) for _ in range(200)]
        chosen = [step.parent for step in steps if isinstance(step, Expand)]
        assert len(chosen) == len(steps)
        return chosen

    assert parents("thompson").count(0) > 0.4 * 200
    assert parents("hgm").count(0) == 0  # Beta(1, 1) for all, as published


def test_a_new_node_is_expected_to_score_what_its_parent_does() -> None:
    built = archive([None, 0, 1, 0])
    score(built, 0, 10, 20)
    score(built, 1, 0, 20)
    a, b = built.priors()
    assert np.allclose(a + b, 2.0)
    assert np.allclose(a[0], 1.0)
    assert np.allclose(a[2], 2.0 * (2.0 * 0.5) / 22.0)  # two of the champion's mean, twenty of its own
    assert np.allclose(a[3], 2.0 * 11.0 / 22.0)


def test_a_trial_in_flight_of_a_new_node_counts_as_the_strategy_expects_it_to_score() -> None:
    built = archive([None, 0])
    score(built, 0, 1, 3)
    built.begin(Measure(1, 0))
    assert np.allclose(built.own()[:, 1], [0.36, 0.64])  # its parent: two trials at .4, one of three won
    assert np.allclose(built.own(np.ones((2, 2)))[:, 1], [0.5, 0.5])


def test_a_large_archive_still_finds_its_best_nodes() -> None:
    built, chooser = archive([None, *[0] * 2 * FRESH], growth=0.01), STRATEGIES["thompson"]()
    rng = np.random.default_rng(4)
    true = np.linspace(0.0, 0.8, len(built))
    for _ in range(12_000):
        step = chooser.next(built, rng)
        assert isinstance(step, Measure)
        built.record(step.node, float(rng.random() < true[step.node]))
    trials = built.column(TRIALS)
    assert trials[true > 0.7].mean() > 5 * trials[true < 0.4].mean()


def test_a_parent_whose_proposals_fail_is_asked_less() -> None:
    built, chooser, rng = archive([None, 0, 0]), STRATEGIES["thompson"](), np.random.default_rng(3)
    for node in (1, 2):
        score(built, node, 50, 100)
    for _ in range(60):
        built.fail(1)
    parents = [step.parent for step in (chooser.next(built, rng) for _ in range(100)) if isinstance(step, Expand)]
    assert parents.count(1) < parents.count(2) / 5


def test_greedy_takes_the_best_mean_and_on_a_tie_the_smaller_tree() -> None:
    built = Archive(SearchSettings(min_trials=4))
    for node, (parent, size) in enumerate([(None, 90), (0, 80), (0, 70), (0, 60)]):
        built.add(node, parent, size=size)
        score(built, node, [1, 3, 3, 2][node], 4)
    assert STRATEGIES["greedy"]().next(built, np.random.default_rng(0)) == Expand(2)


def test_greedy_and_dgm_give_every_node_its_full_number_of_trials_first() -> None:
    for kind in ("greedy", "dgm"):
        built = archive([None, 0], min_trials=3)
        score(built, 0, 1, 3)
        assert STRATEGIES[kind]().next(built, np.random.default_rng(0)) == Measure(1, 0)


def test_dgm_prefers_good_nodes_with_few_children() -> None:
    built = archive([None, 0, 0, 0, 0], min_trials=10)
    for node, wins in enumerate([8, 1, 8, 1, 1]):
        score(built, node, wins, 10)
    rng = np.random.default_rng(4)
    steps = [STRATEGIES["dgm"]().next(built, rng) for _ in range(200)]
    parents = [step.parent for step in steps if isinstance(step, Expand)]
    assert parents.count(2) > 2 * parents.count(0) > 0


@pytest.mark.parametrize("kind", ["thompson", "hgm"])
def test_a_parent_is_measured_before_anything_is_built_on_it(kind: str) -> None:
    built, rng = archive([None, 0], growth=0.9, parent_trials=4, min_trials=40), np.random.default_rng(1)
    score(built, 0, 0, 30)
    score(built, 1, 3, 3)
    steps = [STRATEGIES[kind]().next(built, rng) for _ in range(40)]
    assert {step.parent for step in steps if isinstance(step, Expand)} <= {0}
    assert Measure(1, 3) in steps
    built.begin(Measure(1, 3))  # what it lacks is in flight: the work continues elsewhere
    steps = [STRATEGIES[kind]().next(built, rng) for _ in range(40)]
    assert {step.parent for step in steps if isinstance(step, Expand)} <= {0}
    built.record(1, 1.0)
    built.end(Measure(1, 3))
    steps = [STRATEGIES[kind]().next(built, rng) for _ in range(40)]
    assert 1 in {step.parent for step in steps if isinstance(step, Expand)}
