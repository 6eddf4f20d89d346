"""A campaign's commits as their trailers describe them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.kernel.decide.evidence import PATCH_TRAILER, REVERTS_TRAILER, SERIES_TRAILER, whole_subject
from agent.kernel.git.messages import Commit

_IN_SERIES = re.compile(r"(\d{1,6}) of (\d{1,6}) of #(\d{1,9});", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """One acceptance of the campaign, with the evidence as its trailers state it, "" where there is none.

    `earlier` are the commits before `commit` that belong to it, oldest first, where it became a series of them.
    `reverts` is the commit that it reverts, `reverted_by` the one that reverted it, "" for none.
    """

    commit: Commit
    candidate: int | None
    score: str
    evidence: str
    holdout: str
    reverts: str = ""
    reverted_by: str = ""
    earlier: tuple[Commit, ...] = ()

    @property
    def commits(self) -> tuple[Commit, ...]:
        """All its commits, oldest first."""
        return *self.earlier, self.commit

    @property
    def parent(self) -> str:
        """The commit of the former champion."""
        return self.commits[0].parents[0]

    @property
    def subject(self) -> str:
        """What it does as a whole."""
        return whole_subject([one.subject for one in self.commits])


def accepted(commits: Sequence[Commit]) -> list[Accepted]:
    """Read the evidence out of the trailers of a campaign's commits, newest first; the order stays."""
    undone = {commit.trailers.get(REVERTS_TRAILER): commit.sha for commit in commits}
    rows: list[list[Commit]] = []
    for commit in commits:
        if rows and _belongs(commit, rows[-1][-1]):
            rows[-1].append(commit)
        else:
            rows.append([commit])
    return [_accepted(last, tuple(earlier[::-1]), undone.get(last.sha, "")) for last, *earlier in rows]


def patch_of(commit: Commit) -> int | None:
    """The patch that a commit of a series holds."""
    return _number(commit.trailers.get(PATCH_TRAILER, ""))


def whole_of(commit: Commit) -> int | None:
    """The candidate that the series of a commit is, if it belongs to one."""
    place = _place(commit)
    return None if place is None else place[2]


def _place(commit: Commit) -> tuple[int, int, int] | None:
    """(number, count, candidate) of a commit in its series."""
    found = _IN_SERIES.match(commit.trailers.get(SERIES_TRAILER, ""))
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _belongs(commit: Commit, after: Commit) -> bool:
    """Whether a commit is the one before another in the same series."""
    place, following = _place(commit), _place(after)
    if place is None or following is None:
        return False
    return following == (place[0] + 1, *place[1:])


def _accepted(commit: Commit, earlier: tuple[Commit, ...], reverted_by: str) -> Accepted:
    return Accepted(
        commit=commit,
        candidate=_number(commit.trailers.get("Ratchet-Candidate", "")),
        score=commit.trailers.get("Ratchet-Score", ""),
        evidence=commit.trailers.get("Ratchet-Evidence", ""),
        holdout=commit.trailers.get("Ratchet-Holdout", ""),
        reverts=commit.trailers.get(REVERTS_TRAILER, ""),
        reverted_by=reverted_by,
        earlier=earlier,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
