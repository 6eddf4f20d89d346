"""OpenAI Responses: what is accepted, what is complete, and how it streams. Translation is in `responses_in`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from agent.models.dialects import chat, rules, shapes
from agent.models.dialects.checks import Shape, shaped
from agent.models.dialects.sse import event
from agent.models.ports import Dialect, Json, Tokens, Trouble

_PARTS = frozenset({"input_text", "output_text", "text", "refusal"})
_Part = Annotated[
    Annotated[shapes.TextPart, Tag("<input_text>")]
    | Annotated[shapes.TextPart, Tag("<output_text>")]
    | Annotated[shapes.TextPart, Tag("<text>")]
    | Annotated[shapes.RefusalPart, Tag("<refusal>")],
    shapes.by_type(_PARTS, shapes.ONLY_TEXT),
]
_Content = Annotated[
    shapes.PlainText | Annotated[list[_Part], Tag("<list>")],
    Discriminator(shapes.text_or_list),
]


class _Message(Shape):
    role: Literal["system", "developer", "user", "assistant"]
    content: _Content


class _Call(Shape):
    call_id: str
    name: str
    namespace: str | None = None


class _FunctionCall(_Call):
    arguments: str


class _CustomCall(_Call):
    input: str


class _Output(Shape):
    call_id: str
    # Whatever a tool brought: what is not text is replaced by a note.
    output: str | list[shapes.Whole]


class _Reasoning(Shape):
    summary: list[shapes.Whole] | None = None
    content: list[shapes.Whole] | None = None
    encrypted_content: str | None = None


class _Tool(Shape):
    """Any tool: types that run at the provider are refused by name elsewhere."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: shapes.Whole | None = None
    format: shapes.Whole | None = None
    tools: list[_Tool] | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.type in ("function", "custom", "namespace") and self.name is None:
            msg = "needs a name"
            raise ValueError(msg)
        return self


class _MoreTools(Shape):
    tools: list[_Tool]


class _Search(Shape):
    call_id: str
    arguments: shapes.Whole


class _Found(_MoreTools):
    call_id: str


_ITEMS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "reasoning",
        "additional_tools",
        "tool_search_call",
        "tool_search_output",
    }
)
_Item = Annotated[
    Annotated[_Message, Tag("<message>")]
    | Annotated[_FunctionCall, Tag("<function_call>")]
    | Annotated[_Output, Tag("<function_call_output>")]
    | Annotated[_CustomCall, Tag("<custom_tool_call>")]
    | Annotated[_Output, Tag("<custom_tool_call_output>")]
    | Annotated[_Reasoning, Tag("<reasoning>")]
    | Annotated[_MoreTools, Tag("<additional_tools>")]
    | Annotated[_Search, Tag("<tool_search_call>")]
    | Annotated[_Found, Tag("<tool_search_output>")],
    shapes.by_type(_ITEMS, "this gateway carries messages, calls, their outputs and reasoning", default="message"),
]
_Input = Annotated[
    shapes.PlainText | Annotated[list[_Item], Field(min_length=1), Tag("<list>")],
    Discriminator(shapes.text_or_list),
]


class _Choice(Shape):
    type: Literal["function", "custom"]
    name: str
    namespace: str | None = None


_ToolChoice = Annotated[
    Annotated[Literal["auto", "required", "none"], Tag("<word>")] | Annotated[_Choice, Tag("<tool>")],
    Discriminator(lambda value: "<tool>" if isinstance(value, dict) else "<word>"),
]


class _Format(Shape):
    type: str
    # Named so, since `schema` is a method of every pydantic model.
    inner: shapes.Whole | None = Field(default=None, alias="schema")


class _Text(Shape):
    format: _Format | None = None
    verbosity: str | None = None


class _Effort(Shape):
    effort: str | None = None


class Request(Shape):
    """A request, as far as this gateway reads it."""

    input: _Input
    instructions: str | None = None
    max_output_tokens: shapes.Limit | None = None
    temperature: float | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    truncation: Literal["disabled"] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    text: _Text | None = None
    reasoning: _Effort | None = None


