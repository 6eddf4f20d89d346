"""The scripted model: rules, sequences, and a script that ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import UserError
from agent.config.models import ModelsConfig
from agent.models.gateway.features import try_models
from agent.models.ports import Question, Trouble
from agent.models.providers import scripted
from agent.models.providers.scripted import Script, ScriptedProvider


def asked(text: str) -> Question:
    return Question(body={"messages": [{"role": "user", "content": text}]}, trial="t", answer_scope=None, key="k", k=0)


async def said(provider: ScriptedProvider, text: str) -> Any:
    return (await provider.ask(asked(text)))["choices"][0]


async def test_the_first_rule_that_fits_answers(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(
        "rules:\n- {match: apples, reply: fruit}\n- {regex: 'b.+d', tools: [{name: run, arguments: {x: 1}}]}\n"
        "- {match: cut, reply: half, finish: length}\n"
    )
    provider = ScriptedProvider(scripted.load(path))
    assert (await said(provider, "two apples"))["message"]["content"] == "fruit"
    assert (await said(provider, "b\nd"))["message"]["tool_calls"][0]["function"]["arguments"] == '{"x": 1}'
    assert (await said(provider, "cut"))["finish_reason"] == "length"
    with pytest.raises(Trouble, match="no rule for a message that starts 'pears'"):
        await provider.ask(asked("pears"))


async def test_a_sequence_is_used_up() -> None:
    provider = ScriptedProvider(Script.model_validate({"sequence": [{"reply": "a"}, {"match": "x", "reply": "b"}]}))
    assert (await said(provider, "anything"))["message"]["content"] == "a"
    with pytest.raises(Trouble, match="answer 2 of the script is for 'x'"):
        await provider.ask(asked("y"))
    assert (await said(provider, "x"))["message"]["content"] == "b"
    with pytest.raises(Trouble, match="used up after 2 answers"):
        await provider.ask(asked("x"))


@pytest.mark.parametrize(
    "text", ["", "rules: []", "rules: [{reply: a}]\nsequence: [{reply: b}]", "rules: [{repyl: a}]", "{"]
)
def test_a_file_that_is_not_a_script_is_the_user_s_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="is not a script"):
        scripted.load(path)


def test_a_missing_script_is_the_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        scripted.load(tmp_path / "none.yaml")


async def test_models_are_tried_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text('rules: [{match: colour, reply: \'{"colour": "red"}\'}]')
    empty = tmp_path / "empty.yaml"
    empty.write_text("rules: [{match: nothing, reply: x}]")
    models = {"solver": [{"provider": "scripted", "script": str(p), "model": p.stem} for p in (path, empty)]}
    good, bad = await try_models(ModelsConfig.model_validate(models))
    assert (good.role, good.model, good.error) == ("solver", "scripted/script", None)
    assert good.features == {"tools": False, "schema": True, "seed": True}
    assert good.tokens_out > 0
    assert "no rule" in str(bad.error)
