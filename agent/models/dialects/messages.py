"""Anthropic Messages: what is accepted, what is complete, and how it streams."""

from __future__ import annotations

import json
from collections.abc import Iterator

from agent.models.dialects import checks
from agent.models.dialects.chat import MAX_OUTPUT
from agent.models.dialects.sse import event
from agent.models.ports import BadCall, Json, Tokens, Trouble

PARAMETERS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "metadata",
        "thinking",
        "cache_control",
        "output_config",
    }
)
_BLOCKS = frozenset({"text", "tool_use", "tool_result", "thinking", "redacted_thinking"})
_STATUS_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def check(body: Json) -> None:
    """Refuse what cannot be carried to any provider."""
    checks.known(body, PARAMETERS)
    checks.integer(body.get("max_tokens"), "max_tokens", 1, MAX_OUTPUT)
    _check_content(body.get("system", ""), "system")
    for i, message in enumerate(checks.objects(body.get("messages"), "messages")):
        checks.known(message, ("role", "content"), f"messages[{i}].")
        if message.get("role") not in ("user", "assistant"):
            checks.fail(f"messages[{i}].role", "user or assistant")
        _check_content(message.get("content"), f"messages[{i}].content")
    for i, tool in enumerate(checks.objects(body.get("tools") or [], "tools", empty=True)):
        if tool.get("type") not in (None, "custom"):
            raise BadCall(400, f"`tools[{i}].type` {tool['type']!r}: only custom tools go through this gateway")
        checks.text(tool.get("name"), f"tools[{i}].name")


def _check_content(content: object, path: str) -> None:
    if isinstance(content, str):
        return
    for i, block in enumerate(checks.objects(content, path, empty=True)):
        kind = block.get("type")
        where = f"{path}[{i}]"
        if str(kind) not in _BLOCKS:
            raise BadCall(400, f"`{where}` of type {str(kind)[:50]!r}: only text and tools go through this gateway")
        if kind == "text":
            checks.text(block.get("text"), f"{where}.text")
        if kind == "tool_use":
            checks.text(block.get("id"), f"{where}.id")
            checks.text(block.get("name"), f"{where}.name")
            checks.obj(block.get("input"), f"{where}.input")
        if kind == "tool_result":
            checks.text(block.get("tool_use_id"), f"{where}.tool_use_id")
            _check_content(block.get("content") or "", f"{where}.content")


def output_limit(body: Json) -> int | None:
    """The most tokens that the answer may take, as the box asked."""
    limit: int | None = body.get("max_tokens")
    return limit


def complete(answer: Json) -> None:
    """Refuse an answer that was cut short.

    Raises:
        Trouble: no content, or no stop reason.
    """
    content = answer.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Trouble("the provider's answer has no content")
    if not answer.get("stop_reason"):
        raise Trouble("the provider's answer has no stop reason: it was cut short")


def tokens(answer: Json) -> Tokens | None:
    """What the provider says the call used. It counts cached input apart; we count all that was read."""
    usage = answer.get("usage")
    if not isinstance(usage, dict) or not isinstance(usage.get("input_tokens"), int):
        return None
    read = int(usage.get("cache_read_input_tokens") or 0)
    written = int(usage.get("cache_creation_input_tokens") or 0)
    return Tokens(
        input=usage["input_tokens"] + read + written,
        output=int(usage.get("output_tokens") or 0),
        cache_read=read,
        cache_write=written,
    )


def error(status: int, message: str, code: str) -> Json:  # noqa: ARG001 - this dialect has no code beside the type
    """An error in this dialect's shape."""
    kind = _STATUS_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")  # noqa: PLR2004
    return {"type": "error", "error": {"type": kind, "message": message}}


def events(answer: Json, body: Json) -> Iterator[bytes]:  # noqa: ARG001 - the same for every request
    """A complete answer as server-sent events."""
    given = answer.get("usage")
    usage = given if isinstance(given, dict) else {}
    started = {
        **answer,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 0},
    }
    yield event({"type": "message_start", "message": started}, "message_start")
    for index, block in enumerate(answer["content"]):
        empty, deltas = _opened(block)
        start = {"type": "content_block_start", "index": index, "content_block": empty}
        yield event(start, "content_block_start")
        for delta in deltas:
            yield event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
        yield event({"type": "content_block_stop", "index": index}, "content_block_stop")
    ended = {"stop_reason": answer["stop_reason"], "stop_sequence": answer.get("stop_sequence")}
    yield event({"type": "message_delta", "delta": ended, "usage": usage}, "message_delta")
    yield event({"type": "message_stop"}, "message_stop")


def _opened(block: Json) -> tuple[Json, list[Json]]:
    """A block as it starts, and the deltas that fill it."""
    kind = block.get("type")
    if kind == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": block.get("text", "")}]
    if kind == "tool_use":
        given = json.dumps(block.get("input") or {}, ensure_ascii=False)
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": given}]
    if kind == "thinking":
        signed = [{"type": "signature_delta", "signature": block["signature"]}] if block.get("signature") else []
        thought = {"type": "thinking_delta", "thinking": block.get("thinking", "")}
        return {**block, "thinking": "", "signature": ""}, [thought, *signed]
    return block, []
