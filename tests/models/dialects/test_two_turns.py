"""The official SDKs in a box hold a conversation of two turns with both kinds of provider, over raw servers.

Streamed and not, with a tool and with reasoning: what the model thought in its first turn reaches it again, byte for
byte, with its second.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.models.ports import Json
from tests.models.servers import Server, chat, serving

ASK = "What is the weather in Graz?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DETAILS = [{"type": "reasoning.encrypted", "data": "+/b64==", "id": "r1", "format": "v1", "index": 0}]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Graz"}'},
    "extra_content": {"google": {"thought_signature": "sig+/="}},
}
THOUGHTS = [
    {"type": "thinking", "thinking": "The user asks\u2026", "signature": "EqQB+/=="},
    {"type": "redacted_thinking", "data": "Eow+/="},
]
SAID = {"type": "text", "text": "I look."}


def chat_server(body: Json, _: str) -> Any:
    if any(message["role"] == "tool" for message in body["messages"]):
        return 200, chat("It is sunny.")
    thought = {"reasoning": "The user asks\u2026", "reasoning_details": DETAILS}
    return 200, chat("I look.", "tool_calls", tool_calls=[CALL], **thought)


def messages_server(body: Json, _: str) -> Any:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    usage = {"input_tokens": 20, "output_tokens": 9}
    if "tool_result" in json.dumps(body["messages"]):
        said = [{"type": "text", "text": "It is sunny."}]
        return 200, {**head, "content": said, "stop_reason": "end_turn", "usage": usage}
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Graz"}}
    return 200, {**head, "content": [*THOUGHTS, SAID, use], "stop_reason": "tool_use", "usage": usage}


async def over_chat(client: Any, *, stream: bool) -> str:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    told: list[Any] = [{"role": "user", "content": ASK}]
    for _ in range(2):
        if stream:
            async with client.chat.completions.stream(model="small", messages=told, tools=tools) as events:
                answer = await events.get_final_completion()
        else:
            answer = await client.chat.completions.create(model="small", messages=told, tools=tools)
        message = answer.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"})
        for call in message.get("tool_calls") or ():
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        told.append(message)
        calls = message.get("tool_calls") or ()
        told += [{"role": "tool", "tool_call_id": call["id"], "content": "sun"} for call in calls]
    return str(told[-1]["content"])


async def over_responses(client: Any, *, stream: bool) -> str:
    tools = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    told: list[Any] = [{"role": "user", "content": ASK}]
    for _ in range(2):
        if stream:
            async with client.responses.stream(model="small", input=told, tools=tools) as events:
                answer = await events.get_final_response()
        else:
            answer = await client.responses.create(model="small", input=told, tools=tools)
        told += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
        calls = [item for item in answer.output if item.type == "function_call"]
        told += [{"type": "function_call_output", "call_id": call.call_id, "output": "sun"} for call in calls]
    return str(answer.output_text)


async def over_messages(client: Any, *, stream: bool) -> str:
    tools = [{"name": "weather", "input_schema": SCHEMA}]
    told: list[Any] = [{"role": "user", "content": ASK}]
    asked = {"model": "small", "max_tokens": 4096, "tools": tools, "thinking": {"type": "adaptive"}}
    for _ in range(2):
        if stream:
            async with client.messages.stream(messages=told, **asked) as events:
                answer = await events.get_final_message()
        else:
            answer = await client.messages.create(messages=told, **asked)
        told.append({"role": "assistant", "content": [block.to_dict() for block in answer.content]})
        uses = [block for block in answer.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": use.id, "content": "sun"} for use in uses]
        told.append({"role": "user", "content": results})
    return "".join(block.text for block in answer.content if block.type == "text")


TALKS: dict[str, Any] = {"chat": over_chat, "responses": over_responses, "messages": over_messages}


def check_chat(server: Server) -> None:
    first, second = server.bodies
    assert [tool["function"]["name"] for tool in first["tools"]] == ["weather"]
    turn, result = second["messages"][1:3]
    assert (turn["content"], turn["reasoning"], turn["reasoning_details"]) == (
        "I look.",
        "The user asks\u2026",
        DETAILS,
    )
    (call,) = turn["tool_calls"]
    assert (call["function"], call["extra_content"]) == (CALL["function"], CALL["extra_content"])
    assert (result["tool_call_id"], result["content"]) == (call["id"], "sun")


def check_messages(server: Server) -> None:
    first, second = server.bodies
    assert [tool["name"] for tool in first["tools"]] == ["weather"]
    *before, use = second["messages"][1]["content"]
    assert before == [*THOUGHTS, SAID]
    assert (use["name"], use["input"]) == ("weather", {"city": "Graz"})
    (result,) = second["messages"][2]["content"]
    assert (result["tool_use_id"], result["content"]) == (use["id"], "sun")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("talk", TALKS)
async def test_a_conversation_with_a_chat_provider_keeps_its_reasoning(
    run_gateway: Any, talk: str, stream: bool
) -> None:
    async with serving(chat_server) as server:
        model = {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1", "attempts": 1}
        async with run_gateway({"solver": model}) as bench:
            session, path = await bench.session()
            client = bench.anthropic(path) if talk == "messages" else bench.openai(path)
            assert await TALKS[talk](client, stream=stream) == "It is sunny."
        check_chat(server)
    assert session.fault is None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("talk", TALKS)
async def test_a_conversation_with_anthropic_keeps_its_reasoning(run_gateway: Any, talk: str, stream: bool) -> None:
    async with serving(messages_server) as server:
        model = {"provider": "anthropic", "model": "m", "base_url": server.url, "attempts": 1}
        async with run_gateway({"solver": model}) as bench:
            session, path = await bench.session()
            client = bench.anthropic(path) if talk == "messages" else bench.openai(path)
            assert await TALKS[talk](client, stream=stream) == "It is sunny."
        check_messages(server)
    assert session.fault is None
