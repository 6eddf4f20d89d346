"""What a reviewer should look at first in a patch: constructs that it ADDS and that an honest one seldom needs.

This is not security: a patch that is written to avoid the flags avoids them. The box holds a candidate, and the gate
judges it. A flag changes no decision, unless `approve: flagged` sends the patch to a person.

Found: network, other programs and the runner, code made at run time, ids of tasks and paths that only grading uses,
long text of a task that few other tasks share, checks that are switched off. Python is read as a syntax tree (by
`parsing`, in a child process), everything else word by word. What the files before the patch held already, anywhere,
is never flagged. The time is linear in the size of the changed files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.base.text import clean_line
from agent.base.types import Files, Task
from agent.kernel.decide.parsing import Readings
from agent.kernel.decide.statistics import Ints

SHOWN = 8
"""Flags that a trailer names; it counts the rest."""

# A window begins at a word of a task's line, or inside a word at a multiple of the step. So a phrase gives the same
# windows wherever it stands. A window of fewer than 8 different characters (a ruler, say) says nothing.
_WINDOW, _STEP, _ENOUGH = 24, 12, 8
_WORD = re.compile(r"\S+")
_RARE = 40
"""A window that more than one task in so many holds is a phrase of the suite, not the text of a task."""
_TASK_BYTES = 64 << 10
_SHORTEST_ID = 4
_WORDS = 60

_TEXT = {
    "network": re.compile(r"https?://[^\s\"'`)>]{3,40}|\b(?:curl|wget|netcat|ncat)\b"),
    "paths that only grading uses": re.compile(
        r"/proc/|/sys/|/tests\b|/dev/(?:shm|tcp|udp)|/run/|docker\.sock|ratchet_check|\bjunit\b|RATCHET_JUNIT",
        re.IGNORECASE,
    ),
}  # fmt: skip
_OFF = re.compile(
    r"\bnoqa\b|\btype:\s*ignore|\bnosec\b|pragma:\s*no\s?cover|\bskipif?\(|\bxfail\b|verify\s*=\s*False"
    r"|_create_unverified_context|git[^\n]{0,40}--no-verify"
)


_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One thing that a patch adds. `what` is the patch's own words, made harmless and cut."""

    kind: str
    what: str
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.what} ({self.path}:{self.line})"


@dataclass(frozen=True, slots=True)
class _Found:
    kind: str
    what: str
    line: int


class FlagFinder:
    """Compares trees for one suite; `tasks` are all of its tasks, hidden ones too."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._ids = _Ids(tasks)
        self._windows = _Windows(tasks)

    def find(self, before: Files, after: Files, readings: Readings) -> tuple[Flag, ...]:
        """What the patch from `before` to `after` adds; `readings` are of all changed Python, before and after."""
        changed = sorted(path for path in after if before.get(path) != after[path])
        # Files that did not change hold the same before and after, so they add nothing and use up nothing.
        known = Counter(
            (found.kind, found.what)
            for path, body in before.items()
            if after.get(path) != body
            for found in self._found(path, body, readings)
        )
        flags = []
        for path in changed:
            for found in self._found(path, after[path], readings):
                known[found.kind, found.what] -= 1
                if known[found.kind, found.what] < 0:
                    flags.append(Flag(kind=found.kind, what=found.what, path=clean_line(path), line=found.line))
        return (*flags, *self._windows.copies(before, {path: after[path] for path in changed}))

    def _found(self, path: str, body: bytes, readings: Readings) -> Iterator[_Found]:
        text = body.decode(errors="replace")
        for kind, pattern in (*_TEXT.items(), ("checks switched off", _OFF)):
            spots = ((match[0], match.start()) for match in pattern.finditer(text))
            yield from _on_lines(kind, text, spots)
        yield from _on_lines("names a task", text, self._ids.spots(text))
        if path.endswith(".py"):
            for one in readings[body].findings:
                yield _Found(one.kind, clean_line(one.what)[:_WORDS], one.line)


def flags_key(candidate: int) -> str:
    """The name under which the ledger remembers what a candidate's patch adds to its parent."""
    return f"flags:{candidate}"


def in_one_line(flags: Sequence[str]) -> str:
    """All flags as a trailer shows them; a long list is counted."""
    more = [f"and {len(flags) - SHOWN} more"] if len(flags) > SHOWN else []
    return "; ".join([*flags[:SHOWN], *more])


def _on_lines(kind: str, text: str, spots: Iterable[tuple[str, int]]) -> Iterator[_Found]:
    """Spots (words, where they begin, in this order) with the numbers of their lines."""
    line, seen = 1, 0
    for words, start in spots:
        line += text.count("\n", seen, start)
        seen = start
        yield _Found(kind, clean_line(words)[:_WORDS], line)


