"""The numbers of search, as the configuration sets them."""

from __future__ import annotations

import math

import pytest

from agent.config.campaign import Config
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.loop.settings import before_a_test, fewest_pairs, search_settings
from bench.peers.tasks import suite

MODELS = {"solver": {"provider": "embedded"}, "improver": {"provider": "embedded"}}


@pytest.mark.parametrize(
    ("strategy", "champion", "wanted"),
    [("pooled", 0, (15, 4.0)), ("pooled", 7, (15, 1.65)), ("thompson", 0, (30, 2.0))],
)
def test_what_a_candidate_needs_before_a_test_is_the_strategys_own_rule(
    strategy: str, champion: int, wanted: tuple[int, float]
) -> None:
    config = Config.model_validate({"suite": "starter", "models": MODELS, "search": {"strategy": strategy}})
    assert before_a_test(config, SearchSettings(min_trials=30, min_z=2.0, task_count=20), champion, used=1500) == wanted


@pytest.mark.parametrize(("trials", "foreseen"), [(500, 500), (None, math.inf)])
def test_search_knows_how_many_trials_the_campaign_has(trials: int | None, foreseen: float) -> None:
    config = Config.model_validate({"suite": "starter", "models": MODELS, "budget": {"trials": trials}})
    assert search_settings(config, suite("world")).foreseen == foreseen


@pytest.mark.parametrize(
    ("strategy", "objective", "pairs"), [("pooled", "score", 6), ("pooled", "both", 9), ("thompson", "score", 8)]
)
def test_the_fewest_pairs_of_a_test_are_those_of_what_the_strategy_bets(
    strategy: str, objective: str, pairs: int
) -> None:
    what = {"search": {"strategy": strategy}, "gate_options": {"objective": objective}}
    assert fewest_pairs(Config.model_validate({"suite": "starter", "models": MODELS, **what})) == pairs
