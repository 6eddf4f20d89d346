"""Parameters that a model does not take: said by the configuration, known of its family, or learned from a 400.

A box could name a parameter in a request that fails for another reason. So nothing is learned from a box's request
alone: the provider is asked something ordinary with the same parameter, and only if it refuses that as well is the
parameter left out, for every box alike.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Any

from agent.base.errors import UserError
from agent.base.refusal import Aside
from agent.config.models import ModelConfig
from agent.models.dialects.rules import RULES
from agent.models.ports import Asides, Dialect, Json, Learned, Post, Trouble, unbooked
from agent.models.providers import families
from agent.models.providers.errors import Rejected

_ROLES_AND_FIELDS = ("tools.", "messages[].")
LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_MAX_LEARNED = 8
_MOST_PROBES = 64
"""Refusals may echo what a box wrote, and name any set of parameters: not each costs a request of ours."""
_SAID = 300
_USER: Json = {"role": "user", "content": "Say ok. Answer with the JSON object {}."}
_SCHEMA: Json = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
_SCHEMA = {**_SCHEMA, "additionalProperties": False}
_TOOL: Json = {"name": "ok", "description": "Say ok", "parameters": {"type": "object", "properties": {}}}
_CHAT_TOOLS = [{"type": "function", "function": _TOOL}]
_MESSAGES_TOOLS = [{"name": "ok", "description": "Say ok", "input_schema": _TOOL["parameters"]}]
_ESSENTIAL = frozenset({"model", "messages", "tools", "n", "stream", "stream_options"})
_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "name", "refusal")
_SYSTEM = ("later_system", "system", "developer")
_TYPED = ("thinking", "response_format", "tool_choice")
"""Parameters of several kinds, learned kind by kind as `thinking.enabled`: a model may take one and not another."""
_PARTED = "output_config"
"""A parameter of two parts, learned part by part as `output_config.effort`."""
_LAST = ("top_p", "top_k", "presence_penalty", "frequency_penalty")
"""Of parameters that a model takes only one of, these go first."""

_ORDINARY: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 20,
    "min_p": 0.05,
    "seed": 1,
    "stop": ["###"],
    "stop_sequences": ["###"],
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "repeat_penalty": 1.1,
    "repetition_penalty": 1.1,
    "logprobs": True,
    "top_logprobs": 1,
    "logit_bias": {"100": 1},
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "user": "box",
    "prompt_cache_key": "box",
    "cache_control": {"type": "ephemeral"},
    "thinking.adaptive": {"type": "adaptive"},
    "thinking.disabled": {"type": "disabled"},
    "thinking.enabled": {"type": "enabled", "budget_tokens": 1024},
    "output_config.effort": {"effort": "low"},
    "output_config.format": {"format": {"type": "json_schema", "schema": _SCHEMA}},
    "response_format.json_schema": {"type": "json_schema", "json_schema": {"name": "ok", "schema": _SCHEMA}},
    "response_format.json_object": {"type": "json_object"},
    "tool_choice.required": "required",
    "tool_choice.any": {"type": "any"},
    "tool_choice.tool": {"type": "tool", "name": "ok"},
    "tool_choice.function": {"type": "function", "function": {"name": "ok"}},
    "metadata": {"user_id": "box"},
    "chat_template_kwargs": {},
    "enable_thinking": True,
    "max_tokens": 256,
    "max_completion_tokens": 256,
}
"""An ordinary value of each parameter: who refuses this one, refuses the parameter."""


def check(model: ModelConfig, native: Dialect) -> None:
    """Refuse names under `drop` and `pass` that would do nothing.

    Raises:
        UserError: names the key and the parameter.
    """
    known = RULES[native].known | _ORDINARY.keys() | set(_SYSTEM)
    for name in model.drop:
        if name not in known and not name.startswith(_ROLES_AND_FIELDS):
            problem = f"{model.name} is never sent `{name}`, so dropping it does nothing"
            raise UserError("models: drop", problem, "Remove it, or correct its spelling.")
    carried = frozenset.intersection(*(rules.known for rules in RULES.values()))
    for name in model.passed:
        if name in carried:
            raise UserError("models: pass", f"`{name}` is carried without it", "Remove it.")


class MemoryLearned:
    """What was learned, as long as the process lives."""

    def __init__(self) -> None:
        self._learned: dict[str, list[str]] = {}

    def recall(self, model: str) -> Collection[str]:
        """Parameters that a model was found not to take."""
        return self._learned.get(model, ())

    def learn(self, model: str, parameter: str, said: str) -> None:  # noqa: ARG002 - a ledger keeps the words as well
        """Keep that a model does not take a parameter."""
        self._learned.setdefault(model, []).append(parameter)

    def note(self, model: str, left_out: Collection[str]) -> None:
        """Nobody reads the events of a process."""

    def warn(self, text: str) -> None:
        """Nor its warnings."""


class Parameters:
    """One model's parameters at one provider."""

    def __init__(
        self, model: ModelConfig, native: Dialect, learned: Learned | None = None, asides: Asides = unbooked
    ) -> None:
        check(model, native)
        self._asides = asides
        self._model, self._native = model, native
        self._memory: Learned = learned if learned is not None else MemoryLearned()
        self._name = f"{model.provider}/{model.name}"
        self._family = families.of(model.name)
        self._fixed = {**model.always, **model.extra_body}
        self._taken: set[tuple[str, ...]] = set()
        self._lock = asyncio.Lock()

    @property
    def not_taken(self) -> tuple[str, ...]:
        """Everything that is left out of requests, sorted: configured, known of the family, learned."""
        names = {*self._model.drop, *self._family.drop, *self._memory.recall(self._name)} - self._fixed.keys()
        return tuple(sorted(names))

    def shape(self, body: Json) -> tuple[Json, tuple[str, ...]]:
        """A request as this model takes it, and the names of what was left out."""
        made = dict(body)
        left = [name for name in self.not_taken if _remove(made, name)]
        for name in [name for name in self._family.one_of if made.get(name) is not None][1:]:
            del made[name]
            left.append(name)
        made |= self._model.always
        for name, value in self._model.extra_body.items():
            made[name] = _merged(made.get(name), value)
        return made, tuple(left)

    async def ask(self, body: Json, post: Post) -> Json:
        """Ask; a refusal that names a parameter is answered by asking once more without it.

        Raises:
            BadCall: the request was refused for another reason.
            Trouble: no answer.
        """
        for _ in range(_MAX_LEARNED):
            made, _ = self.shape(body)
            try:
                return await post(made)
            except Rejected as error:
                if not await self._learned_from(error, made, post):
                    raise
        return await post(self.shape(body)[0])

    async def _learned_from(self, error: Rejected, sent: Json, post: Post) -> bool:
        """Whether the refusal taught something, so that asking again can help."""
        named = _named(error.about, sent, self._fixed)
        async with self._lock:
            if any(name in self.not_taken for name in named):
                return True
            groups = [(name,) for name in named] + ([tuple(named)] if len(named) > 1 else [])
            for group in groups:
                said = await self._refused(group, sent, post)
                if said is not None:
                    self._memory.learn(self._name, _last(group), said[:_SAID])
                    return True
        return False

    async def _refused(self, names: tuple[str, ...], sent: Json, post: Post) -> str | None:
        """What the provider says against an ordinary request with these parameters; None if it takes them."""
        if names in self._taken or len(self._taken) >= _MOST_PROBES:
            return None
        body = {"model": sent["model"], "messages": [_USER], self._limit: 256}
        for name in names:
            ordinary = _with(body, name, self._native)
            if ordinary is None:
                return None
            body = ordinary
        try:
            await self._asides(Aside.PARAMETERS, self._native, self.shape(body)[0], post)
        except Rejected as error:
            if any(_mentions(error.about, name) for name in names):
                return str(error)
        except Trouble:
            return None
        self._taken.add(names)
        return None

    @property
    def _limit(self) -> str:
        return "max_tokens" if self._native is Dialect.MESSAGES else self._model.limit_field