class _Ids:
    """The ids of tasks, found in a text where they stand alone: in time that does not grow with their number."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._ids = {task.id for task in tasks if len(task.id) >= _SHORTEST_ID}
        self._most = max((name.count(".") + 1 for name in self._ids), default=0)

    def spots(self, text: str) -> Iterator[tuple[str, int]]:
        """(id, where it begins), in order."""
        for match in _DOTTED.finditer(text):
            if self._most:
                yield from self._in_word(match[0], match.start())

    def _in_word(self, word: str, start: int) -> Iterator[tuple[str, int]]:
        """A word with dots holds an id if some parts of it that follow each other do; the longest one counts."""
        parts, at = word.split("."), 0
        while at < len(parts):
            names = (".".join(parts[at : at + size]) for size in range(min(self._most, len(parts) - at), 0, -1))
            name = next((name for name in names if name in self._ids), None)
            if name is not None:
                yield name, start
            taken = parts[at : at + (name.count(".") + 1 if name is not None else 1)]
            at += len(taken)
            start += sum(map(len, taken)) + len(taken)


# ------------------------------------------------------------------------------------ copied tasks


class _Windows:
    """Short windows of all text that tasks are made of, but for those that many tasks share, by their hashes."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        found = [_task_windows(task) for task in tasks]
        hashes = np.concatenate([np.zeros(0, dtype=np.int64), *found])
        owners = np.repeat(np.arange(len(tasks)), [len(one) for one in found])
        self._hashes, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        rare = counts <= max(1, len(tasks) // _RARE)
        self._hashes, self._owners = self._hashes[rare], owners[first[rare]]
        self._names = [task.id for task in tasks]

    def copies(self, before: Files, changed: Files) -> Iterator[Flag]:
        """Text of a task, hidden ones too, that changed files repeat and no file repeated before: one flag a line.

        One window alone is not a copy: a common phrase and the first letters of the next word are rare already.
        """
        hits = [hit for path, body in changed.items() for hit in self._hits(path, body)]
        old = _spots_of(before) if hits else np.zeros(0, dtype=np.int64)
        fresh = ~np.isin(np.array([hit.window for hit in hits], dtype=np.int64), old)
        copied = _copied([hit for hit, new in zip(hits, fresh, strict=True) if new])
        lines = {(hit.path, hit.line): hit for hit in reversed(copied)}
        for (path, line), hit in sorted(lines.items()):
            what = f"repeats task {clean_line(self._names[hit.owner])[:_WORDS]}"
            yield Flag(kind="text of a task", what=what, path=clean_line(path), line=line)

    def _hits(self, path: str, body: bytes) -> Iterator[_Hit]:
        for number, line in _lines(body):
            spots = _spots(line)
            found = np.searchsorted(self._hashes, spots)
            (known,) = np.nonzero(np.append(self._hashes, 0)[found] == spots)
            for at in known.tolist():
                if found[at] < self._hashes.size:
                    yield _Hit(int(spots[at]), int(self._owners[found[at]]), path, number, at)


@dataclass(frozen=True, slots=True)
class _Hit:
    """Window `window` of task `owner`, at character `at` of a line."""

    window: int
    owner: int
    path: str
    line: int
    at: int


def _copied(hits: Sequence[_Hit]) -> list[_Hit]:
    """The hits of tasks of which two different windows are repeated that overlap by half at most."""
    by_owner: dict[int, list[_Hit]] = {}
    for hit in hits:
        by_owner.setdefault(hit.owner, []).append(hit)
    copied = {owner for owner, some in by_owner.items() if _apart(some)}
    return [hit for hit in hits if hit.owner in copied]


def _apart(hits: Sequence[_Hit]) -> bool:
    first = hits[0]
    return any(
        hit.window != first.window and ((hit.path, hit.line) != (first.path, first.line) or hit.at >= first.at + _STEP)
        for hit in hits[1:]
    )


def _task_windows(task: Task) -> Ints:
    """The hashes of one task's windows, each once."""
    bodies = (task.instruction.encode(), *task.files.values(), *task.tests.values(), *task.solution.values())
    lines = (line for body in bodies for _, line in _lines(body[:_TASK_BYTES]))
    windows = {line[at : at + _WINDOW] for line in lines for at in _starts(line)}
    return np.array([hash(window) for window in windows if len(set(window)) >= _ENOUGH], dtype=np.int64)


def _starts(line: str) -> Iterator[int]:
    last = len(line) - _WINDOW
    for word in _WORD.finditer(line):
        yield from range(word.start(), min(word.end(), last + 1), _STEP)


def _spots_of(files: Files) -> Ints:
    """The hashes of every window at every position of all lines."""
    return np.concatenate(
        [np.zeros(0, dtype=np.int64), *(_spots(line) for b in files.values() for _, line in _lines(b))]
    )


def _spots(line: str) -> Ints:
    return np.array([hash(line[at : at + _WINDOW]) for at in range(len(line) - _WINDOW + 1)], dtype=np.int64)


def _lines(body: bytes) -> list[tuple[int, str]]:
    """Numbered lines with every run of white space as one blank."""
    lines = body.decode(errors="replace").splitlines()
    return [(n, squeezed) for n, line in enumerate(lines, 1) if len(squeezed := " ".join(line.split())) >= _WINDOW]
