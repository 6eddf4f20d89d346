"""The `models:` part of campaign.yaml: every key does something, and unknown keys are errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from agent.base.errors import UserError
from agent.config.models import ModelConfig, ModelsConfig

OPENAI = {"provider": "openai", "model": "gpt-4o-mini"}


def test_a_role_has_one_model_or_a_weighted_list() -> None:
    models = ModelsConfig.model_validate(
        {"solver": OPENAI, "improver": [{**OPENAI, "weight": 2}, {"provider": "embedded"}]}
    )
    assert models.roles == ("solver", "improver")
    assert [m.provider for m in models.of("improver")] == ["openai", "embedded"]
    assert models.names() == ("openai/gpt-4o-mini", "embedded/SmolLM2-135M-Instruct")
    with pytest.raises(UserError, match="no role named 'judge'"):
        models.of("judge")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**OPENAI, "modle": "x"}, "modle"),
        ({"provider": "openai"}, "needs `model`"),
        ({"provider": "litellm", "model": "x"}, "provider"),
        ({"provider": "scripted"}, "needs `script`"),
        ({**OPENAI, "slots": 3}, "`slots` does nothing for provider openai"),
        ({**OPENAI, "prompt_cache": True}, "it is for anthropic"),
        ({"provider": "embedded", "base_url": "http://x"}, "`base_url` does nothing"),
        ({**OPENAI, "timeout": 0}, "timeout"),
        ({**OPENAI, "weight": 0}, "weight"),
        ({**OPENAI, "price": {"input": -1, "output": 0}}, "price"),
        ([], "has no model"),
    ],
)
def test_what_does_nothing_or_makes_no_sense_is_an_error(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ModelsConfig.model_validate({"solver": given})


def test_an_embedded_model_never_has_more_calls_in_flight_than_slots() -> None:
    assert ModelConfig(provider="embedded").parallel == 8
    assert ModelConfig(provider="embedded", slots=2, concurrency=5).parallel == 2
    assert ModelConfig(provider="embedded", slots=4, concurrency=3).parallel == 3


def test_a_local_server_needs_no_key_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ModelsConfig.model_validate({"solver": {**OPENAI, "base_url": "http://127.0.0.1:1/v1"}}).check_keys()
    named = {**OPENAI, "base_url": "http://127.0.0.1:1/v1", "api_key_env": "MY_OWN_VARIABLE"}
    with pytest.raises(UserError, match=r"models.solver.api_key_env: MY_OWN_VARIABLE is not set"):
        ModelsConfig.model_validate({"solver": named}).check_keys()
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        ModelsConfig.model_validate({"solver": OPENAI}).check_keys()


def test_replay_keeps_what_a_box_can_see() -> None:
    models = ModelsConfig.model_validate({"solver": {"provider": "embedded"}})
    again = models.as_replay().of("solver")[0]
    assert (again.provider, again.window, again.output_limit) == ("replay", 2048, 1024)


def test_reading_the_configuration_imports_no_sdk() -> None:
    heavy = ("openai", "anthropic", "starlette", "genai_prices")
    code = f"import sys, agent.config.models; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_example_in_the_documentation_is_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    examples = re.findall(r"```yaml\n(models:.*?)```", text, re.DOTALL)
    assert len(examples) >= 9
    for example in examples:
        assert ModelsConfig.model_validate(yaml.safe_load(example)["models"]).roles