def _remove(body: Json, name: str) -> bool:
    """Take a parameter out of a request in place; whether it was there."""
    if name in _SYSTEM:
        return _without_role(body, name)
    if name.startswith("messages[]."):
        return _without_field(body, name.removeprefix("messages[]."))
    base, _, kind = name.partition(".")
    if kind:
        return _without_kind(body, base, kind)
    if body.get(name) is None or (name == "tool_choice" and _kind(body[name]) in ("auto", "none")):
        return False
    value = body.pop(name)
    if name in LIMITS and LIMITS[name] not in body:
        body[LIMITS[name]] = value
        return False
    return True


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else value
    return str(kind)


def _without_kind(body: Json, base: str, kind: str) -> bool:
    value = body.get(base)
    if base == _PARTED and isinstance(value, dict) and kind in value:
        kept = {name: part for name, part in value.items() if name != kind}
        body |= {base: kept}
        if not kept:
            del body[base]
        return True
    if base == _PARTED or value is None or _kind(value) != kind:
        return False
    del body[base]
    return True


def _without_role(body: Json, name: str) -> bool:
    """System messages as a user's text, all or all but the first; `developer` becomes `system`."""
    found = False
    made: list[Json] = []
    for i, message in enumerate(body["messages"]):
        role = message.get("role")
        if name == "developer" and role == "developer":
            made.append({**message, "role": "system"})
        elif name != "developer" and role in ("system", "developer") and (name == "system" or i > 0):
            made.append({**message, "role": "user"})
        else:
            made.append(message)
            continue
        found = True
    body["messages"] = _alternating(made) if found and name != "developer" else made
    return found and name != "developer"


