"""Whatever a box or a provider sends, translation understands it or refuses it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config.models import ModelConfig
from agent.models.dialects import reasoning, translate
from agent.models.dialects.formats import FORMATS
from agent.models.dialects.rules import RULES, identity
from agent.models.ports import MISSHAPEN, BadCall, Dialect, Json, Trouble

CHAT_MODEL = ModelConfig(provider="openai", model="m", base_url="http://127.0.0.1:1/v1")
MESSAGES_MODEL = ModelConfig(provider="anthropic", model="m", prompt_cache=True)
NATIVE = {Dialect.CHAT: CHAT_MODEL, Dialect.MESSAGES: MESSAGES_MODEL}

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
ODD = st.sampled_from([None, 1, -1.5, True, "", "x", [], {}, [1], [None], [{}], {"type": "x"}, [[]]])
NAMES = st.sampled_from(
    [
        "text",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "function",
        "message",
        "function_call",
        "custom_tool_call",
        "reasoning",
        "function_call_output",
        "custom",
        "namespace",
        "web_search",
        "auto",
        "json_schema",
    ]
)
PACKED = reasoning.pack({"reasoning": "hm", "content": [{"type": "thinking", "thinking": "hm"}]})
BLOCK = st.fixed_dictionaries(
    {"type": NAMES},
    optional={
        "text": TEXT | ODD,
        "id": TEXT | ODD,
        "name": TEXT | ODD,
        "input": st.just({"a": 1}) | ODD,
        "tool_use_id": TEXT | ODD,
        "call_id": TEXT | ODD,
        "output": TEXT | ODD,
        "arguments": st.sampled_from(["{}", "{", "[]"]) | ODD,
        "signature": st.just(PACKED) | TEXT | ODD,
        "encrypted_content": st.just(PACKED) | TEXT | ODD,
        "thinking": TEXT | ODD,
        "namespace": TEXT | ODD,
        "tools": st.just([{"type": "function", "name": "x"}]) | ODD,
        "content": TEXT | ODD,
        "function": st.fixed_dictionaries({}, optional={"name": TEXT | ODD, "arguments": st.just("{}") | ODD}) | ODD,
        "schema": st.just({"type": "object"}) | ODD,
        "json_schema": st.just({"schema": {}}) | ODD,
    },
)
CONTENT = TEXT | st.lists(BLOCK, max_size=3) | ODD
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"]), "content": CONTENT},
    optional={"tool_calls": st.lists(BLOCK, max_size=2) | ODD, "tool_call_id": TEXT | ODD},
)
PLAIN = [{"role": "user", "content": "hello"}]
COMMON = {
    "tools": st.lists(BLOCK, max_size=2) | ODD,
    "tool_choice": BLOCK | NAMES | ODD,
    "temperature": st.floats(0, 2) | ODD,
    "parallel_tool_calls": ODD,
}
CHAT = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.just(PLAIN) | st.lists(MESSAGE, max_size=4)},
    optional={
        **COMMON,
        "stop": TEXT | ODD,
        "n": ODD,
        "max_tokens": ODD,
        "response_format": BLOCK | ODD,
        "reasoning_effort": ODD,
        "logit_bias": ODD,
    },
)
MESSAGES = st.fixed_dictionaries(
    {"model": st.just("m"), "max_tokens": st.just(5), "messages": st.just(PLAIN) | st.lists(MESSAGE, max_size=4)},
    optional={
        **COMMON,
        "system": CONTENT,
        "stop_sequences": ODD,
        "thinking": ODD,
        "output_config": st.fixed_dictionaries({}, optional={"format": BLOCK | ODD, "effort": ODD}) | ODD,
    },
)
RESPONSES = st.fixed_dictionaries(
    {"model": st.just("m"), "input": TEXT | st.lists(MESSAGE | BLOCK, max_size=4) | ODD},
    optional={**COMMON, "text": st.fixed_dictionaries({}, optional={"format": BLOCK | ODD}) | ODD, "reasoning": ODD},
)


def carry(dialect: Dialect, body: Json) -> None:
    for native, model in NATIVE.items():
        with contextlib.suppress(BadCall):
            json.dumps(identity(dialect, body))
            FORMATS[dialect].check(body)
            sent = translate.request(dialect, native, body, model, 9)
            json.dumps(sent)
            assert sent["model"] == "m"


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(CHAT)
def test_any_chat_request_is_carried_or_refused(body: Json) -> None:
    carry(Dialect.CHAT, body)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(MESSAGES)
def test_any_messages_request_is_carried_or_refused(body: Json) -> None:
    carry(Dialect.MESSAGES, body)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(RESPONSES)
def test_any_responses_request_is_carried_or_refused(body: Json) -> None:
    carry(Dialect.RESPONSES, body)


ODDITIES: list[Any] = [None, 1, -1.5, True, "", "x", [], {}, [1], [None], [{}], [[]], {"type": "x"}]
ODDITIES += [{"type": "function"}, {"type": "tool"}, {"type": ["x"]}, [{"type": ["x"]}], [{"role": ["x"]}]]
BASES: list[tuple[Dialect, Json]] = [
    (Dialect.CHAT, {"model": "m", "messages": PLAIN}),
    (Dialect.MESSAGES, {"model": "m", "messages": PLAIN, "max_tokens": 3}),
    (Dialect.RESPONSES, {"model": "m", "input": "x"}),
]


@pytest.mark.parametrize(("dialect", "base"), BASES)
def test_every_parameter_takes_every_oddity_or_refuses_it(dialect: Dialect, base: Json) -> None:
    for name in {*RULES[dialect].known, *RULES[dialect].beyond, "unheard_of"}:
        for odd in ODDITIES:
            carry(dialect, {**base, name: odd})


ANSWER = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT | ODD,
        "choices": st.lists(
            st.fixed_dictionaries(
                {
                    "message": MESSAGE | ODD,
                    "finish_reason": st.sampled_from(["stop", "length", "tool_calls", "odd", None]),
                }
            ),
            max_size=2,
        )
        | ODD,
        "content": st.lists(BLOCK | ODD, max_size=3),
        "stop_reason": st.sampled_from(["end_turn", "tool_use", "pause_turn", None]),
        "usage": st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "input_tokens"]), ODD) | ODD,
    },
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(ANSWER)
def test_any_answer_is_understood_or_refused_and_then_streams(reply: Json) -> None:
    for native in NATIVE:
        for dialect in Dialect:
            try:
                FORMATS[native].complete(reply)
                answer = translate.answer(native, dialect, reply, {})
            except (Trouble, *MISSHAPEN):
                continue
            with contextlib.suppress(*MISSHAPEN):
                FORMATS[native].tokens(reply)
            assert b"".join(FORMATS[dialect].events(answer, {}))


ROUND = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "weather?"},
    {
        "role": "assistant",
        "content": "looking",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "w", "arguments": '{"city": "Graz"}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "sun"},
    {"role": "user", "content": "thanks"},
]


def test_a_conversation_survives_the_way_to_anthropic_and_back() -> None:
    there = translate.request(Dialect.CHAT, Dialect.MESSAGES, {"model": "m", "messages": ROUND}, MESSAGES_MODEL, 9)
    assert [turn["role"] for turn in there["messages"]] == ["user", "assistant", "user"]
    FORMATS[Dialect.MESSAGES].check(there)
    back = translate.request(Dialect.MESSAGES, Dialect.CHAT, there, CHAT_MODEL, 9)
    assert back["messages"] == ROUND


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"reasoning_effort": "low"}, {"output_config": {"effort": "low"}}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"n": 1, "frequency_penalty": 0}, {}),
    ],
)
def test_parameters_have_their_counterparts(more: Any, sent: Any) -> None:
    body = {"model": "m", "messages": ROUND[1:2], **more}
    made = translate.request(Dialect.CHAT, Dialect.MESSAGES, body, MESSAGES_MODEL, 9)
    assert {name: made[name] for name in sent} == sent


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 1.5},
        {"frequency_penalty": 1},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "minimal"},
    ],
)
def test_what_messages_has_no_word_for_is_refused(more: Any) -> None:
    body = {"model": "m", "messages": ROUND[1:2], **more}
    with pytest.raises(BadCall):
        translate.request(Dialect.CHAT, Dialect.MESSAGES, body, MESSAGES_MODEL, 9)


def test_a_box_s_own_cache_marks_are_kept() -> None:
    marked = [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]
    body = {"model": "m", "max_tokens": 5, "system": marked, "messages": ROUND[1:2]}
    sent = translate.request(Dialect.MESSAGES, Dialect.MESSAGES, body, MESSAGES_MODEL, 5)
    assert "cache_control" not in sent
    assert sent["system"] == marked


@pytest.mark.parametrize(
    ("limit", "sent"),
    [
        (9000, {"type": "enabled", "budget_tokens": 8000}),
        (8000, {"type": "enabled", "budget_tokens": 7999}),
        (1024, {"type": "disabled"}),
    ],
)
def test_a_budget_for_thinking_stays_below_a_lowered_limit(limit: int, sent: Json) -> None:
    body = {"model": "m", "max_tokens": 9000, "messages": PLAIN, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    made = translate.request(Dialect.MESSAGES, Dialect.MESSAGES, body, MESSAGES_MODEL, limit)
    assert made["thinking"] == sent
