"""Prices: the table's, the configuration's, and none."""

from __future__ import annotations

from typing import Any

import pytest

from agent.base.errors import UserError
from agent.base.types import Caps
from agent.config.models import ModelConfig, ModelsConfig
from agent.models.gateway import prices
from agent.models.ports import Tokens

MILLION = 1_000_000


def openai(**more: Any) -> ModelConfig:
    return ModelConfig(provider="openai", **{"model": "gpt-4o-mini", **more})


def test_the_table_prices_cached_input_lower() -> None:
    plain = prices.cost(openai(), Tokens(input=MILLION))
    cached = prices.cost(openai(), Tokens(input=MILLION, cache_read=MILLION))
    assert plain == pytest.approx(0.15)
    assert cached == pytest.approx(0.075)


def test_the_configuration_overrides_the_table() -> None:
    model = openai(price={"input": 1, "output": 2, "cache_read": 0.5})
    tokens = Tokens(input=MILLION, output=MILLION, cache_read=MILLION // 2)
    assert prices.cost(model, tokens) == pytest.approx(0.5 + 0.25 + 2)


def test_a_bound_is_never_below_the_cost() -> None:
    claude = ModelConfig(provider="anthropic", model="claude-sonnet-4-5")
    for model in (claude, openai()):
        bound = prices.bound(model, 1000, 500)
        for read, write in ((0, 0), (1000, 0), (0, 1000), (300, 300)):
            cost = prices.cost(model, Tokens(input=1000, output=500, cache_read=read, cache_write=write))
            assert cost is not None
            assert cost <= bound + 1e-12


def test_unknown_prices_are_named_and_refused_when_only_money_is_capped() -> None:
    models = ModelsConfig.model_validate(
        {
            "solver": {"provider": "openai", "model": "mystery", "base_url": "http://127.0.0.1:1/v1"},
            "b": {"provider": "embedded"},
        }
    )
    assert prices.unknown_prices(models) == ["openai/mystery"]
    with pytest.raises(UserError, match="no price is known for openai/mystery"):
        prices.check_caps(models, Caps(dollars=1))
    prices.check_caps(models, Caps(dollars=1, tokens=10))
    prices.check_caps(models, Caps())


def test_the_snapshot_names_the_table_and_the_rates() -> None:
    shot = prices.snapshot(ModelsConfig.model_validate({"solver": {"provider": "openai", "model": "gpt-4o-mini"}}))
    assert shot["table"].startswith("genai-prices ")
    assert shot["dollars_per_million"]["openai/gpt-4o-mini"]["output"] == pytest.approx(0.6)
