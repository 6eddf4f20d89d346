"""Which search trials tell an improver most: where one scaffold fails what a relative solves, and where chance rules.

Pure, no I/O.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

MOST = 32
"""Trials that are shown with their transcripts."""


class Mark(Protocol):
    """One search trial without its texts."""

    @property
    def id(self) -> str:
        """The trial's name."""

    @property
    def candidate(self) -> int:
        """Whose trial it is."""

    @property
    def task(self) -> str:
        """What was to be solved."""

    @property
    def score(self) -> float:
        """The score in [0, 1]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A trial that is shown, and why."""

    mark: Mark
    why: str


Latest = Mapping[tuple[int, str, bool], Mark]
"""(candidate, task, whether it was solved) -> the latest such trial."""


def informative(marks: Iterable[Mark], parent: int, relatives: Sequence[int], most: int = MOST) -> list[Shown]:
    """The trials to show of `parent` and its `relatives` (the nearest first), the most telling first.

    Each kind has a share of the room, so that none crowds out the others; what is left goes to the rest.
    """
    latest = {(mark.candidate, mark.task, mark.score >= 1): mark for mark in marks}
    tasks = sorted({mark.task for mark in latest.values()})
    chosen = dict[str, Shown]()
    rooms = [(_contrasts, most // 2), (_mixed, most // 4), (_losses, most // 4), (_failures, most), (_solved, 2)]
    for kind, room in rooms:
        fresh = (one for one in kind(latest, tasks, parent, relatives) if one.mark.id not in chosen)
        for one in islice(fresh, max(0, min(room, most - len(chosen)))):
            chosen.setdefault(one.mark.id, one)
    return list(chosen.values())


Kind = Callable[[Latest, Sequence[str], int, Sequence[int]], Iterator[Shown]]


def _contrasts(latest: Latest, tasks: Sequence[str], parent: int, relatives: Sequence[int]) -> Iterator[Shown]:
    """The parent fails what a relative solves: both, side by side."""
    for task in tasks:
        failed = latest.get((parent, task, False))
        solver = next((other for other in relatives if (other, task, True) in latest), None)
        if failed is not None and solver is not None:
            yield Shown(mark=failed, why=f"#{parent} fails what #{solver} solves")
            yield Shown(mark=latest[solver, task, True], why=f"#{solver} solves what #{parent} fails")


def _mixed(latest: Latest, tasks: Sequence[str], parent: int, _: Sequence[int]) -> Iterator[Shown]:
    """The parent solves a task at one time and fails it at another."""
    for task in tasks:
        both = [latest[key] for solved in (False, True) if (key := (parent, task, solved)) in latest]
        yield from (Shown(mark=mark, why=f"#{parent} both solves and fails it") for mark in both[:2] if len(both) > 1)


def _losses(latest: Latest, tasks: Sequence[str], parent: int, relatives: Sequence[int]) -> Iterator[Shown]:
    """A relative fails what the parent solves."""
    for task in tasks:
        if (parent, task, True) in latest and (parent, task, False) not in latest:
            failing = (latest[key] for other in relatives if (key := (other, task, False)) in latest)
            yield from (Shown(mark=m, why=f"#{m.candidate} fails what #{parent} solves") for m in islice(failing, 1))


def _failures(latest: Latest, tasks: Sequence[str], parent: int, relatives: Sequence[int]) -> Iterator[Shown]:
    """What nobody solves; the parent's own trial of a task, else the nearest relative's."""
    nearest = defaultdict[str, list[Mark]](list)
    for owner in (parent, *relatives):
        for task in tasks:
            if (owner, task, False) in latest:
                nearest[task].append(latest[owner, task, False])
    for task in tasks:
        yield from (Shown(mark=mark, why=f"#{mark.candidate} fails it") for mark in nearest[task][:1])


def _solved(latest: Latest, tasks: Sequence[str], parent: int, _: Sequence[int]) -> Iterator[Shown]:
    """How it looks when it works."""
    solved = (latest[key] for task in tasks if (key := (parent, task, True)) in latest)
    yield from (Shown(mark=mark, why=f"#{parent} solves it") for mark in solved)
