"""Finished trials in the record."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection

from agent.base.types import Purpose, Trial
from agent.base.usage import Usage
from agent.kernel.record.rows import Mark, Result, Tally
from agent.kernel.record.store import Store, insert, put


class Trials(Store):
    """The part of a ledger that holds finished trials. A trial's index counts within its candidate and purpose."""

    def add_trial(self, trial: Trial, *, candidate: int, index: int) -> None:
        """Keep one finished trial."""
        with self._writing() as db:
            insert_trial(db, trial, candidate, index)

    def trials(self, *, purpose: Purpose | None = None, candidate: int | None = None) -> list[Trial]:
        """Trials in the order in which they finished."""
        asked = {"purpose": purpose, "candidate": candidate}
        chosen = {column: value for column, value in asked.items() if value is not None}
        only = f"WHERE {' AND '.join(f'{column} = ?' for column in chosen)}" if chosen else ""
        rows = self._rows(f"SELECT * FROM trials {only} ORDER BY at, rowid", *chosen.values())  # noqa: S608
        return [self._trial(row) for row in rows]

    def failed(self, candidate: int, last: int, purpose: Purpose = Purpose.SEARCH) -> list[Trial]:
        """A candidate's trials of one purpose that scored below 1: those with the highest indices, in order."""
        # By index and not by time: the table's own index answers that without reading all trials of the candidate.
        sql = "SELECT * FROM trials WHERE candidate = ? AND purpose = ? AND score < 1 ORDER BY trial_index DESC LIMIT ?"
        return [self._trial(row) for row in reversed(self._rows(sql, candidate, purpose, last))]

    def trial(self, trial_id: str) -> Trial | None:
        """One trial by its id."""
        rows = self._rows("SELECT * FROM trials WHERE id = ?", trial_id)
        return self._trial(rows[0]) if rows else None

    def indices(self, purpose: Purpose) -> list[tuple[int, int, float]]:
        """(candidate, index, score) of every trial of one purpose."""
        sql = "SELECT candidate, trial_index, score FROM trials WHERE purpose = ? ORDER BY candidate, trial_index"
        return [tuple(row) for row in self._rows(sql, purpose)]

    def by_index(self, purpose: Purpose, candidate: int) -> dict[int, Trial]:
        """The trials of one candidate by their index."""
        sql = "SELECT * FROM trials WHERE purpose = ? AND candidate = ? ORDER BY trial_index"
        return {row["trial_index"]: self._trial(row) for row in self._rows(sql, purpose, candidate)}

    def scores(self, purpose: Purpose, candidate: int) -> dict[int, float]:
        """Index -> score of one candidate's trials."""
        sql = "SELECT trial_index, score FROM trials WHERE purpose = ? AND candidate = ? ORDER BY trial_index"
        return {row[0]: row[1] for row in self._rows(sql, purpose, candidate)}

    def measured(self, purpose: Purpose, candidate: int) -> dict[int, tuple[float, float]]:
        """Index -> score and seconds of one candidate's trials."""
        sql = "SELECT trial_index, score, seconds FROM trials WHERE purpose = ? AND candidate = ? ORDER BY trial_index"
        return {row[0]: (row[1], row[2]) for row in self._rows(sql, purpose, candidate)}

    def results(self, candidates: Collection[int], purpose: Purpose = Purpose.SEARCH) -> list[Result]:
        """The trials of one purpose of some candidates in sums, a row for each candidate and task."""
        sql = (
            "SELECT candidate, task, count(*), total(score), sum(json_extract(usage, '$.calls')),"  # noqa: S608
            " sum(json_extract(usage, '$.tokens_in') + json_extract(usage, '$.tokens_out')), total(seconds),"
            " sum(reason LIKE '%out of time%' OR reason LIKE '%timed out%') FROM trials"
            f" WHERE purpose = ? AND candidate IN ({_marks(candidates)}) GROUP BY candidate, task"
        )
        return [Result(*row) for row in self._rows(sql, purpose, *candidates)]

    def search_marks(self, candidates: Collection[int], purpose: Purpose = Purpose.SEARCH) -> list[Mark]:
        """The trials of one purpose of some candidates, without their texts, in the order in which they finished."""
        only = f"WHERE purpose = ? AND candidate IN ({_marks(candidates)})"
        sql = f"SELECT id, at, candidate, task, trial_index, score FROM trials {only} ORDER BY at, rowid"  # noqa: S608
        rows = self._rows(sql, purpose, *candidates)
        return [Mark(number, at, owner, purpose, *rest) for number, at, owner, *rest in rows]

    def tallies(self, purpose: Purpose) -> list[Tally]:
        """The trials of each candidate in sum; the cost does not grow with the number of trials."""
        sql = "SELECT candidate, trials, total, top FROM tallies WHERE purpose = ?"
        return [Tally(**dict(row)) for row in self._rows(sql, purpose)]

    def marks(self) -> list[Mark]:
        """Every trial, without its texts, in the order in which they finished."""
        purposes = {purpose.value: purpose for purpose in Purpose}
        sql = "SELECT id, at, candidate, purpose, task, trial_index, score FROM trials ORDER BY at, rowid"
        return [
            Mark(number, at, owner, purposes[purpose], *rest) for number, at, owner, purpose, *rest in self._rows(sql)
        ]

    def count_trials(self, purpose: Purpose | None = None) -> int:
        """How many trials have finished."""
        sql = "SELECT coalesce(sum(trials), 0) FROM tallies WHERE ?1 IS NULL OR purpose = ?1"
        return int(self._rows(sql, purpose)[0][0])

    def _trial(self, row: sqlite3.Row) -> Trial:
        fields = {name: row[name] for name in Trial.__slots__}
        fields["usage"] = Usage(**json.loads(row["usage"]))
        fields["transcript"] = self.blob(row["transcript"]).decode()
        fields["purpose"] = Purpose(row["purpose"])
        return Trial(**fields)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def insert_trial(db: sqlite3.Connection, trial: Trial, candidate: int, index: int) -> None:
    """Add a trial's row, within a transaction."""
    fields = {name: getattr(trial, name) for name in Trial.__slots__}
    fields["usage"] = json.dumps({name: getattr(trial.usage, name) for name in Usage.__slots__})
    fields["transcript"] = put(db, trial.transcript.encode())
    insert(db, "trials", at=time.time(), candidate=candidate, trial_index=index, **fields)