error = chat.error


def check(body: Json) -> None:
    """Refuse what no provider could understand, and what reaches beyond the call. Raises BadCall."""
    rules.refuse_beyond(Dialect.RESPONSES, body)
    shaped(Request, body)


def output_limit(body: Json) -> int | None:
    """The most tokens that the answer may take, as the box asked."""
    limit: int | None = body.get("max_output_tokens")
    return limit


def complete(answer: Json) -> None:
    """Refuse an answer that was cut short. Raises Trouble."""
    if answer.get("status") not in ("completed", "incomplete"):
        raise Trouble("the provider's response has no final status")


def tokens(answer: Json) -> Tokens | None:
    """What the call used."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    read = chat.count((usage.get("input_tokens_details") or {}).get("cached_tokens")) or 0
    return chat.counted(chat.count(usage.get("input_tokens")), chat.count(usage.get("output_tokens")), read=read)


keep_alive = chat.keep_alive


def failed(status: int, message: str, code: str) -> bytes:
    """An error in a stream that has begun: as a failed response, and as the SDKs read an error in any stream."""
    final = "invalid_prompt" if status < 500 else "server_error"  # noqa: PLR2004 - the words that clients know
    response: Json = {"id": "resp_failed", "object": "response", "status": "failed", "output": []}
    response["error"] = {"code": final, "message": message}
    said = {"type": "response.failed", "sequence_number": 0, "response": response}
    return event(said | error(status, message, code), "response.failed")


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
        yield {"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress", **_empty(item)}}
        yield from _FILLING[item["type"]](item, {**at, "item_id": item["id"]})
        yield {"type": "response.output_item.done", **at, "item": item}
    final = "completed" if answer["status"] == "completed" else "incomplete"
    yield {"type": f"response.{final}", "response": answer}


def _function(item: Json, at: Json) -> Iterator[Json]:
    yield {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **at, **done}


def _custom(item: Json, at: Json) -> Iterator[Json]:
    yield {"type": "response.custom_tool_call_input.delta", **at, "delta": item["input"]}
    yield {"type": "response.custom_tool_call_input.done", **at, "input": item["input"]}


def _reasoning(item: Json, at: Json) -> Iterator[Json]:
    for index, part in enumerate(item["summary"]):
        here = {**at, "summary_index": index}
        yield {"type": "response.reasoning_summary_part.added", **here, "part": {**part, "text": ""}}
        yield {"type": "response.reasoning_summary_text.delta", **here, "delta": part["text"]}
        yield {"type": "response.reasoning_summary_text.done", **here, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **here, "part": part}


def _message(item: Json, at: Json) -> Iterator[Json]:
    for index, part in enumerate(item["content"]):
        here = {**at, "content_index": index}
        field = "text" if part["type"] == "output_text" else "refusal"
        extra: Json = {"logprobs": []} if field == "text" else {}
        name = f"response.{part['type']}"
        yield {"type": "response.content_part.added", **here, "part": {**part, field: ""}}
        yield {"type": f"{name}.delta", **here, "delta": part[field], **extra}
        yield {"type": f"{name}.done", **here, field: part[field], **extra}
        yield {"type": "response.content_part.done", **here, "part": part}


def _search(item: Json, at: Json) -> Iterator[Json]:  # noqa: ARG001 - it comes whole with its last event
    return iter(())


def _empty(item: Json) -> Json:
    """An item's fields that its events fill, empty."""
    if item["type"] == "tool_search_call":
        return {}
    return {_FILLED[item["type"]]: "" if item["type"] in _STRINGS else []}


_FILLING: dict[str, Callable[[Json, Json], Iterator[Json]]] = {
    "message": _message,
    "function_call": _function,
    "custom_tool_call": _custom,
    "reasoning": _reasoning,
    "tool_search_call": _search,
}
_FILLED = {"message": "content", "function_call": "arguments", "custom_tool_call": "input", "reasoning": "summary"}
_STRINGS = ("function_call", "custom_tool_call")
