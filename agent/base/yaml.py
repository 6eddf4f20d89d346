"""Strict YAML: plain data, and nothing that two readers could understand differently.

Refused, each as a UserError with file and line: anchors, aliases, merge keys, tags, duplicate keys, keys that
are not text, deep nesting, large files, bytes that are not UTF-8, NUL and other control characters, NaN and
infinity, and every bare word that one YAML version takes for text and another for something else (`no`, `007`,
`1:30`, a date). `dump` writes what `load` reads back unchanged.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from agent.base.errors import UserError

MAX_BYTES = 32 << 20
MAX_DEPTH = 32
MAX_DIGITS = 18
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is there: ten times as fast
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WORDS = {
    spelling: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spelling in (word, word.capitalize(), word.upper())
} | {"~": None, "": None}
_TWO_MEANINGS = {s for w in ("yes", "no", "on", "off") for s in (w, w.capitalize(), w.upper())} | {"="}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMBER_TO_SOME = re.compile(
    r"""[-+]?0[0-9_]+ | [-+]?0[xob][0-9a-fA-F_]+ | [-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?
    | [-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)? | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
    | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ \t].*)?""",
    re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class _Bad(Exception):
    """What is wrong, in which line (from 1), and at which keys."""

    def __init__(self, problem: str, line: int, keys: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.problem, self.line, self.keys = problem, line, ".".join(keys)


class _Reader:
    """Events of libyaml in, plain data out; no tree in between, so memory stays near the data's own size."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._keys: list[str] = []

    def document(self) -> Any:
        """The one document of the text."""
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), 0)
        next(self._events)
        extra = next(self._events)
        if not isinstance(extra, yaml.StreamEndEvent):
            self._refuse("a second document is not allowed", extra)
        return value

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent or event.anchor is not None:
            self._refuse("anchors and aliases are not allowed", event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if event.tag is not None:
            self._refuse(f"the tag {event.tag!r} is not allowed", event)
        if depth >= MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} deep", event)
        return self._sequence(depth) if kind is yaml.SequenceStartEvent else self._mapping(depth)

    def _sequence(self, depth: int) -> list[Any]:
        found = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, depth + 1))
        return found

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if type(event) is yaml.ScalarEvent and event.value == "<<" and event.implicit[0]:
                self._refuse("merge keys are not allowed", event)
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                said = event.value if type(event) is yaml.ScalarEvent else "a list or mapping"
                self._refuse(f"key {said!r} is not text; put it in quotes", event)
            if key in found:
                self._refuse(f"duplicate key {key!r}", event)
            self._keys.append(key)
            found[key] = self._value(next(self._events), depth + 1)
            self._keys.pop()
        return found

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.tag is not None:
            self._refuse(f"the tag {event.tag!r} is not allowed", event)
        if not event.implicit[0]:
            if "\0" in text:
                self._refuse("a NUL character is not allowed", event)
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "0123456789+-.yYnNoO=":
            return text
        return self._plain(text, event)

    def _plain(self, text: str, event: Any) -> Any:
        """A bare word that may be a number. Raises _Bad where YAML's versions do not agree."""
        if _INTEGER.fullmatch(text):
            if len(text) <= MAX_DIGITS:
                return int(text)
        elif _FLOAT.fullmatch(text) and len(text) <= 2 * MAX_DIGITS and math.isfinite(number := float(text)):
            return number
        if text.lower().lstrip("+-") in {".nan", ".inf"}:
            self._refuse(f"{text} is not a finite number", event)
        if text in _TWO_MEANINGS or _NUMBER_TO_SOME.fullmatch(text):
            self._refuse(f"{text[:40]!r} can be read as text or as something else; put text in quotes", event)
        return text

    def _refuse(self, problem: str, event: Any) -> NoReturn:
        raise _Bad(problem, event.start_mark.line + 1, self._keys)


def load(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        UserError: no such file, not a plain file, too large, not UTF-8, malformed, or not a mapping.
    """
    text = read_text(path)
    try:
        value = _parse(text)
    except _Bad as bad:
        where = f"{path} line {bad.line}" + (f": {bad.keys:.80}" if bad.keys else "")
        raise UserError(where, bad.problem, "Fix the YAML there.") from bad
    if value is not None and not isinstance(value, dict):
        raise UserError(str(path), "is not a mapping", "Write `key: value` lines.")
    return value or {}


def read_text(path: Path) -> str:
    """A text file in UTF-8. Raises UserError; never waits for a pipe, never follows a link."""
    raw = read_plain(path, MAX_BYTES)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} line {line}", f"not UTF-8 text at byte {error.start}", "Save it as UTF-8.") from error
    if bad := _CONTROL.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        problem = f"holds the control character U+{ord(bad[0]):04X}"
        raise UserError(f"{path} line {line}", problem, "Remove it.")
    return text


def read_plain(path: str | Path, limit: int) -> bytes:
    """The bytes of a plain file. Raises UserError for a link, a special file, or more than `limit` bytes."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if os.path.islink(path):  # noqa: PTH114 - a string in the fast path
            raise UserError(str(path), "is a link", "Put the file itself there.") from error
        raise UserError(str(path), f"cannot be read ({error.strerror})", "Name a file that exists.") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise UserError(str(path), "is not a plain file", "Put a plain file there.")
        if facts.st_size > limit:
            raise UserError(str(path), f"is larger than {limit >> 20} MiB", "Split it; put large data into an image.")
        return os.read(handle, facts.st_size) if facts.st_size else b""
    finally:
        os.close(handle)


def _parse(text: str) -> Any:
    """Text to data. Raises _Bad for whatever is wrong with it."""
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Bad(" ".join(str(error.problem or error.context).split()), mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _Bad(" ".join(str(error).split()), 1) from error


def line_of(path: Path, place: Sequence[str | int]) -> int:
    """The line of a key or item that has been loaded; the nearest one above it if that is not there."""
    node: Any = yaml.compose(read_text(path), Loader=_LOADER)
    line = 1
    for part in place:
        found = _child(node, part)
        if found is None:
            continue
        line, node = found
    return line


def _child(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((k.start_mark.line + 1, v) for k, v in node.value if k.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Writes text that `load` reads back: blocks for lines, quotes around whatever looks like a number."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    if "\n" in text and not re.search(r"[ \t]\n|\A\s|[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]", text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    bare = text not in _WORDS and text not in _TWO_MEANINGS and not _NUMBER_TO_SOME.fullmatch(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')


_Dumper.add_representer(str, _represent_text)


def dump(value: dict[str, Any]) -> str:
    """A mapping of plain data as YAML that `load` reads back unchanged."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
