"""OpenAI Chat Completions: what is accepted, what is complete, and how it streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from agent.models.dialects import faults, rules, shapes
from agent.models.dialects.checks import Shape, shaped
from agent.models.dialects.sse import COMMENT, event
from agent.models.ports import Dialect, Json, Tokens, Trouble

MAX_N = 16
_MAX_COUNT = 1 << 40


class _ThinkingPart(Shape):
    thinking: str | list[shapes.Whole]


_PARTS = frozenset({"text", "refusal", "thinking"})
_Part = Annotated[
    Annotated[shapes.TextPart, Tag("<text>")]
    | Annotated[shapes.RefusalPart, Tag("<refusal>")]
    | Annotated[_ThinkingPart, Tag("<thinking>")],
    shapes.by_type(_PARTS, shapes.ONLY_TEXT),
]
_Content = Annotated[
    shapes.PlainText | Annotated[list[_Part], Tag("<list>")],
    Discriminator(shapes.text_or_list),
]


class _Function(Shape):
    name: str


class _Call(Shape):
    id: str | None = None
    function: _Function


class _Message(Shape):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: _Content | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    audio: None = None


class _FunctionTool(Shape):
    name: str
    description: str | None = None
    parameters: shapes.Whole | None = None


class _Tool(Shape):
    type: str
    function: _FunctionTool | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == "function" and self.function is None:
            msg = "needs a function"
            raise ValueError(msg)
        return self


class _Choice(Shape):
    function: _Function


_ToolChoice = Annotated[
    Annotated[Literal["auto", "required", "none"], Tag("<word>")] | Annotated[_Choice, Tag("<function>")],
    Discriminator(lambda value: "<function>" if isinstance(value, dict) else "<word>"),
]


class _Schema(Shape):
    # Named so, since `schema` is a method of every pydantic model.
    inner: shapes.Whole | None = Field(default=None, alias="schema")


class _ResponseFormat(Shape):
    type: str
    json_schema: _Schema | None = None


class Request(Shape):
    """A request, as far as this gateway reads it."""

    messages: Annotated[list[_Message], Field(min_length=1)]
    max_tokens: shapes.Limit | None = None
    max_completion_tokens: shapes.Limit | None = None
    n: Annotated[int, Field(ge=1, le=MAX_N)] | None = None
    temperature: float | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None


def check(body: Json) -> None:
    """Refuse what no provider could understand, and what reaches beyond the call. Raises BadCall."""
    rules.refuse_beyond(Dialect.CHAT, body)
    shaped(Request, body)


def plain(content: Any) -> str:
    """The text of a message's content, whichever way it was written."""
    if isinstance(content, list):
        return "".join(str(part.get("text", part.get("refusal", ""))) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def output_limit(body: Json) -> int | None:
    """The most tokens that one answer may take, as the box asked."""
    limits = [body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    return min(limits) if limits else None


def complete(answer: Json) -> None:
    """Refuse an answer that was cut short.

    Raises:
        Trouble: no choice, or one without a finish reason.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Trouble("the provider's answer has no choices")
    for choice in choices:
        _complete(choice)


def _complete(choice: Any) -> None:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise Trouble("the provider's answer has a choice without a message")
    faults.check_choice(choice)
    calls = choice["message"].get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise Trouble("the provider's answer has malformed tool calls")


def tokens(answer: Json) -> Tokens | None:
    """What the provider says the call used; None where it says nothing that can be true."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    given, made, total = (count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if given is not None and made is not None and total is not None:
        made = max(made, total - given)  # several providers count reasoning in the total alone
    return counted(given, made, read=cached or 0)


def count(value: Any) -> int | None:
    """A number of tokens; None where the value is none."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MAX_COUNT and value == int(value) else None


def counted(given: int | None, made: int | None, *, read: int, written: int = 0) -> Tokens | None:
    """Tokens as counted. None where a count is missing, or where the prompt would have had no tokens."""
    if not given or made is None:
        return None
    read = min(read, given)
    return Tokens(input=given, output=made, cache_read=read, cache_write=min(written, given - read))


def error(status: int, message: str, code: str) -> Json:
    """An error in this dialect's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004
    if status == 429:  # noqa: PLR2004
        kind = "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def keep_alive() -> bytes:
    """What is sent while a stream's answer is not there yet."""
    return COMMENT


def failed(status: int, message: str, code: str) -> bytes:
    """An error in a stream that has begun."""
    return event(error(status, message, code))


def events(answer: Json, body: Json) -> Iterator[bytes]:
    """A complete answer as server-sent events."""
    shared = {"id": answer.get("id"), "created": answer.get("created"), "model": answer.get("model")}
    base = {**shared, "object": "chat.completion.chunk"}
    options = body.get("stream_options")
    with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    extra = {"usage": None} if with_usage else {}
    for choice in answer["choices"]:
        index = choice.get("index", 0)
        for delta in _deltas(choice["message"]):
            part = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            yield event({**base, "choices": [part], **extra})
        last = {"index": index, "delta": {}, "logprobs": choice.get("logprobs")}
        yield event({**base, "choices": [{**last, "finish_reason": choice["finish_reason"]}], **extra})
    if with_usage:
        yield event({**base, "choices": [], "usage": answer.get("usage")})
    yield b"data: [DONE]\n\n"


def _deltas(message: Json) -> Iterator[Json]:
    """The message in the order in which models write: reasoning and all other fields, content, calls."""
    yield {"role": "assistant", "content": ""}
    last = ("content", "refusal")
    others = [name for name in message if name not in ("role", "tool_calls", *last)]
    for field in (*others, *last):
        if message.get(field):
            yield {field: message[field]}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"tool_calls": [{**call, "index": index}]}
