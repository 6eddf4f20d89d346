"""Unmodified official SDKs inside a box, against a scripted model outside."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pydantic
import pytest

from agent.models.ports import Json
from agent.models.providers.scripted import Line, ScriptedProvider, ToolUse

ASK = [{"role": "user", "content": "hello"}]
WEATHER = {
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def echo(body: Json) -> str | Line:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return f"the tool said {last['content']}"
    if body.get("tools"):
        return Line(tools=(ToolUse(name="weather", arguments={"city": "Graz"}),))
    return f"you said {last['content']}"


@pytest.fixture
async def bench(run_gateway: Any, scripted_models: Any) -> Any:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(echo)}) as bench:
        yield bench


async def test_a_chat_completion_goes_through(bench: Any) -> None:
    session, path = await bench.session()
    answer = await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert answer.choices[0].message.content == "you said hello"
    assert session.usage.calls == session.usage.fresh_calls == 1
    assert session.usage.tokens_in + session.usage.tokens_out == answer.usage.total_tokens


async def test_several_choices_go_through(bench: Any) -> None:
    _, path = await bench.session()
    answer = await bench.openai(path).chat.completions.create(model="small", messages=ASK, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


async def test_a_streamed_chat_completion_reports_its_usage_when_asked(bench: Any) -> None:
    _, path = await bench.session()
    stream = await bench.openai(path).chat.completions.create(
        model="small", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "you said hello"
    assert chunks[-1].usage.total_tokens > 0
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


async def test_tools_go_through_a_streamed_chat_completion(bench: Any) -> None:
    _, path = await bench.session()
    client = bench.openai(path)
    tools = [{"type": "function", "function": WEATHER}]
    async with client.chat.completions.stream(model="small", messages=ASK, tools=tools) as stream:
        answer = await stream.get_final_completion()
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Graz"}')
    told = [*ASK, answer.choices[0].message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "sun"}]
    for message in told:
        if isinstance(message, dict) and message.get("tool_calls"):
            for one in message["tool_calls"]:
                one["function"].pop("parsed_arguments", None)
            message.pop("parsed", None)
            message.pop("function_call", None)
    second = await client.chat.completions.create(model="small", messages=told, tools=tools)
    assert second.choices[0].message.content == "the tool said sun"


async def test_anthropic_messages_are_translated_for_a_chat_provider(bench: Any) -> None:
    _, path = await bench.session()
    answer = await bench.anthropic(path).messages.create(
        model="small", max_tokens=50, system=[{"type": "text", "text": "be brief"}], messages=ASK
    )
    assert answer.content[0].text == "you said hello"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


async def test_an_anthropic_stream_carries_tools_and_their_results(bench: Any) -> None:
    _, path = await bench.session()
    client = bench.anthropic(path)
    tools = [{"name": "weather", "description": "d", "input_schema": WEATHER["parameters"]}]
    async with client.messages.stream(model="small", max_tokens=50, messages=ASK, tools=tools) as stream:
        answer = await stream.get_final_message()
    block = answer.content[0]
    assert (block.type, block.name, block.input, answer.stop_reason) == (
        "tool_use",
        "weather",
        {"city": "Graz"},
        "tool_use",
    )
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "rain", "is_error": True}
    told = [*ASK, {"role": "assistant", "content": [block.to_dict()]}, {"role": "user", "content": [result]}]
    second = await client.messages.create(model="small", max_tokens=50, messages=told, tools=tools)
    assert second.content[0].text == "the tool said [the tool failed] rain"


async def test_responses_are_translated_for_a_chat_provider(bench: Any) -> None:
    _, path = await bench.session()
    answer = await bench.openai(path).responses.create(model="small", instructions="be brief", input="hello")
    assert answer.output_text == "you said hello"
    assert answer.status == "completed"
    assert answer.usage.total_tokens > 0


async def test_a_streamed_response_carries_tools_and_their_results(bench: Any) -> None:
    _, path = await bench.session()
    client = bench.openai(path)
    tools = [{"type": "function", "strict": False, **WEATHER}]
    async with client.responses.stream(model="small", input="hello", tools=tools) as stream:
        answer = await stream.get_final_response()
    call = answer.output[0]
    assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"city": "Graz"}')
    told = [
        {"role": "user", "content": "hello"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "snow"},
    ]
    second = await client.responses.create(model="small", input=told)
    assert second.output_text == "the tool said snow"


async def test_a_streamed_response_carries_text(bench: Any) -> None:
    _, path = await bench.session()
    stream = await bench.openai(path).responses.create(model="small", input="hello", stream=True)
    events = [event async for event in stream]
    assert events[0].type == "response.created"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "you said hello"
    assert events[-1].type == "response.completed"
    assert [e.sequence_number for e in events] == list(range(len(events)))


async def test_the_catalogue_names_the_box_s_aliases_and_their_windows(bench: Any) -> None:
    _, path = await bench.session(models={"small": "solver", "other": "solver"})
    client = bench.openai(path)
    listed = (await client.models.list()).data
    assert [(m.id, m.context_window) for m in listed] == [("small", 100_000), ("other", 100_000)]
    assert (await client.models.retrieve("other")).id == "other"
    assert [m.id for m in (await bench.anthropic(path).models.list()).data] == ["small", "other"]


async def test_errors_have_the_shape_of_each_dialect(bench: Any) -> None:
    _, path = await bench.session()
    with pytest.raises(openai.NotFoundError, match="no model 'huge' here; this box may use: small") as unknown:
        await bench.openai(path).chat.completions.create(model="huge", messages=ASK)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError, match="no model 'huge' here") as unknown_there:
        await bench.anthropic(path).messages.create(model="huge", max_tokens=5, messages=ASK)
    assert unknown_there.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(openai.NotFoundError, match="no model 'huge' here"):
        await bench.openai(path).responses.create(model="huge", input="x")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"audio": {"voice": "x"}}, "`audio`"),
        ({"store": True}, "`store`"),
        ({"web_search_options": {}}, "`web_search_options`"),
        ({"service_tier": "priority"}, "`service_tier`"),
        ({"n": 1000}, "`n`"),
        ({"max_tokens": 0}, "`max_tokens`"),
        ({"tools": [{"type": "custom"}]}, "`tools\\[0\\].type`"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "content\\[0\\]",
        ),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages\\[0\\].role"),
    ],
)
async def test_what_cannot_be_carried_is_refused_by_name(bench: Any, more: Any, named: str) -> None:
    _, path = await bench.session()
    with pytest.raises(openai.BadRequestError, match=named):
        await bench.openai(path).chat.completions.create(model="small", messages=ASK, extra_body=more)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"top_k": 5}, "`top_k`"),
        ({"service_tier": "auto"}, "`service_tier`"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "`tools\\[0\\].type`"),
    ],
)
async def test_what_messages_cannot_carry_is_refused_by_name(bench: Any, more: Any, named: str) -> None:
    _, path = await bench.session()
    with pytest.raises(anthropic.BadRequestError, match=named):
        await bench.anthropic(path).messages.create(model="small", max_tokens=5, messages=ASK, extra_body=more)


@pytest.mark.parametrize("more", [{"previous_response_id": "r"}, {"background": True}, {"truncation": "auto"}])
async def test_what_responses_cannot_carry_is_refused_by_name(bench: Any, more: Any) -> None:
    _, path = await bench.session()
    with pytest.raises(openai.BadRequestError, match=f"`{next(iter(more))}`"):
        await bench.openai(path).responses.create(model="small", input="x", **more)


async def test_a_hint_that_is_left_out_is_named_in_a_header(bench: Any) -> None:
    _, path = await bench.session()
    raw = await bench.anthropic(path).messages.with_raw_response.create(
        model="small", max_tokens=5, messages=ASK, metadata={"user_id": "me"}
    )
    assert raw.headers["x-ratchet-left-out"] == "metadata"


async def test_a_schema_reaches_the_provider_from_every_dialect(run_gateway: Any, scripted_models: Any) -> None:
    class Colour(pydantic.BaseModel):
        name: str

    seen: list[Json] = []

    def painter(body: Json) -> str:
        seen.append(body["response_format"])
        return '{"name": "red"}'

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(painter)}) as bench:
        _, path = await bench.session()
        chat = await bench.openai(path).chat.completions.parse(model="small", messages=ASK, response_format=Colour)
        assert chat.choices[0].message.parsed == Colour(name="red")
        response = await bench.openai(path).responses.parse(model="small", input="x", text_format=Colour)
        assert response.output_parsed == Colour(name="red")
        config = {"format": {"type": "json_schema", "schema": Colour.model_json_schema()}}
        await bench.anthropic(path).messages.create(model="small", max_tokens=9, messages=ASK, output_config=config)
    assert [wanted["json_schema"]["schema"]["properties"] for wanted in seen] == [
        seen[0]["json_schema"]["schema"]["properties"]
    ] * 3
