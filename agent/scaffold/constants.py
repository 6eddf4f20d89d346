"""The constants that state their range, and the JSON schema by which a small model may change one of them."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass
from typing import Any

COMMENT = re.compile(
    r"^(?:integer (?P<low>-?\d+)\.\.(?P<high>-?\d+)(?: by (?P<step>[1-9]\d*))?|one of: (?P<names>\w+(?:, \w+)*))"
    r": (?P<meaning>.+)$"
)
TRIED = re.compile(r"^[+-](?P<name>[A-Z][A-Z0-9_]*) = (?P<value>-?\d+|\"\w+\")(?:\s|$)", re.MULTILINE)

MOST_VALUES = 16  # offered of one constant

Value = int | str
Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One assignment of the settings file whose comment states what values it may take."""

    name: str
    value: Value
    line: int
    allowed: tuple[Value, ...]
    range: str
    meaning: str


def parse(source: str) -> list[Constant]:
    """The constants of a settings file, in order; those without a stated range are left out."""
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | str() as value)):
                comment = COMMENT.match(lines[node.lineno - 1].partition("  # ")[2])
                if comment:
                    found.append(_constant(name, value, node.lineno - 1, comment))
    return found


def _constant(name: str, value: Value, line: int, comment: re.Match[str]) -> Constant:
    allowed: tuple[Value, ...]
    if comment["names"]:
        allowed, text = tuple(comment["names"].split(", ")), comment["names"].replace(", ", " | ")
    else:
        low, high = int(comment["low"]), int(comment["high"])
        allowed, text = tuple(range(low, high + 1, int(comment["step"] or 1))), f"{low}..{high}"
    return Constant(name=name, value=value, line=line, allowed=allowed, range=text, meaning=comment["meaning"])


def tried(diffs: list[str]) -> set[tuple[str, Value]]:
    """The (constant, value) pairs of past patches: what they set, and what they set it from."""
    return {(match["name"], ast.literal_eval(match["value"])) for diff in diffs for match in TRIED.finditer(diff)}


def untried(known: list[Constant], past: set[tuple[str, Value]], shuffle: random.Random) -> dict[str, list[Value]]:
    """For each constant some values that are neither current nor tried; constants without any are left out.

    The order is shuffled, for small models favour a place in a list.
    """
    left = {
        item.name: [v for v in item.allowed if v != item.value and (item.name, v) not in past]
        for item in shuffle.sample(known, len(known))
    }
    return {name: shuffle.sample(values, min(len(values), MOST_VALUES)) for name, values in left.items() if values}


def schema(choices: dict[str, list[Value]]) -> Schema:
    """Give one alternative for each constant."""
    alternatives = [
        _object({"constant": {"type": "string", "const": name}, "value": {"enum": values}})
        for name, values in choices.items()
    ]
    return _object({"change": {"anyOf": alternatives}})


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def change(source: str, constant: Constant, value: Value) -> str:
    """The settings file with one constant set to another value, its comment kept."""
    lines = source.splitlines(keepends=True)
    old, gap, comment = lines[constant.line].partition("  # ")
    written = f'"{value}"' if isinstance(value, str) else str(value)
    lines[constant.line] = f"{old.partition(' = ')[0]} = {written}{gap}{comment}"
    return "".join(lines)
