"""A box speaks Messages, the provider speaks Chat Completions."""

from __future__ import annotations

from typing import Any

from agent.models.dialects import calls, chat, reasoning, rules
from agent.models.ports import BadCall, Json, Trouble

_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_SAME = ("model", "temperature", "top_p")
_HINTS = ("thinking", "cache_control", "metadata")
_TOOL_HINTS = ("cache_control",)
ERROR_MARK = "[the tool failed] "
"""Chat Completions cannot say that a tool result is an error, so its text does."""


def request(body: Json, left: list[str]) -> Json:
    """The request as a chat request. Names of what is left out are added to `left`."""
    if body.get("top_k") is not None:
        raise BadCall(400, "`top_k` cannot be carried to this model's provider, which speaks Chat Completions")
    left += [name for name in _HINTS if body.get(name) is not None and not _disabled(body[name])]
    messages: list[Json] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _text(body["system"], "system")})
    for i, message in enumerate(body["messages"]):
        path = f"messages[{i}].content"
        if message["role"] == "user":
            messages += _user(message["content"], path, left)
        else:
            messages += _READERS[message["role"]](message["content"], path)
    made: Json = {name: body[name] for name in _SAME if body.get(name) is not None}
    made |= {"messages": messages, "max_tokens": body["max_tokens"]}
    if body.get("stop_sequences"):
        made["stop"] = body["stop_sequences"]
    if body.get("tools"):
        made["tools"] = [_tool(tool, i, left) for i, tool in enumerate(body["tools"])]
    return made | _tool_choice(body.get("tool_choice")) | _format(body.get("output_config"))


def _disabled(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "disabled"


def _text(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    for i, block in enumerate(content):
        if block["type"] != "text":
            raise BadCall(400, f"`{path}[{i}]` of type {block['type']!r} cannot be carried to this model's provider")
    return "\n".join(block["text"] for block in content)


def _assistant(content: Any, path: str) -> list[Json]:
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}]
    thoughts = [block for block in content if block["type"] in ("thinking", "redacted_thinking")]
    texts = [block for block in content if block["type"] not in ("tool_use", "thinking", "redacted_thinking")]
    made = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": calls.as_arguments(block["input"])},
        }
        for block in content
        if block["type"] == "tool_use"
    ]
    message: Json = {"role": "assistant", "content": _text(texts, path) if texts or not made else None}
    if made:
        message["tool_calls"] = made
    for thought in thoughts:
        # A thought that another provider signed means nothing to this one.
        message = reasoning.restore(message, reasoning.unpack(thought.get("signature")))
    return [message]


def _user(content: Any, path: str, left: list[str]) -> list[Json]:
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results, rest = [], []
    for block in content:
        if block["type"] != "tool_result":
            rest.append(block)
            continue
        said = calls.result_text(block.get("content"), left)
        said = ERROR_MARK + said if block.get("is_error") else said
        results.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": said})
    return results + ([{"role": "user", "content": _text(rest, path)}] if rest or not results else [])


def _system(content: Any, path: str) -> list[Json]:
    return [{"role": "system", "content": _text(content, path)}]


_READERS = {"assistant": _assistant, "system": _system}


def _tool(tool: Json, index: int, left: list[str]) -> Json:
    if tool.get("type") not in (None, "custom"):
        rules.refuse_tool(tool["type"], f"tools[{index}]")
    hints = [f"tools[].{name}" for name in _TOOL_HINTS if tool.get(name) is not None]
    left += [name for name in hints if name not in left]
    made = {"name": tool["name"], "parameters": tool.get("input_schema") or {"type": "object"}}
    made |= {name: tool[name] for name in ("description", "strict") if tool.get(name)}
    return {"type": "function", "function": made}


def _tool_choice(choice: Json | None) -> Json:
    if choice is None:
        return {}
    made: Json = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if choice["type"] == "tool":
        return {**made, "tool_choice": {"type": "function", "function": {"name": choice["name"]}}}
    return {**made, "tool_choice": {"auto": "auto", "any": "required", "none": "none"}[choice["type"]]}


def _format(config: Json | None) -> Json:
    made: Json = {}
    if config and config.get("effort") is not None:
        made["reasoning_effort"] = config["effort"]
    if config and config.get("format") is not None:
        wrapped = {"name": "answer", "schema": config["format"]["schema"], "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    return made


def answer(reply: Json, body: Json) -> Json:
    """A chat answer as a message. Reasoning comes first where the box asked for it, else last.

    A box that did not ask may read the first block and expect text; it sends all blocks back either way.

    Raises:
        Trouble: the answer's finish reason is not one that Messages has a word for.
    """
    choice = reply["choices"][0]
    message = choice["message"]
    content: list[Json] = []
    said = chat.plain(message.get("content")) or message.get("refusal") or ""
    if said:
        content.append({"type": "text", "text": said})
    content += [_tool_use(call) for call in message.get("tool_calls") or ()]
    thoughts = _thoughts(message)
    asked = body.get("thinking") is not None and not _disabled(body["thinking"])
    content = thoughts + content if asked else content + thoughts
    reason = choice["finish_reason"]
    if reason not in _STOP:
        raise Trouble(f"the provider's finish reason {str(reason)[:50]!r} has no counterpart in Messages")
    head = {
        "id": f"msg_{reply.get('id')}",
        "type": "message",
        "role": "assistant",
        "model": reply.get("model"),
    }
    ended = {"stop_reason": _STOP[reason], "stop_sequence": None}
    return {**head, "content": content, **ended, "usage": _usage(reply)}


def _usage(reply: Json) -> Json:
    used = chat.tokens(reply)
    return {
        "input_tokens": used.input - used.cache_read if used else 0,
        "output_tokens": used.output if used else 0,
        "cache_read_input_tokens": used.cache_read if used else 0,
        "cache_creation_input_tokens": 0,
    }


def _thoughts(message: Json) -> list[Json]:
    word = reasoning.pack(message)
    return [] if word is None else [{"type": "thinking", "thinking": reasoning.text(message), "signature": word}]


def _tool_use(call: Json) -> Json:
    function = call.get("function") or {}
    given = calls.as_input(function.get("arguments"))
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": given}
