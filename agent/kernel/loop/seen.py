"""The finished trials that briefings tell of, read from the ledger once: each briefing shows what the last one did."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from agent.base.types import Purpose
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.rows import Mark, Result

KEPT = 1024
"""Candidates whose trials are held in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trials:
    """One candidate's trials for one purpose: sums by task, and each of them in the order in which they finished."""

    results: tuple[Result, ...] = ()
    marks: tuple[Mark, ...] = ()


class Seen:
    """Candidate -> its trials. `State` calls `forget` with each trial that it writes; until then, the same object."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[tuple[Purpose, int], Trials] = {}

    def of(self, candidates: Collection[int], purpose: Purpose) -> dict[int, Trials]:
        """The trials of some candidates for one purpose."""
        if missing := [one for one in candidates if (purpose, one) not in self._known]:
            self._read(missing, purpose)
        found = {one: self._known[purpose, one] for one in candidates}
        if len(self._known) > KEPT:
            self._known = {(purpose, one): trials for one, trials in found.items()}
        return found

    def forget(self, candidate: int) -> None:
        """Read the trials of a candidate again when they are next asked for."""
        for purpose in (Purpose.SEARCH, Purpose.SHOWN):
            self._known.pop((purpose, candidate), None)

    def _read(self, candidates: Collection[int], purpose: Purpose) -> None:
        results: dict[int, list[Result]] = {one: [] for one in candidates}
        marks: dict[int, list[Mark]] = {one: [] for one in candidates}
        for row in self._ledger.results(candidates, purpose):
            results[row.candidate].append(row)
        for mark in self._ledger.search_marks(candidates, purpose):
            marks[mark.candidate].append(mark)
        self._known |= {
            (purpose, one): Trials(results=tuple(results[one]), marks=tuple(marks[one])) for one in candidates
        }
