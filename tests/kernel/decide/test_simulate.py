"""Simulated campaigns: the twin decides as the gate does, and a prediction is honest about small budgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import GateSettings, PairedTest, threshold
from agent.kernel.decide.simulate import Prediction, SimulatedCampaign, many_tests, power_of, predict
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.decide.world import World, WorldSettings

GATE = GateSettings()


def world(seed: int = 0, **settings_: float) -> World:
    """A world of 20 tasks a split."""
    few = WorldSettings(search_tasks=20, gate_tasks=20, **settings_)  # type: ignore[arg-type]
    return World(few, np.random.default_rng(seed))


def forecast(trials: int, **changes: object) -> Prediction:
    """A prediction for 20 tasks a split."""
    plain = {
        "search_tasks": 20,
        "gate_tasks": 20,
        "trials": trials,
        "search": SearchSettings(task_count=20),
        "gate": GATE,
    }
    return predict(**{**plain, **changes})  # type: ignore[arg-type]


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1), st.integers(1, 30))
@settings(max_examples=60)
def test_the_twin_decides_every_test_as_the_gate_does(seed: int, a: float, b: float, index: int) -> None:
    scores = (np.random.default_rng(seed).random((300, 2)) < (a, b)).astype(float)
    test = PairedTest(replace(GATE, max_pairs=300), index, 0, history=[(x, y) for x, y in scores.tolist()])
    decision = test.decide()
    accepted, pairs = many_tests((scores[:, 1] - scores[:, 0])[None], threshold(index, 0, GATE), GATE)
    assert decision is not None
    assert decision.accepted == accepted[0]
    assert decision.pairs == pairs[0]


def test_the_seed_scaffold_scores_what_the_settings_say() -> None:
    for base in (0.1, 0.35, 0.8):
        assert world(base=base).mean(0.0) == pytest.approx(base)


def test_power_grows_with_the_effect_and_a_patch_without_effect_is_not_proved() -> None:
    suite = world()
    powers = [power_of(suite, effect, 400, GATE)[0] for effect in (0.0, 0.1, 0.3)]
    assert powers[0] <= 0.02
    assert powers[0] < powers[1] < powers[2]
    assert powers[2] > 0.95


def test_coupled_pairs_prove_more_with_fewer_pairs() -> None:
    plain, coupled = (power_of(world(coupled=shared), 0.05, 1000, GATE) for shared in (False, True))
    assert coupled[0] > plain[0]
    assert coupled[1] < plain[1] / 2


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_campaign_spends_its_budget_and_no_more(strategy: str) -> None:
    search = SearchSettings(task_count=20)
    campaign = SimulatedCampaign(world(1), 600, search=search, gate=GATE, strategy=STRATEGIES[strategy]())
    outcome = campaign.run()
    assert 600 <= campaign.used <= 601
    assert outcome.commits <= outcome.tests == sum(outcome.verdicts.values())


def test_the_same_seed_predicts_the_same() -> None:
    assert forecast(150) == forecast(150)


def test_a_budget_that_proves_nothing_is_said_so() -> None:
    poor = forecast(30)
    assert poor.provable_half is None
    assert poor.commits == 0
    assert "too few to prove any improvement" in poor.sentence


def test_a_larger_budget_proves_smaller_improvements() -> None:
    small, large = forecast(400), forecast(2000)
    assert small.provable_half is not None
    assert large.provable_half is not None
    assert large.provable_half < small.provable_half
    assert f"{100 * large.provable_half:g} points" in large.sentence


def test_money_and_time_follow_from_the_trials() -> None:
    priced = forecast(100, dollars_per_trial=0.02, seconds_per_trial=90.0, parallel=4)
    assert priced.dollars == pytest.approx(2.0)
    assert priced.hours == pytest.approx(0.625)
    assert forecast(100).dollars is None
