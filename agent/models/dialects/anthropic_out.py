"""A box speaks Chat Completions, the provider speaks Messages."""

from __future__ import annotations

import json
import time
from typing import Any

from agent.models.dialects import calls, chat, messages, reasoning, rules
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
    "chat_template_kwargs": (None, {}),
    "grammar": (None,),
    "guided_json": (None,),
    "guided_regex": (None,),
    "guided_choice": (None,),
    "guided_grammar": (None,),
    "structured_outputs": (None,),
    "json_schema": (None,),
}
_HINTS = (
    "verbosity",
    "seed",
    "user",
    "prompt_cache_key",
    "reasoning",
    "thinking",
    "enable_thinking",
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
)
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_SIGNED = ("thinking", "redacted_thinking")
SYSTEM_MARK = "<system>\n{}\n</system>"
"""Messages takes a system message only at its head; a later one becomes a user's text between these."""


def request(body: Json, limit: int, left: list[str]) -> Json:
    """The chat request as a Messages request. Names of what is left out are added to `left`."""
    for name, neutral in _NEUTRAL.items():
        if body.get(name) not in neutral:
            raise BadCall(400, f"`{name}` cannot be carried to this model's provider, which speaks Messages")
    left += [name for name in _HINTS if body.get(name) is not None]
    system, rest = _split(body["messages"])
    made: Json = {"max_tokens": limit, "messages": _turns(rest)}
    if system:
        made["system"] = system
    for name in ("top_p", "top_k"):
        if body.get(name) is not None:
            made[name] = body[name]
    made |= _temperature(body.get("temperature"))
    if body.get("stop"):
        made["stop_sequences"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    if body.get("tools"):
        made["tools"] = [_tool(tool, i) for i, tool in enumerate(body["tools"])]
    return made | _choice(body) | _output(body)


def _temperature(value: float | None) -> Json:
    if value is None:
        return {}
    if not 0 <= value <= 1:
        raise BadCall(400, "`temperature` must be a number from 0 to 1 for this model's provider", code="invalid_value")
    return {"temperature": value}


def _split(listed: list[Json]) -> tuple[str, list[Json]]:
    """System text, and the rest with later system messages in the user's words."""
    count = next((i for i, m in enumerate(listed) if m["role"] not in ("system", "developer")), len(listed))
    rest = [_as_user(message) if message["role"] in ("system", "developer") else message for message in listed[count:]]
    return "\n\n".join(chat.plain(m.get("content")) for m in listed[:count]), rest


def _as_user(message: Json) -> Json:
    return {"role": "user", "content": SYSTEM_MARK.format(chat.plain(message.get("content")))}


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
        if message.get("tool_call_id") is None:
            raise BadCall(400, "`messages[].tool_call_id` is missing in the result of a tool", code="invalid_value")
        return [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": said}]
    blocks = _signed(message) if message["role"] == "assistant" else []
    if said:
        blocks.append({"type": "text", "text": said})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        block = {"type": "tool_use", "id": call.get("id"), "name": function["name"]}
        blocks.append({**block, "input": calls.arguments(function.get("arguments")) or {}})
    return blocks


def _signed(message: Json) -> list[Json]:
    """Thinking that this provider signed in an earlier turn, first in its message as it demands."""
    given = message.get("thinking_blocks")
    blocks = given if isinstance(given, list) else []
    return [block for block in blocks if isinstance(block, dict) and block.get("type") in _SIGNED]


def _tool(tool: Json, index: int) -> Json:
    if tool["type"] != "function":
        rules.refuse_tool(tool["type"], f"tools[{index}]")
    function = tool["function"]
    made = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    if function.get("description"):
        made["description"] = function["description"]
    return made


def _choice(body: Json) -> Json:
    choice: Any = body.get("tool_choice")
    if isinstance(choice, dict):
        made: Json = {"type": "tool", "name": choice["function"]["name"]}
    else:
        made = {"type": {None: "auto", "auto": "auto", "required": "any", "none": "none"}[choice]}
    if body.get("parallel_tool_calls") is False and made["type"] != "none":
        made["disable_parallel_tool_use"] = True
    return {"tool_choice": made} if body.get("tools") and (choice is not None or len(made) > 1) else {}


def _output(body: Json) -> Json:
    config: Json = {}
    effort = body.get("reasoning_effort")
    if effort is not None:
        if effort not in _EFFORTS:
            raise BadCall(400, f"`reasoning_effort` {effort[:20]!r} cannot be carried to this model's provider")
        config["effort"] = effort
    wanted = body.get("response_format")
    if wanted is not None and wanted["type"] != "text":
        if wanted["type"] != "json_schema":
            raise BadCall(400, "`response_format` other than json_schema cannot be carried to this model's provider")
        schema = (wanted.get("json_schema") or {}).get("schema")
        if schema is None:
            raise BadCall(400, "`response_format.json_schema.schema` is missing", code="invalid_value")
        config["format"] = {"type": "json_schema", "schema": schema}
    return {"output_config": config} if config else {}


def answer(reply: Json) -> Json:
    """A message as a chat answer.

    Raises:
        Trouble: the message ends for a reason that a chat answer cannot say.
    """
    blocks = reply["content"]
    said = "".join(b.get("text", "") for b in blocks if b.get("type") == "text")
    given = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    signed = [block for block in blocks if block.get("type") in _SIGNED]
    message: Json = {"role": "assistant", "content": said or None if given else said}
    if given:
        message["tool_calls"] = given
    if signed:
        message["thinking_blocks"] = signed
        message |= {"reasoning_content": said} if (said := reasoning.text(message)) else {}
    reason = reply["stop_reason"]
    if reason not in _FINISH:
        raise Trouble(f"the provider's stop reason {str(reason)[:50]!r} has no counterpart in Chat Completions")
    choice = {"index": 0, "message": message, "finish_reason": _FINISH[reason], "logprobs": None}
    head = {"id": f"chatcmpl-{reply.get('id')}", "object": "chat.completion", "created": int(time.time())}
    return {**head, "model": reply.get("model"), "choices": [choice], "usage": _usage(reply)}


def _call(block: Json) -> Json:
    given = json.dumps(block.get("input") or {}, ensure_ascii=False)
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": given}}


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
