"""How large schemas, tools and grammars may be: servers turn them into grammars, in time and memory that grow faster.

Measured on the embedded model: a schema with an `enum` of 10,000 values, or a grammar of 200 optional letters in a row,
held llama.cpp for more than a minute, for everybody; 1,000 values or 800 optional properties took 4 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.models.ports import BadCall, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Upper bounds for all schemas of one request together.

    `repeats` bounds counts such as `maxItems`, `operators` what repeats or is optional in patterns and grammars.
    """

    size: int
    tools: int
    properties: int
    values: int
    operators: int
    depth: int
    repeats: int


HOSTED = Bounds(size=512 << 10, tools=256, properties=2048, values=1000, operators=2048, depth=24, repeats=1 << 20)
EMBEDDED = Bounds(size=64 << 10, tools=64, properties=256, values=256, operators=32, depth=16, repeats=2048)
"""For the embedded model: whatever one box asks of it, the others wait for."""

_GRAMMARS = (
    "grammar",
    "json_schema",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "response_format",
    "output_config",
    "text",
)
_PATTERNS = ("pattern", "regex", "grammar")
_OPERATORS = "?*+{"
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_PER_VALUE = 8


@dataclass(slots=True)
class _Size:
    """What was counted so far."""

    bytes: int = 0
    properties: int = 0
    values: int = 0
    operators: int = 0


def check(body: Json, bounds: Bounds) -> None:
    """Refuse schemas and tools that are too large. Works on every dialect's request.

    Raises:
        BadCall: names the part, the bound and what was given.
    """
    tools = body.get("tools") or []
    parts = [(f"tools[{i}]", tool) for i, tool in enumerate(tools)]
    items = body.get("input")
    for i, item in enumerate(items if isinstance(items, list) else ()):
        parts += [(f"input[{i}].tools", tool) for tool in item.get("tools") or ()]
    _within("tools", "tools", len(parts), bounds.tools)
    parts += [(name, {name: body[name]}) for name in _GRAMMARS if body.get(name) is not None]
    size = _Size()
    for path, part in parts:
        _measure(part, path, bounds, size)
        _within(path, "properties", size.properties, bounds.properties)
        _within(path, "values of enums", size.values, bounds.values)
        _within(path, "repetitions in patterns", size.operators, bounds.operators)
        _within(path, "bytes of schemas", size.bytes, bounds.size)


def _within(path: str, what: str, given: int, most: int) -> None:
    if given > most:
        raise BadCall(
            400, f"`{path}`: {given} {what} are more than the {most} that one request may have", code="too_large"
        )


def _measure(part: Any, path: str, bounds: Bounds, size: _Size) -> None:
    """Count a schema or grammar; its bytes roughly, and never fewer than a half."""
    level: list[Any] = [part]
    # Wrappers around the schema itself (`function.parameters`) and the keys between its levels count as well.
    for _ in range(2 * bounds.depth + 5):
        if not level:
            return
        for node in level:
            size.bytes += len(node) + _PER_VALUE if isinstance(node, str) else _PER_VALUE
            if isinstance(node, dict):
                _count(node, path, bounds, size)
        level = [inner for node in level for inner in _inside(node)]
    raise BadCall(400, f"`{path}` is nested more than {bounds.depth} levels deep", code="too_large")


def _count(node: Json, path: str, bounds: Bounds, size: _Size) -> None:
    size.bytes += sum(map(len, node))
    size.properties += _length(node.get("properties"))
    size.values += _length(node.get("enum"))
    for name, value in node.items():
        if isinstance(value, str) and (name in _PATTERNS or name.startswith("guided_")):
            size.operators += sum(map(value.count, _OPERATORS))
    for name in _names(node.get("patternProperties")):
        size.operators += sum(map(name.count, _OPERATORS))
    for name in _REPEATS:
        given = node.get(name)
        if isinstance(given, int) and given > bounds.repeats:
            _within(f"{path}.{name}", "repetitions", given, bounds.repeats)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
