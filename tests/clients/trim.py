"""A captured request without its prose: names, types and structure stay, texts become "…".

What a client sends is a fact of the protocol; the wording of its prompts and tool descriptions is its authors' own.
"""

from __future__ import annotations

import re
from typing import Any

from tests.clients.server import Json, Seen

ELLIPSIS = "…"
LONG = 400
_WORD = re.compile(r"[\w.:/+#$@*-]{1,64}")
_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-f]{16}|\d{10}|[0-9A-HJKMNP-TV-Z]{26}")
_PROSE = frozenset(
    {"description", "text", "instructions", "content", "output", "system", "title", "input", "definition"}
)
_AS_IT_IS = ("arguments", "image_url", "data")
_SHORT = 1000
_TRANSPORT = frozenset(
    {"host", "content-length", "connection", "accept", "accept-encoding", "accept-language", "sec-fetch-mode"}
)


def trim(seen: Seen) -> Json:
    """One request, ready to be kept as data."""
    headers = {name: _header(name, value) for name, value in seen.headers.items() if name not in _TRANSPORT}
    trimmed: Json = {"method": seen.method, "path": seen.path}
    if seen.query:
        trimmed["query"] = seen.query
    trimmed["headers"] = dict(sorted(headers.items()))
    if seen.body is not None:
        trimmed["body"] = _body(seen.body)
    return trimmed


def _header(name: str, value: str) -> str:
    """Versions, flags and placeholders say something; session ids do not."""
    random = "session" in name or _RANDOM.search(value) is not None
    return ELLIPSIS if random or len(value) > LONG else value


def _body(body: Any) -> Any:
    trimmed = _value(body, "")
    if isinstance(body, dict) and isinstance(body.get("tools"), list):
        trimmed["tools"] = _kinds(trimmed["tools"], _called(body))
    return trimmed


def _value(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        # Codex writes this one in an order of chance.
        fields = sorted(value.items()) if key == "client_metadata" else value.items()
        return {name: _value(inner, name) for name, inner in fields}
    if isinstance(value, list):
        return [_value(inner, key if key in ("required", "enum") else "") for inner in value]
    return _string(value, key) if isinstance(value, str) else value


def _string(value: str, key: str) -> str:
    if key in _AS_IT_IS and len(value) < _SHORT:
        return value
    plain = _WORD.fullmatch(value) is not None and _RANDOM.search(value) is None
    return value if plain and key not in _PROSE else ELLIPSIS if value else value


def _called(body: Json) -> set[str]:
    """The names of tools that the conversation uses."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") in ("tool_use", "function", "function_call", "custom_tool_call"):
                found.add(str(value.get("name") or (value.get("function") or {}).get("name")))
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(body.get("messages") or body.get("input"))
    return found


def _kinds(tools: list[Json], called: set[str]) -> list[Json]:
    """The tools that show something that no earlier one does, and those that are called."""
    kept: list[Json] = []
    shown: set[str] = set()
    for tool in tools:
        inner = tool.get("tools")
        if isinstance(inner, list):
            kept.append({**tool, "tools": _kinds(inner, called)})
        elif _shapes(tool, "") - shown or _name(tool) in called:
            kept.append(_thinned(tool, shown))
        shown |= _shapes(tool, "")
    return kept


def _name(tool: Json) -> str:
    return str(tool.get("name") or (tool.get("function") or {}).get("name"))


def _thinned(value: Any, shown: set[str]) -> Any:
    """A tool whose schemas keep the properties that show something new, and one at least."""
    if not isinstance(value, dict):
        return [_thinned(inner, shown) for inner in value] if isinstance(value, list) else value
    thinned = {name: _thinned(inner, shown) for name, inner in value.items()}
    properties = value.get("properties")
    if isinstance(properties, dict) and properties:
        known = set(shown)
        kept: Json = {}
        for name, inner in properties.items():
            if not kept or _shapes(inner, name) - known:
                kept[name] = _thinned(inner, shown)
                known |= _shapes(inner, name)
        thinned["properties"] = kept
        if isinstance(value.get("required"), list):
            thinned["required"] = [name for name in value["required"] if name in kept]
    return thinned


def _shapes(value: Any, key: str) -> set[str]:
    """Field names and types that a tool uses; not the names of its arguments."""
    if isinstance(value, list):
        return {shape for inner in value for shape in _shapes(inner, key)}
    if not isinstance(value, dict):
        return {f"type={value}"} if key == "type" else set()
    if key == "properties":
        return {shape for inner in value.values() for shape in _shapes(inner, "")}
    return set(value) | {shape for name, inner in value.items() for shape in _shapes(inner, name)}
