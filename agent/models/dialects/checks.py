"""Reading untrusted JSON: bodies are parsed, bounded and compared with shapes; BadCall names the path that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from agent.models.ports import BadCall, Json

MAX_DEPTH = 64
_MAX_NAME = 100


class Shape(BaseModel):
    """What a part of a body must look like where this gateway reads it. Other keys are other code's business."""

    model_config = ConfigDict(strict=True, extra="ignore")


def shaped(shape: type[Shape], body: Json) -> None:
    """Hold a body against a shape.

    Raises:
        BadCall: names the path of the first part that does not fit, and what it must be.
    """
    try:
        shape.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadCall(400, f"`{_path(first['loc'])}` {_wanted(first)}", code="invalid_value") from None


def _path(loc: Sequence[int | str]) -> str:
    """`messages[0].content`; tags of unions, which start with `<`, are not part of the body."""
    parts = [part for part in loc if not str(part).startswith("<")]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:_MAX_NAME]}" for part in parts)
    return text.removeprefix(".")


def _wanted(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "unsupported":
        given = error["input"]
        kind = given.get("type") if isinstance(given, dict) else None
        return f"of type {str(kind)[:50]!r} is not supported: {error['msg']}"
    return error["msg"].replace("Input should be", "must be").replace("Value error, ", "")


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def parse(raw: bytes) -> Json:
    """The JSON object in a body."""
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadCall(400, f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise BadCall(400, "the body must be a JSON object")
    if is_deep(value):
        raise BadCall(400, f"the body is nested more than {MAX_DEPTH} levels deep")
    return value


def is_deep(value: object) -> bool:
    """Whether a value is nested so deep that writing it could exhaust the stack."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


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
        raise BadCall(400, "the body contains text or numbers that JSON cannot carry") from None


def fail(path: str, wanted: str) -> NoReturn:
    """Refuse a value."""
    raise BadCall(400, f"`{path}` must be {wanted}", code="invalid_value")


def text(value: Any, path: str) -> str:
    """A string."""
    if not isinstance(value, str):
        fail(path, "a string")
    return value
