"""Between dialects: requests on their way to a provider, answers on their way back.

Chat Completions is the hub: what is neither native nor chat goes through it. What becomes of each parameter is in
`rules`; what a translation has no word for is a hint, which is left out, or refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from agent.config.models import ModelConfig
from agent.models.dialects import anthropic_in, anthropic_out, bounds, calls, chat, reasoning, responses_in, rules
from agent.models.ports import Dialect, Json

_LIMITS = ("max_tokens", "max_completion_tokens")
_NOT_SENT = ("stream", "stream_options", *_LIMITS)
_CACHE_BYTES = 8192
"""A prompt shorter than this is below every model's smallest prompt that can be cached."""
BETA = "anthropic-beta"
_MOST_NAMES, _LONGEST_NAME = 32, 64
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.\[\]-]")
_LEAST_BUDGET = 1024
"""Anthropic takes no smaller budget for thinking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """A request in the provider's dialect, and the names of what was left out of it."""

    body: Json
    left_out: tuple[str, ...]


def carry(dialect: Dialect, native: Dialect, body: Json, model: ModelConfig, limit: int) -> Carried:
    """A box's request, which its dialect has checked, as the provider wants it.

    Raises:
        BadCall: names what this provider has no word for, or what is too large.
    """
    left: list[str] = []
    asked = rules.without_dropped(body, model.drop, left)
    kept, unknown = rules.sieve(dialect, asked, model.passed)
    left += unknown
    bounds.check(kept, bounds.EMBEDDED if model.provider == "embedded" else bounds.HOSTED)
    if dialect is native is Dialect.MESSAGES:
        made = _native_messages(kept, model, limit)
    else:
        made = _from_chat(_as_chat(dialect, kept, left), native, model, limit, left)
    passed = {name: asked[name] for name in model.passed if name in asked and name not in made}
    made |= passed
    if native is Dialect.MESSAGES and not _has_marks(made) and _cache_pays(model, made):
        made["cache_control"] = {"type": "ephemeral"}
    names = dict.fromkeys(_shown(name) for name in left if name not in passed)
    return Carried(body={**made, "model": model.name}, left_out=tuple(names)[:_MOST_NAMES])


def _shown(name: str) -> str:
    """A name that a box may have made up, fit for a header and for people to read."""
    return _NOT_PLAIN.sub("?", name[:_LONGEST_NAME])


def request(dialect: Dialect, native: Dialect, body: Json, model: ModelConfig, limit: int) -> Json:
    """A box's request as the provider wants it. Raises BadCall."""
    return carry(dialect, native, body, model, limit).body


def left_out(dialect: Dialect, native: Dialect, body: Json, model: ModelConfig) -> tuple[str, ...]:
    """The names of what a request asks for in vain."""
    return carry(dialect, native, body, model, 1).left_out


def _native_messages(body: Json, model: ModelConfig, limit: int) -> Json:
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") not in (None, "custom") and not rules.is_local(tool):
            rules.refuse_tool(tool["type"], f"tools[{index}]")
    made = {name: value for name, value in body.items() if name != "stream"} | {"max_tokens": limit}
    beta = BETA in model.passed
    made |= _thinking(body.get("thinking"), limit)
    return made | {"messages": [_spoken(message, beta=beta) for message in body["messages"]]}


def _thinking(wanted: Json | None, limit: int) -> Json:
    """A budget for thinking below the limit of the answer, as Anthropic demands, where that limit was lowered."""
    budget = (wanted or {}).get("budget_tokens")
    if wanted is None or not isinstance(budget, int) or budget < limit:
        return {}
    lowered = {**wanted, "budget_tokens": limit - 1} if limit > _LEAST_BUDGET else {"type": "disabled"}
    return {"thinking": lowered}


def _spoken(message: Json, *, beta: bool) -> Json:
    """One message for Anthropic: a later system message is a beta there, and thoughts of others mean nothing to it."""
    content = message["content"]
    if message["role"] == "system" and not beta:
        said = content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)
        return {"role": "user", "content": anthropic_out.SYSTEM_MARK.format(said)}
    if isinstance(content, str):
        return message
    if not any(_foreign(block) for block in content):
        return message
    return {**message, "content": [block for block in content if not _foreign(block)]}


def _foreign(block: Json) -> bool:
    return block["type"] == "thinking" and reasoning.packed(block.get("signature"))


def _as_chat(dialect: Dialect, body: Json, left: list[str]) -> Json:
    common = body
    if dialect is Dialect.MESSAGES:
        common = anthropic_in.request(body, left)
    elif dialect is Dialect.RESPONSES:
        common = responses_in.request(body, left)
    if common is not body:
        chat.check(common)
    return {**common, "messages": calls.fixed(common["messages"])}


def _from_chat(body: Json, native: Dialect, model: ModelConfig, limit: int, left: list[str]) -> Json:
    if native is Dialect.MESSAGES:
        return anthropic_out.request(body, limit, left)
    for index, tool in enumerate(body.get("tools") or ()):
        if tool["type"] != "function":
            rules.refuse_tool(tool["type"], f"tools[{index}]")
    sent = {name: value for name, value in body.items() if name not in _NOT_SENT}
    return {**sent, model.limit_field: limit}


def _has_marks(body: Json) -> bool:
    """Whether the box placed its own cache marks."""
    places: list[Any] = [body, *(body.get("tools") or [])]
    for content in (body.get("system"), *(message.get("content") for message in body["messages"])):
        places += content if isinstance(content, list) else []
    return any(isinstance(place, dict) and place.get("cache_control") for place in places)


def _cache_pays(model: ModelConfig, body: Json) -> bool:
    """Whether to ask for prompt caching: a written prompt costs a quarter more, one that is read again a tenth.

    It is read again in a conversation with tools, whose every turn repeats the one before.
    """
    if model.prompt_cache is not None:
        return model.prompt_cache
    return model.base_url is None and bool(body.get("tools")) and _size(body) >= _CACHE_BYTES


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 0


def answer(native: Dialect, dialect: Dialect, reply: Json, body: Json) -> Json:
    """A provider's answer as the box wants it; `body` is the box's request. Raises Trouble."""
    if native is dialect:
        return reply
    common = anthropic_out.answer(reply) if native is Dialect.MESSAGES else reply
    if dialect is Dialect.MESSAGES:
        return anthropic_in.answer(common, body)
    return responses_in.answer(common, body) if dialect is Dialect.RESPONSES else common
