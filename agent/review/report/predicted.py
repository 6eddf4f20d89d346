"""What authors of patches predicted, and what their search trials say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.base.types import Candidate, Purpose
from agent.kernel.decide.predictions import Calibration, Outcome, Sums, calibration, checked, predictions
from agent.kernel.record.ledger import Ledger, Mark

_SEARCHED = (Purpose.SEARCH, Purpose.SHOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """The predictions of all candidates: (candidate, prediction with its result), and how often they came true."""

    outcomes: tuple[tuple[int, Outcome], ...]
    calibration: Calibration


def predicted(ledger: Ledger, candidates: Sequence[Candidate], marks: Sequence[Mark]) -> Predicted:
    """Read the predictions in the messages of `candidates`; `marks` are the campaign's trials."""
    tasks = {mark.task for mark in marks if mark.purpose in _SEARCHED}
    made = {one.id: named for one in candidates if (named := predictions(one.body, tasks)[0])}
    owners = {one.id: one.parent for one in candidates if one.id in made and one.parent is not None}
    known: dict[int, dict[str, tuple[int, float]]] = {}
    for row in (row for purpose in _SEARCHED for row in ledger.results(sorted({*owners, *owners.values()}), purpose)):
        trials, total = known.setdefault(row.candidate, {}).get(row.task, (0, 0.0))
        known[row.candidate][row.task] = (trials + row.trials, total + row.total)
    found, sums = list[tuple[int, Outcome]](), Calibration()
    for owner, parent in owners.items():
        before, after = _of(known, parent), _of(known, owner)
        outcomes = checked(made[owner], before, after)
        found += [(owner, outcome) for outcome in outcomes]
        sums += calibration(outcomes, before, after)
    return Predicted(outcomes=tuple(found), calibration=sums)


def _of(known: dict[int, dict[str, tuple[int, float]]], candidate: int) -> Sums:
    return known.get(candidate, {})
