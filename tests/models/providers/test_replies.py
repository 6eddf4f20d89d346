"""Replies as servers send them, odd ones and errors: each has one answer, and none passes as a short one."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.models.dialects import replies
from agent.models.dialects.formats import FORMATS
from agent.models.ports import MISSHAPEN, Blame, Dialect, Json, Trouble

ASK = [{"role": "user", "content": "hello"}]
CALL = {"id": "c", "type": "function", "function": {"name": "run", "arguments": "{}"}}


def chunk(delta: Json, **more: Any) -> str:
    return f"data: {json.dumps({'id': 'x', 'choices': [{'index': 0, 'delta': delta, **more}]})}\n\n"


STREAM = (
    ": PROCESSING\n\n"
    + chunk({"role": "assistant", "content": ""})
    + chunk({"reasoning": "h"})
    + chunk({"reasoning": "m", "content": "gr"})
    + chunk({"content": "een", "tool_calls": [{"index": 0, "id": "c", "function": {"name": "run", "arguments": ""}}]})
    + chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x": 1}'}}]})
    + chunk({}, finish_reason="tool_calls")
    + 'data: {"id": "x", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\ndata: [DONE]\n\n'
)


async def ask(bench: Any, **more: Any) -> Any:
    _, path = await bench.session()
    return await bench.openai(path).chat.completions.create(model="small", messages=ASK, **more)


@pytest.mark.parametrize(
    "bad",
    [
        {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "error"}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "error": {"code": 500, "message": "up"}}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "native_finish_reason": "abort"}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": "novel"}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": None}]},
        {"choices": []},
        {"choices": None},
        {"error": "text"},
        {"error": {"message": "top"}},
        chunk({"content": "half"}),
        chunk({"content": "half"}) + 'data: {"error": {"message": "broke", "code": 502}}\n\n',
        "data: {half\n\n",
        "<html><title>Welcome</title>",
    ],
)
async def test_a_failed_call_in_any_dress_is_asked_again(
    run_gateway: Any, serve: Any, at: Any, chat: Any, bad: Any
) -> None:
    answers = [bad, chat("whole")]
    async with serve(lambda *_: (200, answers.pop(0))) as server, run_gateway(at(server)) as bench:
        answer = await ask(bench)
    assert answer.choices[0].message.content == "whole"
    assert bench.record.calls[0].retries == 1


@pytest.mark.parametrize("bad", [{"choices": [{"message": {}, "finish_reason": "error"}]}, {"error": "text"}])
async def test_a_provider_that_only_fails_is_down_and_no_trial_counts(
    run_gateway: Any, serve: Any, at: Any, bad: Json
) -> None:
    async with serve(lambda *_: (200, bad)) as server, run_gateway(at(server, attempts=1)) as bench:
        session, path = await bench.session()
        with pytest.raises(openai.InternalServerError):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert isinstance(session.fault, Trouble)


async def test_a_stream_that_nobody_asked_for_is_put_together(run_gateway: Any, serve: Any, at: Any) -> None:
    async with serve(lambda *_: (200, STREAM)) as server, run_gateway(at(server, set={"stream": True})) as bench:
        answer = await ask(bench)
    message = answer.choices[0].message
    assert (message.content, message.reasoning, answer.usage.completion_tokens) == ("green", "hm", 4)
    assert message.tool_calls[0].function.arguments == '{"x": 1}'
    assert server.bodies[0]["stream"] is True


def test_a_stream_of_messages_is_put_together() -> None:
    events: list[Json] = [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s="}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "run"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"x": 1}'}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
    ]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    answer = replies.read(Dialect.MESSAGES, text)
    assert answer["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s="},
        {"type": "tool_use", "id": "t", "name": "run", "input": {"x": 1}},
    ]
    assert (answer["stop_reason"], answer["usage"]) == ("tool_use", {"input_tokens": 3, "output_tokens": 7})
    with pytest.raises(Trouble, match="overloaded"):
        replies.read(Dialect.MESSAGES, text + 'data: {"type": "error", "error": {"message": "overloaded"}}\n\n')


@pytest.mark.parametrize(
    ("given", "called", "finish"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("STOP", False, "stop"),
        ("max_tokens", False, "length"),
        ("MAX_TOKENS", True, "length"),
        ("tool_use", True, "tool_calls"),
        ("content_filter", False, "content_filter"),
    ],
)
def test_finish_reasons_are_read_in_every_spelling(given: str, called: bool, finish: str) -> None:
    message: Json = {"tool_calls": [CALL]} if called else {"content": "x"}
    for field in ("finish_reason", "native_finish_reason"):
        raw = json.dumps({"choices": [{"message": message, field: given}]})
        assert replies.read(Dialect.CHAT, raw)["choices"][0]["finish_reason"] == finish


async def test_a_server_that_never_says_why_it_ended_can_be_used_if_the_configuration_says_so(
    run_gateway: Any, serve: Any, at: Any, chat: Any
) -> None:
    async with serve(lambda *_: (200, chat(finish=None))) as server:
        async with run_gateway(at(server, finish_reason="optional")) as bench:
            assert (await ask(bench)).choices[0].finish_reason == "stop"
        async with run_gateway(at(server, attempts=1)) as bench:
            with pytest.raises(openai.InternalServerError):
                await ask(bench)


async def test_calls_with_one_id_get_two(run_gateway: Any, serve: Any, at: Any, chat: Any) -> None:
    reply = chat(None, "tool_calls", tool_calls=[CALL, CALL, {**CALL, "id": ""}])
    async with serve(lambda *_: (200, reply)) as server, run_gateway(at(server)) as bench:
        calls = (await ask(bench)).choices[0].message.tool_calls
    assert len({call.id for call in calls}) == 3


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -1, "completion_tokens": -1},
        {"prompt_tokens": 3, "completion_tokens": -1},
        {"prompt_tokens": "3", "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 1e300, "completion_tokens": 3},
        {"prompt_tokens": 10**400, "completion_tokens": 3},
        {"prompt_tokens": 3},
        {},
        None,
        [],
    ],
)
def test_a_usage_that_cannot_be_true_is_none(usage: Any) -> None:
    assert FORMATS[Dialect.CHAT].tokens({"usage": usage}) is None
    renamed = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    native = {renamed[name]: value for name, value in usage.items()} if isinstance(usage, dict) else usage
    assert FORMATS[Dialect.MESSAGES].tokens({"usage": native}) is None
    assert FORMATS[Dialect.RESPONSES].tokens({"usage": native}) is None


def test_more_cached_tokens_than_tokens_are_all_of_them() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 50}}
    used = FORMATS[Dialect.CHAT].tokens({"usage": usage})
    assert used is not None
    assert (used.input, used.cache_read) == (5, 5)


@pytest.mark.parametrize(
    ("code", "blame"), [(429, Blame.BUSY), (502, Blame.BUSY), (500, Blame.BROKEN), ("x", Blame.BROKEN)]
)
def test_an_error_inside_an_answer_is_sorted_by_its_code(code: Any, blame: Blame) -> None:
    with pytest.raises(Trouble) as failed:
        replies.read(Dialect.CHAT, json.dumps({"error": {"message": "m", "code": code}}))
    assert failed.value.blame is blame


ODD = st.sampled_from([None, 1, True, "", "x", [], {}, [1], [None], [{}], {"type": "x"}, {"error": 1}])
PART = st.dictionaries(
    st.sampled_from(
        ["message", "delta", "index", "finish_reason", "error", "tool_calls", "content", "function", "type", "usage"]
    ),
    ODD | st.dictionaries(st.sampled_from(["content", "tool_calls", "function", "index", "type"]), ODD),
    max_size=5,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["choices", "content", "error", "type", "index"]), st.lists(PART, max_size=2) | ODD)
)
def test_any_reply_is_read_or_refused_streamed_or_not(reply: Json) -> None:
    for native in (Dialect.CHAT, Dialect.MESSAGES):
        for text in (json.dumps(reply), f"data: {json.dumps(reply)}\n\n" * 2):
            try:
                answer = replies.read(native, text)
                FORMATS[native].complete(answer)
            except (Trouble, *MISSHAPEN):
                continue
            json.dumps(answer)


async def test_a_misshapen_stream_is_a_failure_of_the_provider(
    run_gateway: Any, serve: Any, at: Any, chat: Any
) -> None:
    answers = ['data: {"choices": [1]}\n\n', 'data: {"choices": [{"delta": {"tool_calls": 3}}]}\n\n', chat("whole")]
    async with serve(lambda *_: (200, answers.pop(0))) as server, run_gateway(at(server, attempts=3)) as bench:
        answer = await ask(bench)
    assert answer.choices[0].message.content == "whole"
