"""OpenAI Responses: carried to every provider as Chat Completions, statelessly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.models.dialects import chat, checks
from agent.models.dialects.chat import MAX_OUTPUT
from agent.models.dialects.sse import event
from agent.models.ports import BadCall, Json, Tokens, Trouble

PARAMETERS = frozenset(
    {
        "model",
        "input",
        "instructions",
        "max_output_tokens",
        "temperature",
        "top_p",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "metadata",
        "user",
        "store",
        "include",
        "truncation",
        "background",
        "previous_response_id",
        "conversation",
        "prompt_cache_key",
        "safety_identifier",
        "top_logprobs",
    }
)
_STATEFUL = ("previous_response_id", "conversation", "background", "store")
_TEXT = frozenset({"input_text", "output_text", "text", "refusal"})
_SAME = ("model", "temperature", "top_p", "parallel_tool_calls", "prompt_cache_key")

error = chat.error


def check(body: Json) -> None:
    """Refuse what cannot be carried to any provider."""
    checks.known(body, PARAMETERS)
    for name in _STATEFUL:
        if body.get(name):
            raise BadCall(400, f"`{name}` is not supported by this gateway: it keeps no conversation for a box")
    if body.get("truncation") not in (None, "disabled"):
        raise BadCall(400, "`truncation` other than disabled is not supported by this gateway")
    if body.get("include"):
        raise BadCall(400, "`include` is not supported by this gateway")
    if body.get("top_logprobs"):
        raise BadCall(400, "`top_logprobs` is not supported by this gateway in Responses")
    if body.get("max_output_tokens") is not None:
        checks.integer(body["max_output_tokens"], "max_output_tokens", 1, MAX_OUTPUT)
    if isinstance(body.get("input"), str):
        return
    checks.objects(body.get("input"), "input")


def output_limit(body: Json) -> int | None:
    """The most tokens that the answer may take, as the box asked."""
    limit: int | None = body.get("max_output_tokens")
    return limit


def request(body: Json) -> Json:
    """The request as a chat request."""
    messages: list[Json] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": checks.text(body["instructions"], "instructions")})
    if isinstance(body["input"], str):
        messages.append({"role": "user", "content": body["input"]})
    else:
        for i, item in enumerate(body["input"]):
            _add(messages, item, f"input[{i}]")
    made: Json = {name: body[name] for name in _SAME if body.get(name) is not None}
    made["messages"] = messages
    if body.get("tools"):
        made["tools"] = [_tool(tool, i) for i, tool in enumerate(checks.objects(body["tools"], "tools"))]
    return made | _choice(body.get("tool_choice")) | _format(body.get("text")) | _effort(body.get("reasoning"))


def _add(messages: list[Json], item: Json, path: str) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        messages.append({"role": checks.text(item.get("role"), f"{path}.role"), "content": _said(item, path)})
    elif kind == "function_call":
        call = {
            "id": checks.text(item.get("call_id"), f"{path}.call_id"),
            "type": "function",
            "function": {
                "name": checks.text(item.get("name"), f"{path}.name"),
                "arguments": checks.text(item.get("arguments"), f"{path}.arguments"),
            },
        }
        if messages and messages[-1]["role"] == "assistant":
            messages[-1].setdefault("tool_calls", []).append(call)
        else:
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind == "function_call_output":
        used = checks.text(item.get("call_id"), f"{path}.call_id")
        said = _said({"content": item.get("output")}, f"{path}.output")
        messages.append({"role": "tool", "tool_call_id": used, "content": said})
    else:
        raise BadCall(400, f"`{path}` of type {str(kind)[:50]!r} is not supported by this gateway")


def _said(item: Json, path: str) -> str:
    content = item.get("content")
    if isinstance(content, str):
        return content
    texts = []
    for i, part in enumerate(checks.objects(content, f"{path}.content", empty=True)):
        kind = part.get("type")
        if str(kind) not in _TEXT:
            raise BadCall(400, f"`{path}.content[{i}]` of type {str(kind)[:50]!r}: only text goes through this gateway")
        texts.append(checks.text(part.get("refusal" if kind == "refusal" else "text"), f"{path}.content[{i}].text"))
    return "".join(texts)


def _tool(tool: Json, index: int) -> Json:
    if tool.get("type") != "function":
        kind = str(tool.get("type"))[:50]
        raise BadCall(400, f"`tools[{index}].type` {kind!r}: only function tools go through this gateway")
    function = {
        name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
    }
    checks.text(function.get("name"), f"tools[{index}].name")
    return {"type": "function", "function": function}


def _choice(choice: Any) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            checks.fail("tool_choice.type", "function")
        return {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    if choice not in ("auto", "required", "none"):
        checks.fail("tool_choice", "auto, required, none or a function")
    return {"tool_choice": choice}


def _format(text: Any) -> Json:
    if text is None:
        return {}
    checks.known(checks.obj(text, "text"), ("format", "verbosity"), "text.")
    made: Json = {"verbosity": text["verbosity"]} if text.get("verbosity") else {}
    wanted = text.get("format")
    if wanted is None or checks.obj(wanted, "text.format").get("type") == "text":
        return made
    if wanted.get("type") == "json_object":
        return {**made, "response_format": {"type": "json_object"}}
    schema = {
        name: wanted[name] for name in ("name", "description", "schema", "strict") if wanted.get(name) is not None
    }
    return {**made, "response_format": {"type": "json_schema", "json_schema": schema}}


def _effort(reasoning: Any) -> Json:
    if reasoning is None:
        return {}
    checks.known(checks.obj(reasoning, "reasoning"), ("effort",), "reasoning.")
    return {"reasoning_effort": reasoning["effort"]} if reasoning.get("effort") else {}


def answer(reply: Json, body: Json) -> Json:
    """A chat answer as a response."""
    choice = reply["choices"][0]
    message, ident = choice["message"], str(reply.get("id"))
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice["finish_reason"])
    status = "incomplete" if cut else "completed"
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": reply.get("created") or 0,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": reply.get("model"),
        "output": _output(message, ident, status),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.get("temperature"),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p"),
        "truncation": "disabled",
        "usage": _usage(reply),
    }


def _output(message: Json, ident: str, status: str) -> list[Json]:
    parts: list[Json] = []
    said = chat.plain(message.get("content"))
    if said:
        parts.append({"type": "output_text", "text": said, "annotations": []})
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    calls = message.get("tool_calls") or ()
    output: list[Json] = []
    if parts or not calls:
        output.append(
            {"id": f"msg_{ident}", "type": "message", "role": "assistant", "status": status, "content": parts}
        )
    for i, call in enumerate(calls):
        function = call.get("function") or {}
        item = {"id": f"fc_{ident}_{i}", "type": "function_call", "status": status, "call_id": call.get("id")}
        output.append({**item, "name": function.get("name"), "arguments": function.get("arguments") or "{}"})
    return output


def _usage(reply: Json) -> Json | None:
    used = chat.tokens(reply)
    if used is None:
        return None
    details = (reply.get("usage") or {}).get("completion_tokens_details") or {}
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": used.cache_write},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": details.get("reasoning_tokens") or 0},
        "total_tokens": used.total,
    }


def complete(answer: Json) -> None:
    """Refuse an answer that was cut short. Raises Trouble."""
    if answer.get("status") not in ("completed", "incomplete"):
        raise Trouble("the provider's response has no final status")


def tokens(answer: Json) -> Tokens | None:
    """What the call used."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("input_tokens_details") or {}
    return Tokens(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=details.get("cached_tokens") or 0,
    )


