"""A box speaks Chat Completions, the provider speaks Messages."""

from __future__ import annotations

import json
import time
from typing import Any

from agent.models.dialects import chat, checks, messages
from agent.models.ports import BadCall, Json, Trouble

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (None, 1),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "repeat_penalty": (None, 1),
    "repetition_penalty": (None, 1),
    "min_p": (None, 0),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "verbosity": (None,),
    "chat_template_kwargs": (None, {}),
}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def request(body: Json, limit: int) -> Json:
    """The chat request as a Messages request."""
    for name, neutral in _NEUTRAL.items():
        if body.get(name) not in neutral:
            raise BadCall(400, f"`{name}` cannot be carried to this model's provider, which speaks Messages")
    system, rest = _split(body["messages"])
    made: Json = {"max_tokens": limit, "messages": _turns(rest)}
    if system:
        made["system"] = system
    for name in ("top_p", "top_k"):
        if body.get(name) is not None:
            made[name] = body[name]
    if body.get("temperature") is not None:
        made["temperature"] = checks.number(body["temperature"], "temperature", 0, 1)
    if body.get("stop"):
        made["stop_sequences"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    if body.get("tools"):
        made["tools"] = [_tool(tool["function"]) for tool in body["tools"]]
    return made | _choice(body) | _output(body)


def _split(listed: list[Json]) -> tuple[str, list[Json]]:
    """System text, and the rest; Messages knows no system message later on."""
    count = next((i for i, m in enumerate(listed) if m["role"] not in ("system", "developer")), len(listed))
    for i, message in enumerate(listed[count:], count):
        if message["role"] in ("system", "developer"):
            why = "cannot be carried to this model's provider: a system message must come first"
            raise BadCall(400, f"`messages[{i}]` {why}")
    return "\n\n".join(chat.plain(m.get("content")) for m in listed[:count]), listed[count:]


def _turns(listed: list[Json]) -> list[Json]:
    """Turns of alternating roles; tool results are user turns there."""
    turns: list[Json] = []
    for message in listed:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise BadCall(400, "`messages` needs a user message for this model's provider")
    return turns


def _blocks(message: Json) -> list[Json]:
    said = chat.plain(message.get("content"))
    if message["role"] == "tool":
        used = checks.text(message.get("tool_call_id"), "messages[].tool_call_id")
        return [{"type": "tool_result", "tool_use_id": used, "content": said}]
    blocks: list[Json] = [{"type": "text", "text": said}] if said else []
    for call in message.get("tool_calls") or ():
        function = checks.obj(checks.obj(call, "tool_calls[]").get("function"), "tool_calls[].function")
        block = {"type": "tool_use", "id": call.get("id"), "name": function.get("name")}
        blocks.append({**block, "input": _arguments(function)})
    return blocks


def _arguments(function: Json) -> Json:
    try:
        given = json.loads(function.get("arguments") or "{}")
    except (ValueError, TypeError):
        given = None
    if not isinstance(given, dict):
        raise BadCall(400, "`tool_calls[].function.arguments` must be a JSON object for this model's provider")
    return given


def _tool(function: Json) -> Json:
    made = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    if function.get("description"):
        made["description"] = function["description"]
    return made


def _choice(body: Json) -> Json:
    choice: Any = body.get("tool_choice")
    words = {None: "auto", "auto": "auto", "required": "any", "none": "none"}
    if isinstance(choice, dict):
        name = checks.text(
            checks.obj(choice.get("function"), "tool_choice.function").get("name"),
            "tool_choice.function.name",
        )
        made: Json = {"type": "tool", "name": name}
    elif choice is None or (isinstance(choice, str) and choice in words):
        made = {"type": words[choice]}
    else:
        checks.fail("tool_choice", "auto, required, none or a function")
    if body.get("parallel_tool_calls") is False and made["type"] != "none":
        made["disable_parallel_tool_use"] = True
    return {"tool_choice": made} if body.get("tools") and (choice is not None or len(made) > 1) else {}


def _output(body: Json) -> Json:
    config: Json = {}
    effort = body.get("reasoning_effort")
    if effort is not None:
        if effort not in _EFFORTS:
            raise BadCall(400, f"`reasoning_effort` {str(effort)[:20]!r} cannot be carried to this model's provider")
        config["effort"] = effort
    wanted = body.get("response_format")
    if wanted is not None and checks.obj(wanted, "response_format").get("type") != "text":
        if wanted.get("type") != "json_schema":
            raise BadCall(400, "`response_format` other than json_schema cannot be carried to this model's provider")
        schema = checks.obj(wanted.get("json_schema"), "response_format.json_schema").get("schema")
        config["format"] = {
            "type": "json_schema",
            "schema": checks.obj(schema, "response_format.json_schema.schema"),
        }
    return {"output_config": config} if config else {}


def answer(reply: Json) -> Json:
    """A message as a chat answer.

    Raises:
        Trouble: the message ends for a reason that a chat answer cannot say.
    """
    blocks = reply["content"]
    said = "".join(b.get("text", "") for b in blocks if b.get("type") == "text")
    calls = [
        {
            "id": b["id"],
            "type": "function",
            "function": {
                "name": b["name"],
                "arguments": json.dumps(b.get("input") or {}, ensure_ascii=False),
            },
        }
        for b in blocks
        if b.get("type") == "tool_use"
    ]
    thought = "".join(b.get("thinking", "") for b in blocks if b.get("type") == "thinking")
    message: Json = {"role": "assistant", "content": said or None if calls else said}
    message |= ({"tool_calls": calls} if calls else {}) | ({"reasoning_content": thought} if thought else {})
    reason = reply["stop_reason"]
    if reason not in _FINISH:
        raise Trouble(f"the provider's stop reason {str(reason)[:50]!r} has no counterpart in Chat Completions")
    choice = {"index": 0, "message": message, "finish_reason": _FINISH[reason], "logprobs": None}
    head = {"id": f"chatcmpl-{reply.get('id')}", "object": "chat.completion", "created": int(time.time())}
    return {**head, "model": reply.get("model"), "choices": [choice], "usage": _usage(reply)}


def _usage(reply: Json) -> Json | None:
    used = messages.tokens(reply)
    if used is None:
        return None
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.total,
        "prompt_tokens_details": {"cached_tokens": used.cache_read},
    }
