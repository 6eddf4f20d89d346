"""The campaign's durable record: one SQLite file (WAL), written before an effect is relied on.

Everything that a campaign knows can be derived from here: a campaign killed at any instant is
resumed by reading this file. Bodies (transcripts, requests, answers) are content-addressed and compressed; the
messages of a request are stored one by one, so that identical prefixes are stored once.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence

from agent.base.types import Candidate, Fate
from agent.kernel.record.calls import Calls
from agent.kernel.record.matches import Matches
from agent.kernel.record.notes import insert_named
from agent.kernel.record.rows import CommitRow, EventRow, Mark, PairRow, SpendingRow, Tally, TestRow
from agent.kernel.record.store import insert, put

__all__ = ["CommitRow", "EventRow", "Ledger", "Mark", "PairRow", "SpendingRow", "Tally", "TestRow"]

REVERTS, SERIES = "reverts", "series"


class Ledger(Calls, Matches):
    """The one writer of a campaign's record; also readable while another process writes (`read_only`).

    Raises:
        RecordBroken: the file cannot be opened, read or written, or is of another version.
    """

    def changes(self) -> int:
        """A number that differs whenever another process has written."""
        return int(self._rows("PRAGMA data_version")[0][0])

    # -------------------------------------------------------------------------------- candidates

    def add_candidate(self, candidate: Candidate, *, fingerprint: str | None, diff: str, transcript: str) -> None:
        """Keep a new candidate, admitted or refused, with what its proposer printed."""
        with self._writing() as db:
            _insert_candidate(db, candidate, fingerprint, diff, transcript)

    def set_fate(self, candidate: int, fate: Fate, reason: str) -> None:
        """Where a candidate stands now, and why."""
        with self._writing() as db:
            _insert_fate(db, candidate, fate, reason)

    def candidates(self) -> list[Candidate]:
        """Every candidate in order of its id, with its latest fate."""
        rows = self._rows(
            "SELECT c.id, c.parent, c.tree, c.subject, c.body, coalesce(f.fate, c.fate) AS fate,"
            " coalesce(f.reason, c.reason) AS reason, c.size FROM candidates c"
            " LEFT JOIN fates f ON f.id = (SELECT max(id) FROM fates WHERE candidate = c.id) ORDER BY c.id"
        )
        return [Candidate(**{**dict(row), "fate": Fate(row["fate"])}) for row in rows]

    def tree_of(self, candidate: int) -> str:
        """The git tree of an admitted candidate."""
        return str(self._rows("SELECT tree FROM candidates WHERE id = ?", candidate)[0][0])

    def known_fingerprint(self, fingerprint: str) -> int | None:
        """The first candidate that reads the same up to comments and layout, if any."""
        rows = self._rows("SELECT min(id) FROM candidates WHERE fingerprint = ? AND tree IS NOT NULL", fingerprint)
        return rows[0][0] if rows else None

    def candidate_texts(self, candidate: int) -> tuple[str, str]:
        """The diff against the parent, and the transcript of the proposal."""
        row = self._rows("SELECT diff, transcript FROM candidates WHERE id = ?", candidate)[0]
        return self.blob(row["diff"]).decode(), self.blob(row["transcript"]).decode()

    # -------------------------------------------------------------------------------- commits

    def add_commit(
        self,
        *,
        sha: str,
        parent: str,
        candidate: int,
        test: int,
        reason: str | None = None,
        series: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Keep the intention to move the champion, BEFORE the ref is moved; the candidate is accepted with it.

        `parent` is the former champion's commit, `reason` why the candidate was accepted; `series` has (commit, patch)
        of all commits since, if several.
        """
        with self._writing() as db:
            if series:
                insert_named(db, f"{SERIES}:{sha}", json.dumps(series))
            insert(db, "commits", sha=sha, at=time.time(), candidate=candidate, test=test, parent=parent)
            _insert_fate(db, candidate, Fate.CHAMPION, reason)

    def add_revert(self, candidate: Candidate, *, diff: str, sha: str, parent: str, reverts: int) -> None:
        """Keep the intention to take a patch back, BEFORE the ref is moved: a champion without a gate test."""
        with self._writing() as db:
            _insert_candidate(db, candidate, None, diff, "")
            insert(db, "commits", sha=sha, at=time.time(), candidate=candidate.id, parent=parent)
            known = {str(new): old for new, old in self.reverts().items()}
            insert_named(db, REVERTS, json.dumps({**known, str(candidate.id): reverts}, sort_keys=True))

    def reverts(self) -> dict[int, int]:
        """Candidate that is a revert -> candidate whose patch it took back, oldest first."""
        return {int(new): old for new, old in sorted((self.recollect(REVERTS) or {}).items(), key=lambda i: int(i[0]))}

    def commits(self) -> list[CommitRow]:
        """Every champion commit in order."""
        rows = self._rows("SELECT sha, parent, candidate, test FROM commits ORDER BY at, candidate")
        return [CommitRow(**dict(row)) for row in rows]

    def series(self, sha: str) -> list[tuple[str, int]]:
        """(commit, patch), oldest first, where an acceptance became several commits, of which `sha` is the last."""
        return [(one, patch) for one, patch in self.recollect(f"{SERIES}:{sha}") or ()]

    def last_commit(self) -> CommitRow | None:
        """The commit at the tip of the campaign's branch; None while the seed is champion."""
        commits = self.commits()
        return commits[-1] if commits else None

    def champion(self) -> int:
        """The candidate at the tip of the campaign's branch: 0, the seed, before the first commit."""
        last = self.last_commit()
        return last.candidate if last is not None else 0


def _insert_candidate(
    db: sqlite3.Connection, candidate: Candidate, fingerprint: str | None, diff: str, transcript: str
) -> None:
    fields = {name: getattr(candidate, name) for name in Candidate.__slots__}
    bodies = {"diff": put(db, diff.encode()), "transcript": put(db, transcript.encode())}
    insert(db, "candidates", at=time.time(), fingerprint=fingerprint, **fields, **bodies)


def _insert_fate(db: sqlite3.Connection, candidate: int, fate: Fate, reason: str | None) -> None:
    """Without a reason, the last one stands."""
    db.execute(
        "INSERT INTO fates (at, candidate, fate, reason) SELECT ?, id, ?, coalesce(?, (SELECT reason FROM fates"
        " WHERE candidate = candidates.id ORDER BY id DESC LIMIT 1), reason) FROM candidates WHERE id = ?",
        (time.time(), fate, reason, candidate),
    )
