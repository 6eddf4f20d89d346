"""Reading untrusted JSON: every helper raises BadCall with the path of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from agent.models.ports import BadCall, Json

MAX_DEPTH = 64


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)


def parse(raw: bytes) -> Json:
    """The JSON object in a body."""
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadCall(400, f"the body is no JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise BadCall(400, "the body must be a JSON object")
    _bounded(value)
    return value


def _bounded(value: object) -> None:
    """Refuse nesting that would exhaust the stack, and text that is no Unicode (lone surrogates)."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise BadCall(400, f"the body is nested more than {MAX_DEPTH} levels deep")


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def canonical(value: object) -> bytes:
    """The one spelling of a JSON value."""
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode()
    except ValueError:
        raise BadCall(400, "the body holds text or numbers that JSON cannot carry") from None


def known(body: Json, allowed: Collection[str], where: str = "") -> None:
    """Refuse a parameter that this gateway does not carry, by name."""
    for name in body:
        if name not in allowed:
            raise BadCall(400, f"`{where}{name[:100]}` is not supported by this gateway", code="unsupported_parameter")


def fail(path: str, wanted: str) -> NoReturn:
    """Refuse a value."""
    raise BadCall(400, f"`{path}` must be {wanted}", code="invalid_value")


def text(value: Any, path: str) -> str:
    """A string."""
    if not isinstance(value, str):
        fail(path, "a string")
    return value


def obj(value: Any, path: str) -> Json:
    """An object."""
    if not isinstance(value, dict):
        fail(path, "an object")
    return value


def items(value: Any, path: str, *, empty: bool = False) -> list[Any]:
    """A list."""
    if not isinstance(value, list) or not (value or empty):
        fail(path, "a list" if empty else "a non-empty list")
    return value


def objects(value: Any, path: str, *, empty: bool = False) -> list[Json]:
    """A list of objects."""
    return [obj(item, f"{path}[{i}]") for i, item in enumerate(items(value, path, empty=empty))]


def integer(value: Any, path: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        fail(path, f"a whole number from {low} to {high}")
    return value


def number(value: Any, path: str, low: float, high: float) -> float:
    """A number within bounds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        fail(path, f"a number from {low:g} to {high:g}")
    return value
