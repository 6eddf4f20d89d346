"""Malformed tool calls: arguments that are not a JSON object, ids that are missing or used twice."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from agent.models.dialects import checks
from agent.models.ports import Json

INVALID = "INVALID_JSON"
"""The key under which Messages carries arguments that are not a JSON object, as its documentation does."""
_SHOWN = 500


def arguments(raw: object) -> Json | None:
    """The arguments of a call; empty where none are given, None where they are not a JSON object."""
    if raw is None or raw == "":
        return {}
    try:
        given = json.loads(raw, parse_constant=_refuse) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) and not checks.is_deep(given) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def as_input(raw: object) -> Json:
    """The arguments as the input of a `tool_use` block, which must be an object whatever the model wrote."""
    given = arguments(raw)
    return {INVALID: raw} if given is None else given


def as_arguments(given: Json) -> str:
    """The input of a `tool_use` block as a chat call's arguments; the counterpart of `as_input`."""
    if set(given) == {INVALID} and isinstance(given[INVALID], str):
        return str(given[INVALID])
    return json.dumps(given, ensure_ascii=False)


def fixed(messages: list[Json]) -> list[Json]:
    """A conversation that a strict server accepts: malformed arguments become `{}`, and the tool's result says why.

    Servers reject the broken output of their own models when a box sends it back.
    """
    bad: dict[str, str] = {}
    made: list[Json] = []
    for message in messages:
        if message.get("role") != "tool" and bad:
            made += _results(bad)
            bad = {}
        if message.get("role") == "tool":
            why = bad.pop(str(message.get("tool_call_id")), None)
            made.append(message if why is None else {**message, "content": f"{why}\n{_plain(message.get('content'))}"})
        elif message.get("tool_calls"):
            made.append({**message, "tool_calls": [_fixed(call, bad) for call in message["tool_calls"]]})
        elif message.get("content") is None:
            made.append({**message, "content": ""})
        else:
            made.append(message)
    return made + _results(bad)


def _fixed(call: Json, bad: dict[str, str]) -> Json:
    function = call["function"]
    raw = function.get("arguments")
    if arguments(raw) is not None and isinstance(raw, str) and raw:
        return call
    if arguments(raw) is None:
        shown = str(raw)[:_SHOWN]
        bad[str(call.get("id"))] = f"[the call was not run: its arguments are not a JSON object: {shown}]"
    return {**call, "function": {**function, "arguments": json.dumps(arguments(raw) or {})}}


def _results(bad: dict[str, str]) -> list[Json]:
    return [{"role": "tool", "tool_call_id": ident, "content": why} for ident, why in bad.items()]


def _plain(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content or ""


def result_text(content: Any, left: list[str]) -> str:
    """The result of a tool as text. What is not text is replaced by a note, and its name added to `left`."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(_part_text(part, left) for part in content)


def _part_text(part: Json, left: list[str]) -> str:
    said = part.get("text", part.get("refusal"))
    if isinstance(said, str):
        return said
    kind = str(part.get("type"))[:50]
    if kind == "tool_reference":
        return f"[the tool {str(part.get('tool_name'))[:100]} is available]"
    name = f"results[{kind}]"
    if name not in left:
        left.append(name)
    return f"[a part of type {kind}, which this gateway does not carry]"


def numbered(calls: list[Json]) -> list[Json]:
    """The calls of one answer with ids that are strings and differ."""
    seen: set[str] = set()
    made: list[Json] = []
    for index, call in enumerate(calls):
        ident = call.get("id")
        if not isinstance(ident, str) or not ident or ident in seen:
            ident = _free(f"{ident or 'call'}_{index}", seen)
        seen.add(ident)
        made.append({**call, "id": ident})
    return made


def _free(ident: str, seen: set[str]) -> str:
    while ident in seen:
        ident += "_"
    return ident
