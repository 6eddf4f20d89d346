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
        ({**OPENAI, "recording": "x"}, "`recording` does nothing for provider openai; it is for replay"),
        ({**OPENAI, "slots": 3}, "`slots` does nothing for provider openai"),
        ({**OPENAI, "prompt_cache": True}, "it is for anthropic"),
        ({**OPENAI, "drop": ["messages"]}, "`drop: messages` does nothing: the scaffold writes it"),
        ({**OPENAI, "drop": ["max_tokens"]}, "set `max_output`"),
        ({**OPENAI, "set": {"model": "x"}}, "set `model`"),
        ({**OPENAI, "extra_body": {"max_completion_tokens": 5}}, "set `max_output`"),
        ({**OPENAI, "drop": ["stop"], "set": {"stop": "x"}}, "`stop` is in both `drop` and `set`. Keep one"),
        ({**OPENAI, "set": {"a": 1}, "extra_body": {"a": 1}}, "`a` is in both `set` and `extra_body`"),
        ({**OPENAI, "pass": ["top_a"], "drop": ["top_a"]}, "`top_a` is in both `drop` and `pass`"),
        ({**OPENAI, "pass": ["service_tier"]}, "`pass: service_tier` does nothing.*with `extra_body`"),
        ({**OPENAI, "pass": ["anthropic-beta"]}, "such headers are for anthropic"),
        ({"provider": "scripted", "script": "x", "set": {"a": 1}}, "`set` does nothing for provider scripted"),
        ({"provider": "embedded", "ca_file": "x"}, "`ca_file` does nothing for provider embedded"),
        ({"provider": "anthropic", "model": "m", "finish_reason": "optional"}, "`finish_reason` does nothing"),
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


def test_parameters_can_be_left_out_fixed_added_and_passed_on() -> None:
    given = {
        **OPENAI,
        "drop": ["stop", "system"],
        "set": {"temperature": 1},
        "pass": ["top_a"],
        "extra_body": {"o": {}},
    }
    model = ModelConfig.model_validate(given)
    assert (model.drop, model.always, model.passed, model.extra_body) == (
        ("stop", "system"),
        {"temperature": 1},
        ("top_a",),
        {"o": {}},
    )
    assert {model: 1}[ModelConfig.model_validate(given)] == 1, "a model is a key, whatever its parameters are"


def test_a_client_that_insists_on_a_model_s_name_finds_the_role() -> None:
    models = ModelsConfig.model_validate(
        {
            "solver": [OPENAI, {**OPENAI, "names": ["claude-haiku-*", "gpt-x"]}],
            "judge": {**OPENAI, "names": ["claude-*"]},
        }
    )
    assert models.named("claude-haiku-4-5-20251001", ["solver", "judge"]) == "solver"
    assert models.named("claude-opus-4-7", ["solver", "judge"]) == "judge"
    assert models.named("claude-opus-4-7", ["solver"]) is None
    first, second = models.of("solver")
    assert (first.endpoint == second.endpoint, first == second) == (True, False), "they share one set of limits"


def test_a_missing_role_is_named() -> None:
    models = ModelsConfig.model_validate({"solver": OPENAI})
    models.need(("solver",))
    with pytest.raises(UserError, match=r"no role named 'improver'.*add `models.improver`"):
        models.need(("solver", "improver"))


def test_paths_of_files_are_taken_from_the_configuration_s_folder() -> None:
    model = ModelConfig.model_validate({**OPENAI, "base_url": "https://x/v1", "ca_file": "ca.pem"})
    assert model.below(Path("/here")).ca_file == Path("/here/ca.pem")


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    table = text[text.index("## Every key") : text.index("An unknown key")]
    for name, field in ModelConfig.model_fields.items():
        assert f"`{field.alias or name}`" in table


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
