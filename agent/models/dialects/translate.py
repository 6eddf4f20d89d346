"""Between dialects: requests on their way to a provider, answers on their way back.

Chat Completions is the hub: what is neither native nor chat goes through it. A parameter without a
counterpart is refused by name. Only hints that promise nothing are left out, and the reply's header
`x-ratchet-left-out` names them.
"""

from __future__ import annotations

from agent.config.models import ModelConfig
from agent.models.dialects import anthropic_in, anthropic_out, chat, responses
from agent.models.ports import Dialect, Json

_LIMITS = ("max_tokens", "max_completion_tokens")
_NOT_SENT = ("stream", "stream_options", "store", "metadata", *_LIMITS)
_HINTS: dict[tuple[Dialect, Dialect], tuple[str, ...]] = {
    (Dialect.CHAT, Dialect.CHAT): ("metadata",),
    (Dialect.CHAT, Dialect.MESSAGES): ("metadata", "seed", "user", "prompt_cache_key"),
    (Dialect.MESSAGES, Dialect.CHAT): ("metadata", "cache_control"),
    (Dialect.MESSAGES, Dialect.MESSAGES): (),
    (Dialect.RESPONSES, Dialect.CHAT): ("user", "safety_identifier"),
    (Dialect.RESPONSES, Dialect.MESSAGES): ("user", "safety_identifier", "prompt_cache_key"),
}


def left_out(dialect: Dialect, native: Dialect, body: Json) -> tuple[str, ...]:
    """The hints of a request that its provider has no word for."""
    return tuple(name for name in _HINTS[dialect, native] if body.get(name) is not None)


def request(dialect: Dialect, native: Dialect, body: Json, model: ModelConfig, limit: int) -> Json:
    """A box's request as the provider wants it. Raises BadCall."""
    if dialect is Dialect.MESSAGES and native is Dialect.MESSAGES:
        made = {name: value for name, value in body.items() if name != "stream"} | {"max_tokens": limit}
    else:
        made = _chat(dialect, body)
        made = _from_chat(made, native, model, limit)
    if native is Dialect.MESSAGES and model.prompt_cache and not _has_marks(made):
        made["cache_control"] = {"type": "ephemeral"}
    return {**made, "model": model.name}


def _chat(dialect: Dialect, body: Json) -> Json:
    if dialect is Dialect.CHAT:
        return body
    made = anthropic_in.request(body) if dialect is Dialect.MESSAGES else responses.request(body)
    chat.check(made)
    return made


def _from_chat(body: Json, native: Dialect, model: ModelConfig, limit: int) -> Json:
    if native is Dialect.MESSAGES:
        return anthropic_out.request(body, limit)
    sent = {name: value for name, value in body.items() if name not in _NOT_SENT}
    return {**sent, model.limit_field: limit}


def _has_marks(body: Json) -> bool:
    """Whether the box placed its own cache marks."""
    places: list[object] = [body, *(body.get("tools") or [])]
    for content in (body.get("system"), *(message.get("content") for message in body["messages"])):
        places += content if isinstance(content, list) else []
    return any(isinstance(place, dict) and place.get("cache_control") for place in places)


def answer(native: Dialect, dialect: Dialect, reply: Json, body: Json) -> Json:
    """A provider's answer as the box wants it; `body` is the box's request. Raises Trouble."""
    if native is dialect:
        return reply
    common = anthropic_out.answer(reply) if native is Dialect.MESSAGES else reply
    if dialect is Dialect.MESSAGES:
        return anthropic_in.answer(common)
    return responses.answer(common, body) if dialect is Dialect.RESPONSES else common
