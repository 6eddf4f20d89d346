"""What pydantic found wrong, in words for people: where in the file, the problem, the fix."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

Keys = tuple[int | str, ...]

_NOT_THERE = object()
_SHOWN = 60
_KINDS = {
    "number": ("is not a number", "Write a number."),
    "whole": ("is not a whole number", "Write a whole number."),
    "text": ("is not text", "Put it in quotes."),
    "list": ("is not a list", "Write a list: [A, B]."),
    "mapping": ("is not a mapping", "Write keys with values there."),
    "path": ("is not a path", "Write the path of a file or folder."),
    "bool": ("is neither true nor false", "Write true or false."),
}
_KIND_OF = {
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "whole"),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), "text"),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), "mapping"),
    **dict.fromkeys(("path_type",), "path"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "bool"),
}
_PLAIN = {
    "missing": ("is missing", "Add it."),
    "string_too_short": ("is empty", "Fill it in."),
    "too_short": ("is empty", "Fill it in."),
}
_LIMITS = {
    "greater_than": ("gt", "too small", "greater than"),
    "greater_than_equal": ("ge", "too small", "of at least"),
    "less_than": ("lt", "too large", "less than"),
    "less_than_equal": ("le", "too large", "of at most"),
}


def telling(errors: Sequence[Any], raw: Any) -> tuple[Any, Keys, Any]:
    """(complaint, keys in the file, value there): the first; of several about a union, the one that reaches deepest."""
    told = [(said, *_known(said["loc"], raw, missing=said["type"] == "missing")) for said in errors]
    here = told[0][1]
    return max(
        (one for one in told if one[1][: len(here)] == here),
        key=lambda one: (len(one[1]), one[0]["type"] == "extra_forbidden"),
    )


def in_words(said: Mapping[str, Any], value: Any) -> tuple[str, str]:
    """(problem, fix) of one complaint about a value; one of our own validators gives both, as `problem. Fix`."""
    kind, context, shown = said["type"], said.get("ctx", {}), f"{value!r:.{_SHOWN}}"
    if kind in ("value_error", "assertion_error"):
        problem, _, fix = str(context["error"]).partition(". ")
        return problem, _sentence(fix) if fix else f"Correct it (you wrote {shown})."
    if kind in _LIMITS:
        name, wrong, side = _LIMITS[kind]
        return f"{shown} is {wrong}", f"Write a number {side} {context[name]:g}."
    if kind == "literal_error":
        return f"{shown} is unknown", suggestion(value, _options(context["expected"]))
    if kind in _KIND_OF:
        problem, fix = _KINDS[_KIND_OF[kind]]
        return f"{shown} {problem}", fix
    return _PLAIN.get(kind) or (f"{said['msg'][0].lower()}{said['msg'][1:]}", f"Correct it (you wrote {shown}).")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def suggestion(value: object, known: Sequence[str]) -> str:
    """A fix: the known word that is closest to a wrong one, or all of them."""
    close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.7)
    if close:
        return f"Did you mean {close[0]!r}?"
    quoted = [repr(word) for word in known]
    return f"Write {', '.join(quoted[:-1])} or {quoted[-1]}." if len(quoted) > 1 else f"Write {quoted[0]}."


def unknown_key(key: object, known: Sequence[str]) -> tuple[str, str]:
    """(problem, fix) of a key that is not one of the known ones."""
    close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    return "unknown key", f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(known)}."


def _options(expected: str) -> list[str]:
    """The words in "'a', 'b' or 'c'"."""
    return [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def _known(loc: Keys, raw: Any, *, missing: bool) -> tuple[Keys, Any]:
    """The part of pydantic's location that is in the file, and the value there; names of union members fall away."""
    keys: list[int | str] = []
    for part in loc:
        inner = _step(raw, part)
        if inner is not _NOT_THERE:
            raw = inner
        elif not (missing and part is loc[-1]):
            continue
        keys.append(part)
    return tuple(keys), raw


def _step(raw: Any, part: int | str) -> Any:
    if isinstance(raw, dict):
        return raw.get(part, _NOT_THERE)
    if isinstance(raw, list) and isinstance(part, int) and part < len(raw):
        return raw[part]
    return _NOT_THERE
