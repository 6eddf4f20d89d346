"""A box speaks Messages, the provider speaks Chat Completions."""

from __future__ import annotations

import json
from typing import Any

from agent.models.dialects import chat, checks
from agent.models.ports import BadCall, Json, Trouble

_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_SAME = ("model", "temperature", "top_p")
ERROR_MARK = "[the tool failed] "
"""Chat Completions cannot say that a tool result is an error, so its text does."""


def request(body: Json) -> Json:
    """The request as a chat request."""
    _refuse(body)
    messages: list[Json] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _text(body["system"], "system")})
    for i, message in enumerate(body["messages"]):
        path = f"messages[{i}].content"
        reader = _assistant if message["role"] == "assistant" else _user
        messages += reader(message["content"], path)
    made: Json = {name: body[name] for name in _SAME if name in body}
    made |= {"messages": messages, "max_tokens": body["max_tokens"]}
    if body.get("stop_sequences"):
        made["stop"] = body["stop_sequences"]
    if body.get("tools"):
        made["tools"] = [_tool(tool) for tool in body["tools"]]
    made |= _tool_choice(body.get("tool_choice")) | _format(body.get("output_config"))
    return made


def _refuse(body: Json) -> None:
    """Name what this provider has no word for. cache_control and metadata change no answer, and are left out."""
    thinking = body.get("thinking")
    if thinking is not None and checks.obj(thinking, "thinking").get("type") != "disabled":
        raise BadCall(400, "`thinking` cannot be carried to this model's provider, which speaks Chat Completions")
    if body.get("top_k") is not None:
        raise BadCall(400, "`top_k` cannot be carried to this model's provider, which speaks Chat Completions")


def _text(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    for i, block in enumerate(content):
        if block.get("type") != "text":
            raise BadCall(
                400, f"`{path}[{i}]` of type {block.get('type')!r} cannot be carried to this model's provider"
            )
    return "\n".join(block["text"] for block in content)


def _assistant(content: Any, path: str) -> list[Json]:
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}]
    texts = [block for block in content if block["type"] != "tool_use"]
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"], ensure_ascii=False)},
        }
        for block in content
        if block["type"] == "tool_use"
    ]
    message: Json = {"role": "assistant", "content": _text(texts, path) if texts or not calls else None}
    return [{**message, "tool_calls": calls}] if calls else [message]


def _user(content: Any, path: str) -> list[Json]:
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results, rest = [], []
    for block in content:
        if block["type"] != "tool_result":
            rest.append(block)
            continue
        said = _text(block.get("content") or "", path)
        said = ERROR_MARK + said if block.get("is_error") else said
        results.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": said})
    return results + ([{"role": "user", "content": _text(rest, path)}] if rest or not results else [])


def _tool(tool: Json) -> Json:
    made = {"name": tool["name"], "parameters": tool.get("input_schema") or {"type": "object"}}
    if tool.get("description"):
        made["description"] = tool["description"]
    return {"type": "function", "function": made}


def _tool_choice(choice: Any) -> Json:
    if choice is None:
        return {}
    kind = checks.obj(choice, "tool_choice").get("type")
    made: Json = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if kind == "tool":
        name = checks.text(choice.get("name"), "tool_choice.name")
        return {**made, "tool_choice": {"type": "function", "function": {"name": name}}}
    words = {"auto": "auto", "any": "required", "none": "none"}
    if str(kind) not in words:
        checks.fail("tool_choice.type", "auto, any, tool or none")
    return {**made, "tool_choice": words[str(kind)]}


def _format(config: Any) -> Json:
    if config is None:
        return {}
    checks.known(checks.obj(config, "output_config"), ("format", "effort"), "output_config.")
    made: Json = {}
    if config.get("effort") is not None:
        made["reasoning_effort"] = checks.text(config["effort"], "output_config.effort")
    if config.get("format") is not None:
        schema = checks.obj(
            checks.obj(config["format"], "output_config.format").get("schema"), "output_config.format.schema"
        )
        wrapped = {"name": "answer", "schema": schema, "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    return made


def answer(reply: Json) -> Json:
    """A chat answer as a message.

    Raises:
        Trouble: the answer holds what a message cannot say.
    """
    choice = reply["choices"][0]
    message = choice["message"]
    content: list[Json] = []
    said = chat.plain(message.get("content")) or message.get("refusal") or ""
    if said:
        content.append({"type": "text", "text": said})
    content += [_tool_use(call) for call in message.get("tool_calls") or ()]
    reason = choice["finish_reason"]
    if reason not in _STOP:
        raise Trouble(f"the provider's finish reason {str(reason)[:50]!r} has no counterpart in Messages")
    used = chat.tokens(reply)
    usage = {
        "input_tokens": used.input - used.cache_read if used else 0,
        "output_tokens": used.output if used else 0,
        "cache_read_input_tokens": used.cache_read if used else 0,
        "cache_creation_input_tokens": 0,
    }
    head = {
        "id": f"msg_{reply.get('id')}",
        "type": "message",
        "role": "assistant",
        "model": reply.get("model"),
    }
    return {**head, "content": content, "stop_reason": _STOP[reason], "stop_sequence": None, "usage": usage}


def _tool_use(call: Json) -> Json:
    function = call.get("function") or {}
    try:
        given = json.loads(function.get("arguments") or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Trouble("the provider's tool call has arguments that are no JSON object")
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": given}
