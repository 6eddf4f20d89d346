"""How large schemas, tools and grammars may be: servers turn them into grammars, in time and memory that grow faster.

Measured on the embedded model: a schema with an `enum` of 10,000 values held llama.cpp for more than a minute, for
everybody; 1,000 values or 800 optional properties took 4 s, 250 a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.models.ports import BadCall, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Upper bounds for all schemas of one request together; `repeats` bounds counts such as `maxItems`."""

    size: int
    tools: int
    properties: int
    values: int
    depth: int
    repeats: int


HOSTED = Bounds(size=512 << 10, tools=256, properties=2048, values=1000, depth=24, repeats=1 << 20)
EMBEDDED = Bounds(size=64 << 10, tools=64, properties=256, values=256, depth=16, repeats=2048)
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
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_PER_VALUE = 8


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
    parts += [(name, body[name]) for name in _GRAMMARS if body.get(name) is not None]
    size = properties = values = 0
    for path, part in parts:
        found = _measure(part, path, bounds)
        size, properties, values = size + found[0], properties + found[1], values + found[2]
        _within(path, "properties", properties, bounds.properties)
        _within(path, "values of enums", values, bounds.values)
        _within(path, "bytes of schemas", size, bounds.size)


def _within(path: str, what: str, given: int, most: int) -> None:
    if given > most:
        raise BadCall(
            400, f"`{path}`: {given} {what} are more than the {most} that one request may have", code="too_large"
        )


def _measure(part: Any, path: str, bounds: Bounds) -> tuple[int, int, int]:
    """Bytes (roughly, and never fewer than a half), properties and enum values of one schema or grammar."""
    size = properties = values = 0
    level: list[Any] = [part]
    # Wrappers around the schema itself (`function.parameters`) and the keys between its levels count as well.
    for _ in range(2 * bounds.depth + 4):
        if not level:
            return size, properties, values
        for node in level:
            size += len(node) + _PER_VALUE if isinstance(node, str) else _PER_VALUE
            if isinstance(node, dict):
                size += sum(map(len, node))
                properties += _count(node.get("properties"))
                values += _count(node.get("enum"))
                _check_repeats(node, path, bounds)
        level = [inner for node in level for inner in _inside(node)]
    raise BadCall(400, f"`{path}` is nested more than {bounds.depth} levels deep", code="too_large")


def _count(value: Any) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _check_repeats(node: Json, path: str, bounds: Bounds) -> None:
    for name in _REPEATS:
        given = node.get(name)
        if isinstance(given, int) and given > bounds.repeats:
            _within(f"{path}.{name}", "repetitions", given, bounds.repeats)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
