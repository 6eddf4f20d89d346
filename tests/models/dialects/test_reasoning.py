"""Reasoning survives the way to a box and back, byte for byte, in every form and through every dialect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.models import ModelConfig
from agent.models.dialects import reasoning, translate
from agent.models.dialects.formats import FORMATS
from agent.models.ports import Dialect, Json

MODEL = ModelConfig(provider="openai", model="m", base_url="http://127.0.0.1:1/v1")
CLAUDE = ModelConfig(provider="anthropic", model="m")
CALL = {"id": "c1", "type": "function", "function": {"name": "run", "arguments": "{}"}}
SIGNED_CALL = {**CALL, "extra_content": {"google": {"thought_signature": "c2ln+/="}}}
CHUNKS = [{"type": "thinking", "thinking": [{"type": "text", "text": "h\u00e4"}]}, {"type": "text", "text": "so"}]
SIGNED = [{"type": "thinking", "thinking": "hm", "signature": "s1=="}, {"type": "redacted_thinking", "data": "x/+"}]

FORMS: dict[str, Json] = {
    "reasoning_content": {"content": "so", "reasoning_content": "h\u00e4 \u2028\n"},
    "reasoning": {"content": "so", "reasoning": "hm", "tool_calls": [CALL]},
    "reasoning_details": {
        "content": None,
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "abc=", "index": 0, "format": "x-v1"}],
        "tool_calls": [CALL],
    },
    "chunks": {"content": CHUNKS},
    "signature of a call": {"content": None, "tool_calls": [SIGNED_CALL]},
    "signature in a function": {
        "content": "so",
        "tool_calls": [{**CALL, "function": {**CALL["function"], "thought_signature": "zz"}}],  # type: ignore[dict-item]
    },
}


def reply(message: Json) -> Json:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    whole = {"role": "assistant", **message}
    return {"id": "r", "choices": [{"index": 0, "message": whole, "finish_reason": finish}]}


def asked_again(dialect: Dialect, answer: Json) -> Json:
    """The next request of a client that sends back all it got."""
    if dialect is Dialect.CHAT:
        message = answer["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": c["id"], "content": "ok"} for c in message.get("tool_calls") or ()]
        return {"model": "m", "messages": [{"role": "user", "content": "x"}, message, *results]}
    if dialect is Dialect.MESSAGES:
        ids = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": ident, "content": "ok"} for ident in ids]
        turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": answer["content"]}]
        return {"model": "m", "max_tokens": 5, "messages": [*turns, {"role": "user", "content": results or "continue"}]}
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}
        for item in answer["output"]
        if item["type"] == "function_call"
    ]
    return {"model": "m", "input": [{"role": "user", "content": "x"}, *answer["output"], *outputs]}


@pytest.mark.parametrize("asked", [{}, {"thinking": {"type": "adaptive"}}])
@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("form", FORMS)
def test_reasoning_of_a_chat_provider_comes_back_to_it(form: str, dialect: Dialect, asked: Json) -> None:
    answer = translate.answer(Dialect.CHAT, dialect, reply(FORMS[form]), asked)
    body = asked_again(dialect, json.loads(json.dumps(answer)))
    FORMATS[dialect].check(body)
    sent = translate.request(dialect, Dialect.CHAT, body, MODEL, 9)["messages"][1]
    for field, value in FORMS[form].items():
        if value is not None:
            assert sent[field] == value


@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES])
def test_thinking_that_anthropic_signed_comes_back_to_it(dialect: Dialect) -> None:
    use = {"type": "tool_use", "id": "t", "name": "run", "input": {}}
    native = {"id": "r", "content": [*SIGNED, use], "stop_reason": "tool_use"}
    answer = translate.answer(Dialect.MESSAGES, dialect, native, {})
    body = asked_again(dialect, json.loads(json.dumps(answer)))
    FORMATS[dialect].check(body)
    sent = translate.request(dialect, Dialect.MESSAGES, body, CLAUDE, 9)
    assert sent["messages"][1]["content"] == [*SIGNED, use]


def test_messages_pass_natively_byte_for_byte() -> None:
    blocks = [*SIGNED, {"type": "tool_use", "id": "t", "name": "run", "input": {"b": 1, "a": [None]}}]
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "y"},
    ]
    body = {"model": "m", "max_tokens": 5, "thinking": {"type": "adaptive"}, "messages": turns, "metadata": {"a": "b"}}
    sent = translate.request(Dialect.MESSAGES, Dialect.MESSAGES, body, CLAUDE, 5)
    assert sent == body


def test_thoughts_of_another_provider_are_not_shown_to_anthropic() -> None:
    answer = translate.answer(Dialect.CHAT, Dialect.MESSAGES, reply(FORMS["reasoning"]), {})
    body = asked_again(Dialect.MESSAGES, answer)
    sent = translate.request(Dialect.MESSAGES, Dialect.MESSAGES, body, CLAUDE, 5)
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["text", "tool_use"]


def test_a_box_that_did_not_ask_for_thinking_gets_its_text_first() -> None:
    first = translate.answer(Dialect.CHAT, Dialect.MESSAGES, reply(FORMS["reasoning"]), {})["content"]
    assert [block["type"] for block in first] == ["text", "tool_use", "thinking"]
    asked = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    second = translate.answer(Dialect.CHAT, Dialect.MESSAGES, reply(FORMS["reasoning"]), asked)["content"]
    assert [block["type"] for block in second] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize("form", FORMS)
def test_a_chat_stream_carries_every_field_of_a_message(form: str) -> None:
    answer = reply(FORMS[form])
    lines = b"".join(FORMATS[Dialect.CHAT].events(answer, {})).decode().split("\n\n")
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in lines if line.startswith("data: {")]
    whole: dict[str, Any] = {}
    for delta in deltas:
        for name, value in delta.items():
            if name == "tool_calls":
                calls = [{k: v for k, v in one.items() if k != "index"} for one in value]
                whole.setdefault(name, []).extend(calls)
            elif value:
                whole[name] = value
    given = {name: value for name, value in answer["choices"][0]["message"].items() if value is not None}
    assert whole == given


def test_a_word_that_hides_deep_nesting_restores_nothing() -> None:
    deep = '{"reasoning":' * 900 + "1" + "}" * 900
    assert reasoning.unpack(reasoning.MARK + base64.urlsafe_b64encode(deep.encode()).decode()) == {}


@given(st.text() | st.none() | st.integers() | st.just(reasoning.MARK + "W10") | st.just(reasoning.MARK + "bnVsbA=="))
def test_a_word_that_a_box_made_up_restores_nothing_that_breaks(word: Any) -> None:
    assert isinstance(reasoning.unpack(word), dict)
