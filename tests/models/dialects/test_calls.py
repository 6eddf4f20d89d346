"""Malformed tool calls: what strict servers get instead, and what each dialect's client sees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.models import ModelConfig
from agent.models.dialects import calls, translate
from agent.models.ports import Dialect, Json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def call(ident: str | None, raw: Any) -> Json:
    return {"id": ident, "type": "function", "function": {"name": "run", "arguments": raw}}


def turn(*given: Json) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(given)}


def result(ident: str, said: str) -> Json:
    return {"role": "tool", "tool_call_id": ident, "content": said}


def test_a_malformed_call_is_sent_as_an_empty_one_and_its_result_says_why() -> None:
    told = [turn(call("a", '{"x": 1'), call("b", '{"x": 2}')), result("a", "bad arguments"), result("b", "fine")]
    first, told_a, told_b = calls.fixed(told)
    assert [one["function"]["arguments"] for one in first["tool_calls"]] == ["{}", '{"x": 2}']
    assert told_a["content"] == '[the call was not run: its arguments are not a JSON object: {"x": 1]\nbad arguments'
    assert told_b == result("b", "fine")


def test_a_malformed_call_without_a_result_gets_one() -> None:
    made = calls.fixed([turn(call("a", "[1]")), {"role": "user", "content": "continue"}])
    assert [message["role"] for message in made] == ["assistant", "tool", "user"]
    assert made[1]["tool_call_id"] == "a"
    assert calls.fixed([turn(call("a", "nonsense"))])[-1]["role"] == "tool"


@pytest.mark.parametrize("raw", [None, "", "{}"])
def test_a_call_without_arguments_is_well_formed(raw: str | None) -> None:
    made = calls.fixed([turn(call("a", raw)), result("a", "done")])
    assert made[0]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert made[1]["content"] == "done"


@given(st.text() | JSON)
def test_whatever_a_model_wrote_as_arguments_becomes_an_object_and_comes_back(raw: Any) -> None:
    given = calls.as_input(raw)
    assert isinstance(given, dict)
    if calls.arguments(raw) is None and isinstance(raw, str):
        assert calls.as_arguments(given) == raw
    json.dumps(given)


@given(st.lists(st.sampled_from(["a", "a_1", "", None, "b"]), max_size=6))
def test_the_calls_of_an_answer_get_ids_that_differ(idents: list[str | None]) -> None:
    made = [one["id"] for one in calls.numbered([call(ident, "{}") for ident in idents])]
    assert len(set(made)) == len(made)
    assert all(made)


def test_cut_off_arguments_reach_a_messages_client_as_invalid_json() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [call("c", '{"city": "Gr')]}
    reply = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "length"}]}
    answer = translate.answer(Dialect.CHAT, Dialect.MESSAGES, reply, {})
    assert answer["content"] == [
        {"type": "tool_use", "id": "c", "name": "run", "input": {"INVALID_JSON": '{"city": "Gr'}}
    ]
    assert answer["stop_reason"] == "max_tokens"
    response = translate.answer(Dialect.CHAT, Dialect.RESPONSES, reply, {})
    assert (response["status"], response["output"][0]["arguments"]) == ("incomplete", '{"city": "Gr')


def test_an_assistant_message_without_content_or_calls_is_sent_as_empty_text() -> None:
    assert calls.fixed([{"role": "assistant", "content": None}]) == [{"role": "assistant", "content": ""}]


def test_arguments_that_are_nested_too_deep_to_be_written_are_malformed() -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    assert calls.arguments(deep) is None
    json.dumps(
        translate.request(Dialect.CHAT, Dialect.MESSAGES, _asked(deep), ModelConfig(provider="anthropic", model="m"), 5)
    )


def _asked(raw: str) -> Json:
    return {"model": "m", "messages": [{"role": "user", "content": "x"}, turn(call("a", raw)), result("a", "done")]}
