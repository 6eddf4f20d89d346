"""What the author of a patch predicts: which tasks will go another way. Read from its message, checked by trials. Pure.

A message may hold one fenced block:

    ```predictions
    + make-stars: the answer is tried on the examples now
    - count-words: the longer prompt leaves less room
    ```

`+` says that a task will be solved more often than by the parent, `-` less often. Everything in it is a stranger's
text: what does not fit the form is ignored and named, and the number of predictions is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.base.text import clean_line, cut

MOST = 16
"""Predictions of one patch; further ones are ignored."""

MOST_CHARS = 64 << 10
"""Of a message, in which predictions are looked for: a box may send much more, and as often as it likes."""

WHY_CHARS = 200
_BLOCK = re.compile(r"^[ \t]*```[ \t]*predictions[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"(?P<sign>[+-])[ \t]*(?P<task>[a-z0-9][a-z0-9._-]{0,99})[ \t]*(?::(?P<why>.*))?")

Sums = Mapping[str, tuple[int, float]]
"""Task -> how many search trials one candidate had there, and the sum of their scores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One task that a patch is said to gain (or to lose), and why."""

    task: str
    gain: bool
    why: str

    def __str__(self) -> str:
        return f"{'+' if self.gain else '-'} {self.task}: {self.why or 'no reason given'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A prediction and its result: None until parent and candidate both had a trial of the task."""

    prediction: Prediction
    came_true: bool | None

    def __str__(self) -> str:
        words = {True: "came true", False: "did not come true", None: "not measured yet"}
        return f"{self.prediction} ({words[self.came_true]})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How often predicted gains came about, and how often tasks gained that nobody had named, where they could."""

    predicted: int = 0
    came_true: int = 0
    others: int = 0
    others_gained: int = 0

    def __add__(self, other: Calibration) -> Calibration:
        """Sum, field by field."""
        return Calibration(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})

    def __str__(self) -> str:
        if not self.predicted:
            return "no prediction could be checked yet"
        named = f"{self.came_true} of {self.predicted} predictions came true"
        return f"{named}; of the tasks that nobody named, {self.others_gained} of {self.others} gained"


def predictions(message: str, tasks: Collection[str]) -> tuple[list[Prediction], list[str]]:
    """The predictions of a message about known `tasks`, and what is wrong with the rest of its block."""
    block = _BLOCK.search(message[:MOST_CHARS])
    found, faults = dict[str, Prediction](), list[str]()
    for line in filter(None, map(str.strip, block[1].splitlines() if block else ())):
        match = _LINE.fullmatch(line)
        if match is None or match["task"] not in tasks:
            what = "is not of the form `+ TASK: why`" if match is None else "names no search task that you see"
            faults.append(f"`{cut(clean_line(line), 60)}` {what}")
        elif len(found) < MOST:
            why = cut(clean_line(match["why"] or ""), WHY_CHARS)
            found[match["task"]] = Prediction(task=match["task"], gain=match["sign"] == "+", why=why)
    return list(found.values()), faults[:MOST]


def checked(made: Sequence[Prediction], before: Sums, after: Sums) -> list[Outcome]:
    """What became of predictions, by the mean scores of the parent (`before`) and of the candidate (`after`)."""
    return [Outcome(prediction=one, came_true=_came_true(one, before, after)) for one in made]


def calibration(outcomes: Sequence[Outcome], before: Sums, after: Sums) -> Calibration:
    """One candidate's part of the calibration."""
    named = {one.prediction.task for one in outcomes}
    known = [one.came_true for one in outcomes if one.came_true is not None]
    changes = [change for task in before if task not in named and (change := _gain(task, before, after)) is not None]
    return Calibration(
        predicted=len(known), came_true=sum(known), others=len(changes), others_gained=sum(c > 0 for c in changes)
    )


def _came_true(one: Prediction, before: Sums, after: Sums) -> bool | None:
    change = _difference(one.task, before, after)
    return None if change is None else change > 0 if one.gain else change < 0


def _gain(task: str, before: Sums, after: Sums) -> float | None:
    """The change of a task that could gain at all."""
    trials, total = before[task]
    return _difference(task, before, after) if total < trials else None


def _difference(task: str, before: Sums, after: Sums) -> float | None:
    (n, total), (m, then) = before.get(task, (0, 0.0)), after.get(task, (0, 0.0))
    return then / m - total / n if n and m else None
