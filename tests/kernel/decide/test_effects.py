"""What each patch is worth: the model of the search trials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kernel.decide.archive import Archive, SearchSettings
from agent.kernel.decide.effects import Levels, Observations, Posterior, Trials, fit

CHAIN = [frozenset[int](), frozenset({1}), frozenset({1, 2}), frozenset({3})]


def observed(
    members: list[frozenset[int]], effects: dict[int, float], *, count: int, coupled: bool, seed: int = 4
) -> Trials:
    """Trials of every candidate at the same indices, with chances that add up."""
    rng, seen = np.random.default_rng(seed), Observations()
    shared = rng.random(count)
    for row, held in enumerate(members):
        chance = 0.4 + sum(effects[patch] for patch in held)
        luck = shared if coupled else rng.random(count)
        for index in range(count):
            seen.add(row, index, float(luck[index] < chance))
    return seen.trials


@pytest.mark.parametrize("coupled", [True, False])
def test_effects_are_found_where_each_patch_is_held_by_several(coupled: bool) -> None:
    true = {1: 0.2, 2: -0.2, 3: 0.0}
    found = fit(CHAIN, observed(CHAIN, true, count=600, coupled=coupled))
    assert found.effects == pytest.approx(true, abs=0.08)
    assert found.values == pytest.approx([0.4, 0.6, 0.4, 0.4], abs=0.08)


def test_answers_that_all_share_make_leads_surer() -> None:
    true = {1: 0.1, 2: 0.0, 3: 0.0}
    apart, together = (fit(CHAIN, observed(CHAIN, true, count=100, coupled=c), [0.1]) for c in (False, True))
    assert together.noise < apart.noise / 2
    assert together.lead(0)[1][1] < apart.lead(0)[1][1]


def test_the_spread_of_effects_is_learnt_from_the_campaign() -> None:
    members = [frozenset[int](), *(frozenset({n}) for n in range(1, 31))]
    small = fit(members, observed(members, dict.fromkeys(range(1, 31), 0.0), count=60, coupled=True))
    large = fit(members, observed(members, {n: 0.4 * (n % 2) for n in range(1, 31)}, count=60, coupled=True))
    assert small.spread < 0.05
    assert large.spread > 0.1


@pytest.mark.parametrize(("coupled", "count", "most"), [(True, 40, 0.013), (False, 80, 0.021)])
def test_few_large_effects_are_told_from_many_that_are_none(coupled: bool, count: int, most: float) -> None:
    """The mean error of sixty effects, of which four are large: .016 and .024 if all are shrunk alike."""
    true, errors = {n: 0.12 * (n <= 4) for n in range(1, 61)}, list[float]()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        panels = [frozenset(), *(frozenset(rng.choice(60, 8, replace=False) + 1) for _ in range(60))]
        found = fit(panels, observed(panels, true, count=count, coupled=coupled, seed=seed)).effects
        errors.append(float(np.mean([(found[n] - true[n]) ** 2 for n in true]) ** 0.5))
    assert np.mean(errors) < most


def test_a_candidate_with_hardly_a_trial_is_expected_to_score_what_its_patches_do() -> None:
    trials = observed(CHAIN, {1: 0.3, 2: 0.0, 3: 0.3}, count=200, coupled=True)
    both = fit([*CHAIN, frozenset({1, 3})], trials)
    assert both.values[4] == pytest.approx(both.values[1] + both.effects[3])
    assert both.lead(0)[1][4] > both.lead(0)[1][1]


@given(st.integers(0, 2**20))
@settings(max_examples=20)
def test_draws_have_the_mean_and_spread_that_the_posterior_says(seed: int) -> None:
    found: Posterior = fit(CHAIN, observed(CHAIN, {1: 0.2, 2: 0.0, 3: 0.1}, count=40, coupled=False), [0.1])
    rng = np.random.default_rng(seed)
    draws = np.stack([found.draw(rng) for _ in range(600)])
    lead, error = found.lead(0)
    assert draws.mean(axis=0) == pytest.approx(found.values, abs=0.03)
    assert (draws - draws[:, :1]).std(axis=0) == pytest.approx(error, abs=0.02)
    assert lead == pytest.approx(found.values - found.values[0])


def test_scores_are_compared_as_if_all_had_met_the_same_tasks() -> None:
    rng, built = np.random.default_rng(1), Archive(SearchSettings())
    outcomes = [1.0] * 24 + [0.0, 1.0, 0.0, 0.0] * 4  # the same for all, but for the last one
    for node in range(30):
        built.add(node, 0 if node else None)
        for index in range(40) if node == 0 else rng.choice(range(20, 40), 8, replace=False):
            built.record(node, max(outcomes[index], float(node == 29)), int(index))
    trials = built.observations.trials
    levels = Levels()
    level = levels.of(trials, 30)
    assert abs(level[1:29].mean() - level[0]) < 0.06, "all are equally good"
    assert built.means[1:29].mean() < built.means[0] - 0.2, "which plain means do not say"
    assert level[29] > level[0] + 0.2
    assert np.isnan(levels.of(trials, 31)[30]), "no trial"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.floats(0.0, 1.0)), min_size=1, max_size=60))
def test_every_candidate_with_a_trial_has_a_score_between_0_and_1(outcomes: list[tuple[int, int, float]]) -> None:
    levels, seen = Levels(), Observations()
    for row, index, score in outcomes:
        seen.add(row, index, score)
        level = levels.of(seen.trials, 6)
    met = {row for row, _, _ in outcomes}
    assert {row for row in range(6) if not np.isnan(level[row])} == met
    assert all(0.0 <= level[row] <= 1.0 for row in met)


def test_a_score_that_was_told_before_and_one_of_a_new_reader_are_nearly_the_same() -> None:
    rng, seen, levels = np.random.default_rng(3), Observations(), Levels()
    hard = rng.random(40)
    for number in range(4000):
        index = int(rng.integers(number // 200 + 1))  # new indices come up all the time
        seen.add(number % 20, index, float(rng.random() > hard[index]))
        if number % 7 == 0:
            levels.of(seen.trials, 20)
    assert levels.of(seen.trials, 20) == pytest.approx(Levels().of(seen.trials, 20), abs=0.01)


def test_the_parts_of_indices_are_fitted_again_after_a_fiftieth_more_trials() -> None:
    rng, seen, levels = np.random.default_rng(4), Observations(), Levels()
    for number in range(1021):
        seen.add(number % 20, int(rng.integers(30)), float(rng.random() < 0.5))
        if number in {999, 1010}:
            levels.of(seen.trials, 20)
    assert levels.of(seen.trials, 20) == pytest.approx(Levels().of(seen.trials, 20), abs=1e-9)