def _alternating(messages: list[Json]) -> list[Json]:
    """User texts that follow one another as one: servers without system messages want turns to alternate."""
    made: list[Json] = []
    for message in messages:
        last = made[-1] if made else {}
        if last.get("role") == message.get("role") == "user" and all(
            isinstance(one.get("content"), str) for one in (last, message)
        ):
            made[-1] = {**last, "content": f"{last['content']}\n\n{message['content']}"}
        else:
            made.append(message)
    return made


def _without_field(body: Json, field: str) -> bool:
    found = any(field in message for message in body["messages"])
    body["messages"] = [{k: v for k, v in message.items() if k != field} for message in body["messages"]]
    return found


def _merged(before: Any, more: Any) -> Any:
    if isinstance(before, dict) and isinstance(more, dict):
        return {**before, **{name: _merged(before.get(name), value) for name, value in more.items()}}
    return more


def _word(name: str) -> str:
    """The word by which a refusal may mention a parameter."""
    base, _, part = name.removeprefix("messages[].").partition(".")
    word = part if base == _PARTED and part else base
    return "system" if word == "later_system" else word


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(_word(name))}(?![A-Za-z0-9_])", text, re.IGNORECASE) is not None


def _named(text: str, sent: Json, fixed: Collection[str]) -> list[str]:
    """The parameters of a request that a refusal mentions, in the order in which it mentions them."""
    given = [name for name in sent if name not in _ESSENTIAL and name not in fixed and name != "system"]
    names = [kind for name in given for kind in _kinds(name, sent[name])]
    messages = sent.get("messages") or []
    names += [f"messages[].{field}" for field in _FIELDS if any(field in message for message in messages)]
    roles = [message.get("role") for message in messages]
    names += [name for name, there in zip(_SYSTEM, _roles(roles), strict=True) if there]
    found = [name for name in names if _mentions(text, name)]
    return sorted(found, key=lambda name: text.lower().find(_word(name).lower()))


def _kinds(name: str, value: Any) -> list[str]:
    """A parameter under the names by which it is learned."""
    if name in _TYPED:
        return [f"{name}.{_kind(value)}"]
    if name == _PARTED and isinstance(value, dict):
        return [f"{name}.{part}" for part in value]
    return [name]


def _roles(roles: list[Any]) -> tuple[bool, bool, bool]:
    return "system" in roles[1:], "system" in roles, "developer" in roles


def _last(names: tuple[str, ...]) -> str:
    return next((name for name in names if name in _LAST), names[-1])


def _with(body: Json, name: str, native: Dialect) -> Json | None:
    """An ordinary request with one more parameter; None for one of which no ordinary value is known."""
    if name in _SYSTEM:
        return {**body, "messages": _ordinary_roles(name)}
    if name.startswith("messages[]."):
        field = name.removeprefix("messages[].")
        turn = {"role": "assistant", "content": "ok", field: _sample(field)}
        return {**body, "messages": [_USER, turn, _USER]}
    if name not in _ORDINARY:
        return None
    base = name.partition(".")[0]
    more: Json = {}
    if base in ("tool_choice", "parallel_tool_calls"):
        more = {"tools": _MESSAGES_TOOLS if native is Dialect.MESSAGES else _CHAT_TOOLS}
    elif name == "top_logprobs":
        more = {"logprobs": True}
    elif name == "thinking.enabled":
        more = {"max_tokens": 2048}
    kept = {key: value for key, value in body.items() if name not in LIMITS or key not in LIMITS}
    return {**kept, **more, base: _merged(body.get(base), _ORDINARY[name])}


def _ordinary_roles(name: str) -> list[Json]:
    head = {"role": "developer" if name == "developer" else "system", "content": "Be brief."}
    return [_USER, {"role": "assistant", "content": "ok"}, head, _USER] if name == "later_system" else [head, _USER]


def _sample(field: str) -> Any:
    return [{"type": "reasoning.text", "text": "ok"}] if field in ("reasoning_details", "thinking_blocks") else "ok"
