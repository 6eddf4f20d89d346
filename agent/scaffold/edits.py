"""Edits that a model writes as text: SEARCH/REPLACE blocks, exact or whitespace-tolerant, and whole files."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import islice
from pathlib import PurePosixPath

SHOWN_PLACES = 5
MOST_COMPARED = 40_000  # pairs of lines; a larger search would take seconds
ALIKE = 0.6  # a place that is less like the searched text helps nobody

BLOCK = re.compile(
    r"^[#*` ]*(?P<path>[\w./-]+)[*`: ]*\n+(?:```[^\n]*\n)?"
    r"<{5,} SEARCH\n(?P<old>.*?)^={5,}\n(?P<new>.*?)^>{5,} REPLACE",
    re.MULTILINE | re.DOTALL,
)
WHOLE = re.compile(
    r"^[#*` ]*(?P<path>[\w./-]+\.\w+)[*`: ]*\n+(?P<fence>`{3,})[^\n`]*\n(?P<new>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


class EditError(Exception):
    """An edit does not fit the file that it names."""


def replace(text: str, old: str, new: str) -> str:
    """Put `new` for the one place of `old`: exact first, then by lines whose outer whitespace may differ."""
    if not old.strip():
        msg = "the text to search for is empty"
        raise EditError(msg)
    count = text.count(old)
    if count == 1:
        return text.replace(old, new)
    if count > 1:
        msg = f"the text to search for occurs {count} times, in lines {lines_of(text, old)}; add lines around it"
        raise EditError(msg)
    return _replace_lines(text, old, new)


def _replace_lines(text: str, old: str, new: str) -> str:
    lines, wanted = text.splitlines(), [line.strip() for line in old.strip("\n").splitlines()]
    stripped = [line.strip() for line in lines]
    size = len(wanted)
    places = [at for at in range(len(lines) - size + 1) if stripped[at : at + size] == wanted]
    if len(places) != 1:
        msg = f"the text to search for occurs {len(places)} times, whitespace aside; it must occur once"
        raise EditError(msg if places else msg + nearest(lines, wanted))
    at = places[0]
    shift = _indent(lines[at : at + size]) - _indent(old.splitlines())
    fresh = [_shifted(line, shift) for line in new.strip("\n").splitlines()]
    return "\n".join(lines[:at] + fresh + lines[at + size :]) + "\n"


def lines_of(text: str, old: str) -> str:
    """The numbers of the lines in which a text begins, the first ones."""
    starts = (match.start() for match in re.finditer(re.escape(old), text))
    return ", ".join(str(text.count("\n", 0, start) + 1) for start in islice(starts, SHOWN_PLACES))


def nearest(lines: list[str], wanted: list[str]) -> str:
    """The place that is most like the searched lines, with its line numbers; nothing where none is."""
    size, window = len(lines), min(len(wanted), len(lines))
    if not window or size * window > MOST_COMPARED:
        return ""
    alike = [[SequenceMatcher(None, line.strip(), one).quick_ratio() for one in wanted] for line in lines]
    scores = [sum(alike[at + n][n] for n in range(window)) / len(wanted) for at in range(size - window + 1)]
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] < ALIKE:
        return ""
    shown = "\n".join(f"{n + 1:>5}  {lines[n]}" for n in range(best, best + window))
    return f". The nearest place is this:\n{shown}"


def _indent(lines: list[str]) -> int:
    first = next(line for line in lines if line.strip())
    return len(first) - len(first.lstrip())


def _shifted(line: str, shift: int) -> str:
    if shift >= 0:
        return " " * shift + line if line.strip() else ""
    return line[min(-shift, len(line) - len(line.lstrip())) :]


def apply(reply: str, files: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The files that a reply changes, and what is wrong with those of its edits that do not fit."""
    changed: dict[str, str] = {}
    errors: list[str] = []
    for match in BLOCK.finditer(reply):
        path = match["path"].removeprefix("./")
        current = changed.get(path, files.get(path, ""))
        try:
            changed[path] = replace(current, match["old"], match["new"]) if current else match["new"]
        except EditError as error:
            errors.append(f"{path}: {error}")
    for match in WHOLE.finditer(BLOCK.sub("", reply)):
        changed[match["path"].removeprefix("./")] = match["new"]
    for path in [path for path in changed if not _inside(path)]:
        del changed[path]
        errors.append(f"{path}: not below the workspace")
    return {path: text for path, text in changed.items() if files.get(path) != text}, errors


def _inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def headline(reply: str) -> tuple[str, str]:
    """The first line of a reply and the rest of what stands before its first edit."""
    starts = [match.start() for pattern in (BLOCK, WHOLE) for match in pattern.finditer(reply)]
    subject, _, body = reply[: min(starts, default=len(reply))].strip().partition("\n")
    return subject.strip("#*` "), body.strip()
