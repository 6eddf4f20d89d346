"""OpenAI Chat Completions: what is accepted, what is complete, and how it streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.models.dialects import checks
from agent.models.dialects.sse import event
from agent.models.ports import BadCall, Json, Tokens, Trouble

MAX_OUTPUT = 1 << 20
MAX_N = 16

PARAMETERS = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "n",
        "stop",
        "seed",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "frequency_penalty",
        "presence_penalty",
        "repeat_penalty",
        "repetition_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
        "verbosity",
        "chat_template_kwargs",
        "prompt_cache_key",
        "store",
        "metadata",
        "user",
    }
)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_TEXT_PARTS = frozenset({"text", "refusal"})
_MESSAGE = frozenset(
    {
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "refusal",
        "reasoning_content",
        "annotations",
        "audio",
    }
)


def check(body: Json) -> None:
    """Refuse what cannot be carried to any provider."""
    checks.known(body, PARAMETERS)
    if body.get("store"):
        raise BadCall(400, "`store` is not supported by this gateway: it keeps no conversation for a box")
    for i, message in enumerate(checks.objects(body.get("messages"), "messages")):
        _check_message(message, f"messages[{i}]")
    for name in ("max_tokens", "max_completion_tokens"):
        if body.get(name) is not None:
            checks.integer(body[name], name, 1, MAX_OUTPUT)
    if body.get("n") is not None:
        checks.integer(body["n"], "n", 1, MAX_N)
    if body.get("tools") is not None:
        for i, tool in enumerate(checks.objects(body["tools"], "tools", empty=True)):
            _check_tool(tool, f"tools[{i}]")


def _check_message(message: Json, path: str) -> None:
    if str(message.get("role")) not in _ROLES:
        checks.fail(f"{path}.role", f"one of {', '.join(sorted(_ROLES))}")
    checks.known(message, _MESSAGE, f"{path}.")
    if message.get("audio") is not None:
        raise BadCall(400, f"`{path}.audio` is not supported by this gateway: only text goes through")
    content = message.get("content")
    if isinstance(content, list):
        for i, part in enumerate(checks.objects(content, f"{path}.content", empty=True)):
            kind = part.get("type")
            if str(kind) not in _TEXT_PARTS:
                raise BadCall(400, f"`{path}.content[{i}]` of type {kind!r}: only text goes through this gateway")
            checks.text(part.get(str(kind)), f"{path}.content[{i}].{kind}")
    elif content is not None:
        checks.text(content, f"{path}.content")
    for i, call in enumerate(checks.objects(message.get("tool_calls") or [], f"{path}.tool_calls", empty=True)):
        function = checks.obj(call.get("function"), f"{path}.tool_calls[{i}].function")
        checks.text(function.get("name"), f"{path}.tool_calls[{i}].function.name")


def _check_tool(tool: Json, path: str) -> None:
    if tool.get("type") != "function":
        raise BadCall(400, f"`{path}.type` {tool.get('type')!r}: only function tools go through this gateway")
    checks.text(checks.obj(tool.get("function"), f"{path}.function").get("name"), f"{path}.function.name")


def plain(content: Any) -> str:
    """The text of a message's content, whichever way it was written."""
    if isinstance(content, list):
        return "".join(str(part.get("text", part.get("refusal", ""))) for part in content)
    return content or ""


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
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise Trouble("the provider's answer has a choice without a message")
        calls = choice["message"].get("tool_calls") or []
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            raise Trouble("the provider's answer has tool calls that are none")
        if not choice.get("finish_reason"):
            raise Trouble("the provider's answer has no finish reason: it was cut short")


def tokens(answer: Json) -> Tokens | None:
    """What the provider says the call used."""
    usage = answer.get("usage")
    if not isinstance(usage, dict) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Tokens(
        input=usage["prompt_tokens"],
        output=int(usage.get("completion_tokens") or 0),
        cache_read=int(cached or 0),
    )


def error(status: int, message: str, code: str) -> Json:
    """An error in this dialect's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004
    if status == 429:  # noqa: PLR2004
        kind = "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


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
    yield {"role": "assistant", "content": ""}
    for field in ("reasoning_content", "content", "refusal"):
        if message.get(field):
            yield {field: message[field]}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"tool_calls": [{**call, "index": index}]}
