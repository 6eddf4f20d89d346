"""A campaign's commits as their trailers describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.kernel.decide.evidence import REVERTS_TRAILER
from agent.kernel.git.messages import Commit


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """One commit of the campaign, with the evidence as its trailers state it, "" where there is none.

    `reverts` is the commit that it reverts, `reverted_by` the one that reverted it, "" for none.
    """

    commit: Commit
    candidate: int | None
    score: str
    evidence: str
    holdout: str
    reverts: str = ""
    reverted_by: str = ""


def accepted(commits: Sequence[Commit]) -> list[Accepted]:
    """Read the evidence out of the trailers of a campaign's commits; the order stays."""
    undone = {commit.trailers.get(REVERTS_TRAILER): commit.sha for commit in commits}
    return [_accepted(commit, undone.get(commit.sha, "")) for commit in commits]


def _accepted(commit: Commit, reverted_by: str) -> Accepted:
    candidate = commit.trailers.get("Ratchet-Candidate", "")
    return Accepted(
        commit=commit,
        candidate=int(candidate) if candidate.isascii() and candidate.isdigit() else None,
        score=commit.trailers.get("Ratchet-Score", ""),
        evidence=commit.trailers.get("Ratchet-Evidence", ""),
        holdout=commit.trailers.get("Ratchet-Holdout", ""),
        reverts=commit.trailers.get(REVERTS_TRAILER, ""),
        reverted_by=reverted_by,
    )
