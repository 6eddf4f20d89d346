"""What is recorded of the parts of an accepted candidate: each patch's share, and the test of a smaller set."""

from __future__ import annotations

from typing import Any

from agent.kernel.record.matches import Matches
from agent.kernel.record.notes import Notes


def key_of(test: int) -> str:
    """The name under which the ledger remembers the parts of the candidate that a test accepted."""
    return f"attribution:{test}"


def by_candidate(ledger: Matches) -> dict[int, dict[str, Any]]:
    """The same by candidate: the one that a test accepted, and the smaller set that was tested in its place."""
    found = dict[int, dict[str, Any]]()
    for row in ledger.tests():
        if known := parts_of(ledger, row.id):
            found |= dict.fromkeys([row.candidate, known.get("candidate", row.candidate)], known)
    return found


def parts_of(ledger: Notes, test: int) -> dict[str, Any]:
    """`parts` (patch -> share, groups, standing) and `left_out`; `candidate` and `test` of a smaller set; or none."""
    known: dict[str, Any] = ledger.recollect(key_of(test)) or {}
    return known
