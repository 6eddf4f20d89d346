"""What of a client's request is carried, what is left out, and what is refused.

Known parameters are carried. Hints, and whatever this gateway does not know, are left out, named in the reply's
header `x-ratchet-left-out`, and carried where the model's `pass` lists them. What reaches beyond the call is refused.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NoReturn

from agent.models.dialects import stamps
from agent.models.ports import BadCall, Dialect, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """One dialect's names: `known` are carried, `beyond` are refused, all others are left out.

    `inside` gives the known names of the objects in a list, such as `messages`.
    """

    known: frozenset[str]
    beyond: dict[str, str]
    inside: dict[str, frozenset[str]] = field(default_factory=dict)
    not_in_identity: frozenset[str] = frozenset()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STORED = "this gateway keeps no conversation for a box"
_TIER = "the campaign's configuration chooses the tier"
_NETWORK = "it runs at the provider, which has a network"
_ONLY_TEXT = "only text goes through this gateway"
_OTHER_MODEL = "a box may only use the models of its roles"
_STREAM = frozenset({"stream", "stream_options"})

_CHAT = Rules(
    known=_names(
        """
        model messages stream stream_options max_tokens max_completion_tokens temperature top_p top_k min_p n stop seed
        tools tool_choice parallel_tool_calls response_format frequency_penalty presence_penalty repeat_penalty
        repetition_penalty logit_bias logprobs top_logprobs reasoning_effort reasoning thinking enable_thinking
        verbosity chat_template_kwargs grammar guided_json guided_regex guided_choice guided_grammar
        structured_outputs json_schema min_tokens ignore_eos stop_token_ids prompt_cache_key user
        """
    ),
    beyond={
        "store": _STORED,
        "service_tier": _TIER,
        "audio": _ONLY_TEXT,
        "web_search_options": _NETWORK,
        "search_parameters": _NETWORK,
        "enable_search": _NETWORK,
        "plugins": _NETWORK,
        "models": _OTHER_MODEL,
        "functions": "write them as `tools`",
        "function_call": "write it as `tool_choice`",
    },
    inside={
        "messages": _names(
            """
            role content name tool_calls tool_call_id refusal reasoning_content reasoning reasoning_details
            thinking_blocks
            """
        ),
        "tools": frozenset({"type", "function"}),
    },
    not_in_identity=_STREAM | {"user", "prompt_cache_key", "safety_identifier", "metadata"},
)
_MESSAGES = Rules(
    known=_names(
        """
        model messages max_tokens system stop_sequences stream temperature top_p top_k tools tool_choice thinking
        cache_control output_config metadata
        """
    ),
    beyond={
        "service_tier": _TIER,
        "mcp_servers": _NETWORK,
        "container": _NETWORK,
        "inference_geo": _TIER,
        "speed": _TIER,
    },
    inside={
        "messages": frozenset({"role", "content"}),
        "tools": frozenset({"type", "name", "description", "input_schema", "cache_control", "strict"}),
    },
    not_in_identity=_STREAM | {"metadata"},
)
_RESPONSES = Rules(
    known=_names(
        """
        model input instructions max_output_tokens temperature top_p stream stream_options tools tool_choice
        parallel_tool_calls text reasoning prompt_cache_key include truncation
        """
    ),
    beyond={
        "store": _STORED,
        "background": _STORED,
        "previous_response_id": _STORED,
        "conversation": _STORED,
        "prompt": _STORED,
        "service_tier": _TIER,
        "top_logprobs": "ask for them in Chat Completions",
    },
    inside={
        "tools": frozenset({"type", "name", "description", "parameters", "strict", "format", "tools", "execution"})
    },
    not_in_identity=_STREAM
    | {"user", "prompt_cache_key", "safety_identifier", "metadata", "client_metadata", "include", "store"},
)
RULES = {Dialect.CHAT: _CHAT, Dialect.MESSAGES: _MESSAGES, Dialect.RESPONSES: _RESPONSES}

_TOOL_BEYOND = (
    "is not supported by this gateway: only function tools go through, no tool that runs at the provider, which has a "
    "network. Turn it off in the client, or add `drop: [tools.{name}]` to the model"
)
_LOCAL_TOOLS = ("bash_*", "text_editor_*", "memory_*")
"""Tools of Messages whose schema the model knows and whose work the client does."""
_CALL_IDS = ("id", "call_id", "tool_call_id", "tool_use_id")


def refuse_beyond(dialect: Dialect, body: Json) -> None:
    """Refuse what reaches beyond the call. Raises BadCall."""
    for name, why in RULES[dialect].beyond.items():
        if body.get(name) not in (None, False):
            raise BadCall(400, f"`{name}` is not supported by this gateway: {why}", code="unsupported_parameter")


def sieve(dialect: Dialect, body: Json, passed: Collection[str]) -> tuple[Json, list[str]]:
    """The request without what is left out, and the names of that, such as `tools[].defer_loading`."""
    rules = RULES[dialect]
    left: list[str] = []
    made: Json = {}
    for name, value in body.items():
        if name in rules.known or name in passed:
            made[name] = _sieved(name, value, rules, passed, left)
        elif name not in rules.beyond and value is not None:
            left.append(name)
    if dialect is Dialect.RESPONSES and stamps.NAME not in passed:
        made, stamped = _blurred(made)
        left += [stamps.NAME] if stamped else []
    return made, list(dict.fromkeys(left))


def _blurred(body: Json) -> tuple[Json, bool]:
    items, stamped = stamps.blurred(body.get("input"))
    return ({**body, "input": items} if stamped else body), stamped


def _sieved(name: str, value: Any, rules: Rules, passed: Collection[str], left: list[str]) -> Any:
    known = rules.inside.get(name)
    if known is None or not isinstance(value, list):
        return value
    return [_object(name, item, known, passed, left) for item in value]


def _object(name: str, item: Any, known: frozenset[str], passed: Collection[str], left: list[str]) -> Any:
    if not isinstance(item, dict) or item.keys() <= known:
        return item
    out = [key for key in item if key not in known and f"{name}[].{key}" not in passed]
    # Tools that the client runs have a shape of their own for each type.
    if name == "tools" and is_local(item):
        out = []
    left += [f"{name}[].{key[:100]}" for key in out if item[key] is not None]
    return {key: value for key, value in item.items() if key not in out}


def without_dropped(body: Json, dropped: Collection[str], left: list[str]) -> Json:
    """The request without the types of tools that the configuration drops, as `tools.web_search`."""
    tools = body.get("tools")
    if not dropped or not isinstance(tools, list):
        return body
    out = [kind for tool in tools if (kind := _kind(tool)) and f"tools.{kind}" in dropped]
    if not out:
        return body
    left += [f"tools.{kind}" for kind in out]
    kept = [tool for tool in tools if _kind(tool) not in out]
    made = {**body, "tools": kept}
    return made if kept else {name: value for name, value in made.items() if name not in ("tools", "tool_choice")}


def _kind(tool: Any) -> str | None:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return kind if isinstance(kind, str) else None


def refuse_tool(kind: object, path: str) -> NoReturn:
    """Refuse a tool of a type that this gateway does not carry. Raises BadCall."""
    name = str(kind)[:50]
    raise BadCall(400, f"`{path}.type` {name!r} {_TOOL_BEYOND.format(name=name)}", code="unsupported_parameter")


def is_local(tool: Json) -> bool:
    """Whether a typed tool of Messages is run by the client."""
    kind = tool.get("type")
    return isinstance(kind, str) and any(fnmatch.fnmatchcase(kind, pattern) for pattern in _LOCAL_TOOLS)


def identity(dialect: Dialect, body: Json, keep: Collection[str] = ()) -> Json:
    """The part of a request that says what is asked: equal for equal questions of different processes.

    Without what is left out (`keep`: the names that the role's models pass on), without fields that clients fill at
    random, and with the ids of tool calls counted in their order: clients make them up, and they only link.
    """
    rules = RULES[dialect]
    made, _ = sieve(dialect, body, keep)
    made = {name: value for name, value in made.items() if name not in rules.not_in_identity}
    if dialect is Dialect.RESPONSES:
        made = _without_item_ids(made)
    names: dict[str, str] = {}
    spoken = "input" if dialect is Dialect.RESPONSES else "messages"
    return {name: _counted(value, names) if name == spoken else value for name, value in made.items()}


def _without_item_ids(body: Json) -> Json:
    items = body.get("input")
    if isinstance(items, list):
        kept = [{k: v for k, v in item.items() if k != "id"} if isinstance(item, dict) else item for item in items]
        body = {**body, "input": kept}
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict):
        body = {**body, "reasoning": {k: v for k, v in reasoning.items() if k == "effort"}}
    return body


def _counted(value: Any, names: dict[str, str]) -> Any:
    """A conversation with every id of a call replaced by its number. Inputs of tools are left alone."""
    if isinstance(value, list):
        return [_counted(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _counted_field(key, item, names) for key, item in value.items()}


def _counted_field(key: str, item: Any, names: dict[str, str]) -> Any:
    if key in _CALL_IDS and isinstance(item, str):
        return names.setdefault(item, f"call {len(names)}")
    if key in ("content", "tool_calls"):
        return _counted(item, names)
    return item
