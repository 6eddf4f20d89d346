"""Anthropic Messages: what is accepted, what is complete, and how it streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from agent.models.dialects import chat, rules, shapes
from agent.models.dialects.checks import Shape, shaped
from agent.models.dialects.sse import event
from agent.models.ports import Dialect, Json, Tokens, Trouble

_STATUS_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class _ToolUse(Shape):
    id: str
    name: str
    input: shapes.Whole


class _ToolResult(Shape):
    tool_use_id: str
    # Whatever a tool brought: what is not text is replaced by a note.
    content: str | list[shapes.Whole] | None = None
    is_error: bool | None = None


class _Thinking(Shape):
    thinking: str
    signature: str | None = None


_Whole = Annotated[shapes.Whole, Tag("<redacted_thinking>")]
_BLOCKS = frozenset({"text", "tool_use", "tool_result", "thinking", "redacted_thinking"})
_Block = Annotated[
    Annotated[shapes.TextPart, Tag("<text>")]
    | Annotated[_ToolUse, Tag("<tool_use>")]
    | Annotated[_ToolResult, Tag("<tool_result>")]
    | Annotated[_Thinking, Tag("<thinking>")]
    | _Whole,
    shapes.by_type(_BLOCKS, "only text and tools go through this gateway"),
]
_Content = Annotated[
    shapes.PlainText | Annotated[list[_Block], Tag("<list>")],
    Discriminator(shapes.text_or_list),
]


class _Message(Shape):
    # A system message may come later as well: clients remind their model of something.
    role: Literal["user", "assistant", "system"]
    content: _Content


class _Tool(Shape):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: shapes.Whole | None = None


class _ToolChoice(Shape):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.type == "tool" and self.name is None:
            msg = "needs a name"
            raise ValueError(msg)
        return self


class _Format(Shape):
    # Named so, since `schema` is a method of every pydantic model.
    inner: shapes.Whole = Field(alias="schema")


class _OutputConfig(Shape):
    effort: str | None = None
    format: _Format | None = None


class Request(Shape):
    """A request, as far as this gateway reads it."""

    max_tokens: shapes.Limit
    messages: Annotated[list[_Message], Field(min_length=1)]
    system: _Content | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: shapes.Whole | None = None
    output_config: _OutputConfig | None = None


def check(body: Json) -> None:
    """Refuse what no provider could understand, and what reaches beyond the call. Raises BadCall."""
    rules.refuse_beyond(Dialect.MESSAGES, body)
    shaped(Request, body)


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
    if not isinstance(usage, dict):
        return None
    plain = chat.count(usage.get("input_tokens"))
    read = chat.count(usage.get("cache_read_input_tokens")) or 0
    written = chat.count(usage.get("cache_creation_input_tokens")) or 0
    whole = None if plain is None else plain + read + written
    return chat.counted(whole, chat.count(usage.get("output_tokens")), read=read, written=written)


def error(status: int, message: str, code: str) -> Json:  # noqa: ARG001 - this dialect has no code beside the type
    """An error in this dialect's shape."""
    kind = _STATUS_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")  # noqa: PLR2004
    return {"type": "error", "error": {"type": kind, "message": message}}


def keep_alive() -> bytes:
    """What is sent while a stream's answer is not there yet."""
    return event({"type": "ping"}, "ping")


def failed(status: int, message: str, code: str) -> bytes:
    """An error in a stream that has begun."""
    return event(error(status, message, code), "error")


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
