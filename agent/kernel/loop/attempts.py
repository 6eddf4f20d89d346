"""Candidates as improvers may see them: search results, the gate's verdict in a word, what became of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.base.types import Candidate
from agent.kernel.decide.predictions import Calibration, Outcome, Sums, calibration, checked, predictions
from agent.kernel.loop.seen import KEPT, Trials
from agent.kernel.loop.shown import SearchTasks
from agent.kernel.loop.state import State
from agent.kernel.record.rows import Mark, Result

NONE = Trials()


@dataclass(frozen=True, kw_only=True, eq=False)
class Attempt:
    """One candidate: `verdict` is of the gate, `reason` is none of the gate's figures, `before` its parent's results.

    An attempt equals only itself, so that what is made of it is found again without comparing all that it holds.
    """

    candidate: Candidate
    verdict: str
    reason: str
    results: tuple[Result, ...]
    before: tuple[Result, ...]
    marks: tuple[Mark, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def trials(self) -> int:
        """Search trials."""
        return sum(row.trials for row in self.results)

    @property
    def mean(self) -> float:
        """Mean search score; 0 before the first trial."""
        return sum(row.total for row in self.results) / max(self.trials, 1)

    @property
    def fate(self) -> str:
        """Where it stands, with the gate's verdict if there was one."""
        return f"{self.candidate.fate} ({self.verdict} at the gate)" if self.verdict else str(self.candidate.fate)

    @cached_property
    def cells(self) -> dict[str, str]:
        """Task -> solved/trials."""
        return {row.task: f"{row.total:g}/{row.trials}" for row in self.results}

    @cached_property
    def calibration(self) -> Calibration:
        """How far its predictions came true."""
        return calibration(self.outcomes, sums(self.before), sums(self.results)) if self.outcomes else Calibration()


@dataclass(frozen=True, slots=True)
class _Made:
    """An attempt, and what it was made of."""

    attempt: Attempt
    of: tuple[Candidate, str | None, Trials, Trials]


class Attempts:
    """Makes attempts of candidates. One that nothing happened to since it was last asked for is the same object."""

    def __init__(self, state: State, search: SearchTasks) -> None:
        self._state, self._purpose, self._tasks = state, search.purpose, search.ids
        self._made: dict[int, _Made] = {}

    def of(self, chosen: Sequence[Candidate]) -> list[Attempt]:
        """These candidates with their results on the tasks that are shown, in this order."""
        parents = {one.parent for one in chosen if one.parent is not None}
        seen = self._state.seen.of({one.id for one in chosen} | parents, self._purpose)
        met = self._state.ledger.verdicts()
        made = {
            one.id: self._of(one, met.get(one.id), seen[one.id], NONE if one.parent is None else seen[one.parent])
            for one in chosen
        }
        self._made = made if len(self._made) > KEPT else self._made | made
        return [one.attempt for one in made.values()]

    def _of(self, one: Candidate, verdict: str | None, own: Trials, before: Trials) -> _Made:
        """`verdict` is None without a gate test, and empty while the test is open."""
        known = self._made.get(one.id)
        of = one, verdict, own, before  # compared by identity first
        return known if known is not None and known.of == of else _Made(self._attempt(*of), of)

    def _attempt(self, one: Candidate, verdict: str | None, own: Trials, before: Trials) -> Attempt:
        results, earlier = ([row for row in of.results if row.task in self._tasks] for of in (own, before))
        made = predictions(one.body, self._tasks)[0]
        return Attempt(
            candidate=one,
            verdict=verdict or "",
            reason=self._state.shown_reason(one, met=verdict is not None),
            results=tuple(results),
            before=tuple(earlier),
            marks=tuple(mark for mark in own.marks if mark.task in self._tasks),
            outcomes=tuple(checked(made, sums(earlier), sums(results))),
        )


def sums(results: Sequence[Result]) -> Sums:
    """Task -> trials and the sum of their scores."""
    return {row.task: (row.trials, row.total) for row in results}
