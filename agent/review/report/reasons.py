"""Why candidates were not accepted, in a few groups."""

from __future__ import annotations

from typing import Final

from agent.base.types import Candidate, Fate
from agent.kernel.decide.gate import Verdict

ACCEPTED: Final = "Accepted"
WAITING: Final = "Passed the gate, waiting for approval"
OPEN: Final = "Not at the gate: too few trials so far, or too small a lead"
UNTRIED: Final = "Not at the gate: no search trial yet"
OUTDATED: Final = "Passed against an older champion, tested again"

_REJECTIONS: Final = {
    "rejected by": "Rejected by a person",
    Verdict.FUTILE: "Futile: an improvement of the wanted size became unlikely",
    Verdict.REJECTED: "Rejected by the gate: not enough evidence after all pairs",
    Verdict.OUT_OF_BUDGET: "Undecided when the budget was used up",
    "turned down by": "Rejected by a person",  # in ledgers of older versions
    "could not be brought onto": "In conflict with a newer champion",
}
_REFUSALS: Final = {
    "reads the same as": "Refused: a duplicate of an earlier candidate",
    "crashes at start": "Refused: the scaffold crashed at start",
    "changes nothing": "Refused: nothing was changed",
    "outside the mutable paths": "Refused: touches what may not be changed",
    "at most": "Refused: too large",
    " is not ": "Refused: not valid source text",
    " holds ": "Refused: not valid source text",
    " contains ": "Refused: not valid source text",
    " declares ": "Refused: not valid source text",
}


def group_of(candidate: Candidate, *, tried: bool = True) -> str:
    """The group of a candidate's fate, by the words of its reason; `tried`: it had search trials."""
    if candidate.fate is Fate.CHAMPION:
        return ACCEPTED
    if candidate.fate is Fate.WAITING:
        return WAITING
    if candidate.fate is Fate.OPEN:
        outdated = candidate.reason.startswith("passed the gate")
        return OUTDATED if outdated else OPEN if tried else UNTRIED
    if candidate.fate is Fate.REJECTED:
        return next((group for words, group in _REJECTIONS.items() if candidate.reason.startswith(words)), "Rejected")
    return next((group for words, group in _REFUSALS.items() if words in candidate.reason), "Refused: other reasons")
