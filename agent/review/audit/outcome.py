"""What came of a campaign, without what differs between two runs of the same one: times, costs, commit hashes."""

from __future__ import annotations

import json
from typing import Any

from agent.base.types import Candidate
from agent.kernel.record.ledger import Ledger, TestRow

Facts = dict[str, Any]


def outcome(ledger: Ledger) -> Facts:
    """Candidates with their trees, gate tests with every pair that counted and the evidence, and commits with trees."""
    candidates = {candidate.id: candidate for candidate in ledger.candidates()}
    return {
        "candidates": [_candidate(candidate) for candidate in candidates.values()],
        "tests": [_test(ledger, row) for row in ledger.tests()],
        "commits": [{"candidate": row.candidate, "tree": candidates[row.candidate].tree} for row in ledger.commits()],
    }


def differences(recorded: Facts, found: Facts) -> list[str]:
    """In which parts two outcomes differ, one line each."""
    return [
        f"{name} {number + 1}: recorded {_told(before)}, now {_told(after)}"
        for name in ("candidates", "tests", "commits")
        for number, (before, after) in enumerate(_both(recorded[name], found[name]))
        if before != after
    ]


def _candidate(candidate: Candidate) -> Facts:
    return {
        "id": candidate.id,
        "parent": candidate.parent,
        "subject": candidate.subject,
        "tree": candidate.tree,
        "fate": str(candidate.fate),
    }


def _test(ledger: Ledger, row: TestRow) -> Facts:
    decision = row.decision or {}
    counted = ledger.pairs(row.id)[: decision.get("pairs", 0)]
    return {
        "candidate": row.candidate,
        "champion": row.champion,
        "verdict": row.verdict,
        "log_e": round(decision["log_e"], 9) if decision.get("log_e") is not None else None,
        "pairs": [[pair.task, pair.champion, pair.candidate] for pair in counted],
    }


def _both(recorded: list[Facts], found: list[Facts]) -> list[tuple[Facts | None, Facts | None]]:
    most = max(len(recorded), len(found))
    padded = [[*facts, *[None] * (most - len(facts))] for facts in (recorded, found)]
    return list(zip(*padded, strict=True))


def _told(facts: Facts | None) -> str:
    return "nothing" if facts is None else json.dumps(facts)
