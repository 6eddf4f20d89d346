"""Gate tests in the record: their pairs and their verdicts."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agent.base.types import Trial
from agent.base.usage import Usage
from agent.kernel.record.notes import Notes, insert_named
from agent.kernel.record.rows import PairRow, TestRow
from agent.kernel.record.store import insert
from agent.kernel.record.trials import Trials, insert_trial

_FAR = 2**62


class Matches(Notes, Trials):
    """The part of a ledger that holds gate tests.

    Indices of pairs count from 0. Below 0 are the runs of deterministic tasks; `loop.match` gives them out.
    """

    def open_test(
        self, *, candidate: int, champion: int, commits: int, policy: str, settings: Mapping[str, Any]
    ) -> TestRow:
        """Spend the next index of the campaign-wide error, with the gate's numbers, BEFORE the first pair is run."""
        opened = {"candidate": candidate, "champion": champion, "commits": commits, "policy": policy}
        with self._writing() as db:
            index = insert(db, "tests", at=time.time(), **opened)
            insert_named(db, _settings_key(index), json.dumps(settings, sort_keys=True))
        return TestRow(
            id=index,
            candidate=candidate,
            champion=champion,
            commits=commits,
            policy=policy,
            verdict=None,
            decision=None,
        )

    def test_settings(self, test: int) -> Mapping[str, Any] | None:
        """The gate's numbers when a test was opened; None in a ledger of an older Ratchet."""
        found: Mapping[str, Any] | None = self.recollect(_settings_key(test))
        return found

    def add_pair(self, test: TestRow, index: int, task: str, sides: Sequence[Trial | None], void: str | None) -> None:
        """Keep one pair, its trials (champion, candidate) at once; `void` names the side that voided it."""
        with self._writing() as db:
            for trial, owner in zip(sides, (test.champion, test.candidate), strict=True):
                if trial is not None:
                    insert_trial(db, trial, owner, index)
            first, second = (trial.id if trial is not None else None for trial in sides)
            ids = {"champion_trial": first, "candidate_trial": second}
            insert(db, "pairs", test=test.id, pair_index=index, at=time.time(), task=task, void_side=void, **ids)

    def pairs(self, test: int) -> list[PairRow]:
        """The pairs of a test in order of their index, from 0."""
        return self._pairs(test, 0, _FAR)

    def fixed_pairs(self, test: int) -> list[PairRow]:
        """The runs of deterministic tasks: indices below 0, the first task at -1, in that order."""
        return self._pairs(test, -_FAR, -1)[::-1]

    def _pairs(self, test: int, first: int, last: int) -> list[PairRow]:
        rows = self._rows(
            'SELECT p.pair_index AS "index", p.task, a.score AS champion, b.score AS candidate, p.void_side, p.at,'
            " a.usage AS first, b.usage AS second"
            " FROM pairs p LEFT JOIN trials a ON a.id = p.champion_trial LEFT JOIN trials b ON b.id = p.candidate_trial"
            " WHERE p.test = ? AND p.pair_index BETWEEN ? AND ? ORDER BY p.pair_index",
            test,
            first,
            last,
        )
        return [_pair_row(row) for row in rows]

    def pair_trials(self, test: int) -> list[tuple[int, Trial, Trial]]:
        """(index, champion's trial, candidate's trial) of every pair of a test that is not void."""
        rows = self._rows(
            "SELECT pair_index, champion_trial, candidate_trial FROM pairs WHERE test = ? ORDER BY pair_index", test
        )
        found = ((row[0], self.trial(row[1] or ""), self.trial(row[2] or "")) for row in rows)
        return [(index, first, second) for index, first, second in found if first and second]

    def pair_seconds(self, test: int) -> list[tuple[int, str, float, float]]:
        """(index, task, champion's seconds, candidate's seconds) of the pairs from index 0 that are not void."""
        sql = (
            "SELECT p.pair_index, p.task, a.seconds, b.seconds FROM pairs p JOIN trials a ON a.id = p.champion_trial"
            " JOIN trials b ON b.id = p.candidate_trial WHERE p.test = ? AND p.pair_index >= 0 ORDER BY p.pair_index"
        )
        return [tuple(row) for row in self._rows(sql, test)]

    def close_test(self, test: int, verdict: str, decision: Mapping[str, Any]) -> None:
        """Keep the verdict of a test; the same one again, after a restart, changes nothing."""
        said = (verdict, json.dumps(decision))
        with self._writing() as db:
            sql = "SELECT verdict, decision FROM verdicts WHERE test = ? ORDER BY id DESC LIMIT 1"
            known = db.execute(sql, (test,)).fetchone()
            if known is None or tuple(known) != said:
                insert(db, "verdicts", at=time.time(), test=test, verdict=said[0], decision=said[1])

    def tests(self) -> list[TestRow]:
        """Every test in order of its index, with its latest verdict."""
        rows = self._rows(
            "SELECT t.id, t.candidate, t.champion, t.commits, t.policy, v.verdict, v.decision FROM tests t"
            " LEFT JOIN verdicts v ON v.id = (SELECT max(id) FROM verdicts WHERE test = t.id) ORDER BY t.id"
        )
        return [
            TestRow(**{**dict(row), "decision": json.loads(row["decision"]) if row["decision"] else None})
            for row in rows
        ]

    def verdicts(self) -> dict[int, str]:
        """Candidate -> its last verdict, for each one that had a test; empty while there is none."""
        sql = (
            "SELECT t.candidate, v.verdict FROM tests t"
            " LEFT JOIN verdicts v ON v.id = (SELECT max(id) FROM verdicts WHERE test = t.id) ORDER BY t.id"
        )
        found = dict[int, str]()
        for candidate, verdict in self._rows(sql):
            found[candidate] = verdict or found.get(candidate, "")
        return found


def _pair_row(row: sqlite3.Row) -> PairRow:
    known = dict(row)
    first, second = (known.pop(side) for side in ("first", "second"))
    usages = None if first is None or second is None else (Usage(**json.loads(first)), Usage(**json.loads(second)))
    return PairRow(**known, usages=usages)


def _settings_key(test: int) -> str:
    return f"gate of test {test}"