def events(answer: Json, body: Json) -> Iterator[bytes]:  # noqa: ARG001 - the same for every request
    """A complete response as server-sent events."""
    for number, data in enumerate(_sequence(answer)):
        yield event({**data, "sequence_number": number}, data["type"])


def _sequence(answer: Json) -> Iterator[Json]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(answer["output"]):
        at = {"output_index": index}
        empty: Json = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield {"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress", **empty}}
        yield from _filling(item, {**at, "item_id": item["id"]})
        yield {"type": "response.output_item.done", **at, "item": item}
    final = "completed" if answer["status"] == "completed" else "incomplete"
    yield {"type": f"response.{final}", "response": answer}


def _filling(item: Json, at: Json) -> Iterator[Json]:
    if item["type"] == "function_call":
        yield {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **at, **done}
        return
    for index, part in enumerate(item["content"]):
        here = {**at, "content_index": index}
        field = "text" if part["type"] == "output_text" else "refusal"
        extra: Json = {"logprobs": []} if field == "text" else {}
        name = f"response.{part['type']}"
        yield {"type": "response.content_part.added", **here, "part": {**part, field: ""}}
        yield {"type": f"{name}.delta", **here, "delta": part[field], **extra}
        yield {"type": f"{name}.done", **here, field: part[field], **extra}
        yield {"type": "response.content_part.done", **here, "part": part}
