"""The campaign's durable record: one SQLite file (WAL), written before an effect is relied on.

Everything that a campaign knows can be derived from here: a campaign killed at any instant is
resumed by reading this file. Bodies (transcripts, requests, answers) are content-addressed and compressed; the
messages of a request are stored one by one, so that identical prefixes are stored once.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agent.base.types import Call, Candidate, Fate, Purpose, Trial, Usage
from agent.kernel.record.store import Store, pack_request, put

REVERTS = "reverts"
Event = tuple[int, float, str, str]
"""(id, Unix seconds, kind, text)."""

_CALLS = "SELECT *, memo AS answer_scope FROM calls"
_FAR = 2**62
_OVERWRITTEN = frozenset({"seconds"})
"""Values that change all the time, whose history nobody asks for: they are kept outside the chain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRow:
    """One meeting of a candidate with the champion. `id` is the i of the campaign-wide error, from 1."""

    id: int
    candidate: int
    champion: int
    commits: int
    policy: str
    verdict: str | None
    decision: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRow:
    """One pair of a test; `void_side` names the side whose laboratory failed, and then there are no scores."""

    index: int
    task: str
    champion: float | None
    candidate: float | None
    void_side: str | None
    at: float


class Mark(NamedTuple):
    """A finished trial without its texts: what a reader of 100,000 of them needs. `at` is in Unix seconds."""

    id: str
    at: float
    candidate: int
    purpose: Purpose
    task: str
    trial_index: int
    score: float


class Spent(NamedTuple):
    """Model use between two points of time, of one role and model; tokens and dollars of fresh calls alone."""

    until: float
    role: str
    model: str
    calls: int
    fresh: int
    tokens: int
    dollars: float
    unpriced: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The trials of one candidate for one purpose: how many, the sum of their scores, and the highest index."""

    candidate: int
    trials: int
    total: float
    top: int


class Ledger(Store):
    """The one writer of a campaign's record; also readable while another process writes (`read_only`).

    Raises:
        RecordBroken: the file cannot be opened, read or written, or is of another version.
    """

    def changes(self) -> int:
        """A number that is another one whenever another process has written."""
        return int(self._rows("PRAGMA data_version")[0][0])

    # -------------------------------------------------------------------------------- meta, events

    def remember(self, key: str, value: Any) -> None:
        """Keep one named JSON value of the campaign; what it was before stays in the record."""
        text = json.dumps(value, sort_keys=True)
        if key in _OVERWRITTEN:
            with self._writing() as db:
                db.execute("INSERT OR REPLACE INTO gauges VALUES (?, ?)", (key, text))
        elif self._named(key) != text:
            with self._writing() as db:
                _insert_named(db, key, text)

    def recollect(self, key: str) -> Any:
        """The named value, or None."""
        text = self._named(key)
        return None if text is None else json.loads(text)

    def _named(self, key: str) -> str | None:
        if key in _OVERWRITTEN:
            rows = self._rows("SELECT value FROM gauges WHERE key = ?", key)
        else:
            rows = self._rows("SELECT value FROM meta WHERE key = ? ORDER BY id DESC LIMIT 1", key)
        return str(rows[0][0]) if rows else None

    def note(self, kind: str, text: str) -> None:
        """One line for people: what happened."""
        with self._writing() as db:
            db.execute("INSERT INTO events (at, kind, text) VALUES (?, ?, ?)", (time.time(), kind, text))

    def events(self, after: int = 0, *, last: int | None = None) -> list[Event]:
        """Events with an id above `after`, all or the last ones, oldest first."""
        sql = "SELECT id, at, kind, text FROM events WHERE id > ? ORDER BY id DESC LIMIT ?"
        return [tuple(row) for row in reversed(self._rows(sql, after, -1 if last is None else last))]

    def latest(self, *kinds: str) -> Event | None:
        """The last event of any of these kinds; of all kinds if none is named."""
        chosen = f"WHERE kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        rows = self._rows(f"SELECT id, at, kind, text FROM events {chosen} ORDER BY id DESC LIMIT 1", *kinds)  # noqa: S608
        return tuple(rows[0]) if rows else None

    # -------------------------------------------------------------------------------- model calls

    def record_call(self, call: Call) -> None:
        """Keep one model call. Raises RecordBroken."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO calls (at, trial, role, model, key, k, memo, fresh, request, response, status, tokens_in,"
                " tokens_out, dollars, seconds, retries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    time.time(), call.trial, call.role, call.model, call.key, call.k, call.answer_scope, call.fresh,
                    pack_request(db, call.request), put(db, call.response), call.status, call.tokens_in,
                    call.tokens_out, call.dollars, call.seconds, call.retries,
                ),
            )  # fmt: skip

    def recall(self, answer_scope: str, key: str, k: int) -> Call | None:
        """The recorded fresh answer for the k-th occurrence of a request in an answer scope, if there is one."""
        sql = f"{_CALLS} WHERE memo = ? AND key = ? AND k = ? AND fresh AND status = 200 LIMIT 1"
        rows = self._rows(sql, answer_scope, key, k)
        return self._call(rows[0]) if rows else None

    def calls(self, trial: str | None = None, last: int = 100) -> list[Call]:
        """The calls of one trial in order, or the last ones of the campaign."""
        if trial is not None:
            return [self._call(r) for r in self._rows(f"{_CALLS} WHERE trial = ? ORDER BY id", trial)]
        rows = self._rows(f"{_CALLS} ORDER BY id DESC LIMIT ?", last)
        return [self._call(r) for r in reversed(rows)]

    def _call(self, row: sqlite3.Row) -> Call:
        fields = {name: row[name] for name in Call.__slots__ if name not in {"request", "response", "fresh"}}
        request = self._unpack_request(row["request"])
        return Call(**fields, fresh=bool(row["fresh"]), request=request, response=self.blob(row["response"]))

    def spent(self) -> Usage:
        """All model use of the campaign so far."""
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in Usage.__slots__)
        row = self._rows(f"SELECT {sums} FROM spending")[0]  # noqa: S608 (our own field names)
        return Usage(**dict(zip(Usage.__slots__, row, strict=True)))

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

    def known_fingerprint(self, fingerprint: str) -> int | None:
        """The first candidate that reads the same up to comments and layout, if any."""
        rows = self._rows("SELECT min(id) FROM candidates WHERE fingerprint = ? AND tree IS NOT NULL", fingerprint)
        return rows[0][0] if rows else None

    def candidate_diff(self, candidate: int) -> str:
        """The diff against the parent."""
        return self.blob(self._rows("SELECT diff FROM candidates WHERE id = ?", candidate)[0][0]).decode()

    def candidate_texts(self, candidate: int) -> tuple[str, str]:
        """The diff against the parent, and the transcript of the proposal."""
        row = self._rows("SELECT diff, transcript FROM candidates WHERE id = ?", candidate)[0]
        return self.blob(row["diff"]).decode(), self.blob(row["transcript"]).decode()

    # -------------------------------------------------------------------------------- trials, tests, commits

    def add_trial(self, trial: Trial, *, candidate: int, index: int) -> None:
        """Keep one finished trial; `index` is its index within (candidate, purpose)."""
        with self._writing() as db:
            _insert_trial(db, trial, candidate, index)

    def trials(self, *, purpose: Purpose | None = None, candidate: int | None = None) -> list[Trial]:
        """Trials in the order in which they finished."""
        asked = {"purpose": purpose, "candidate": candidate}
        chosen = {column: value for column, value in asked.items() if value is not None}
        only = f"WHERE {' AND '.join(f'{column} = ?' for column in chosen)}" if chosen else ""
        rows = self._rows(f"SELECT * FROM trials {only} ORDER BY at, rowid", *chosen.values())  # noqa: S608
        return [self._trial(row) for row in rows]

    def failed(self, candidate: int, last: int) -> list[Trial]:
        """The search trials of a candidate with the highest indices that scored below 1, in order of their index."""
        # By index and not by time: the table's own index answers that without reading all trials of the candidate.
        sql = "SELECT * FROM trials WHERE candidate = ? AND purpose = ? AND score < 1 ORDER BY place DESC LIMIT ?"
        return [self._trial(row) for row in reversed(self._rows(sql, candidate, Purpose.SEARCH, last))]

    def trial(self, trial_id: str) -> Trial | None:
        """One trial by its id."""
        rows = self._rows("SELECT * FROM trials WHERE id = ?", trial_id)
        return self._trial(rows[0]) if rows else None

    def indices(self, purpose: Purpose) -> list[tuple[int, int, float]]:
        """(candidate, index, score) of every trial of one purpose."""
        sql = "SELECT candidate, place, score FROM trials WHERE purpose = ? ORDER BY candidate, place"
        return [tuple(row) for row in self._rows(sql, purpose)]

    def by_index(self, purpose: Purpose, candidate: int) -> dict[int, Trial]:
        """The trials of one candidate by their index."""
        sql = "SELECT * FROM trials WHERE purpose = ? AND candidate = ? ORDER BY place"
        return {row["place"]: self._trial(row) for row in self._rows(sql, purpose, candidate)}

    def scores(self, purpose: Purpose, candidate: int) -> dict[int, float]:
        """Index -> score of one candidate's trials."""
        sql = "SELECT place, score FROM trials WHERE purpose = ? AND candidate = ? ORDER BY place"
        return {row[0]: row[1] for row in self._rows(sql, purpose, candidate)}

    def tallies(self, purpose: Purpose) -> list[Tally]:
        """The trials of each candidate in sum; the cost does not grow with the number of trials."""
        sql = "SELECT candidate, trials, total, top FROM tallies WHERE purpose = ?"
        return [Tally(**dict(row)) for row in self._rows(sql, purpose)]

    def marks(self) -> list[Mark]:
        """Every trial, without its texts, in the order in which they finished."""
        purposes = {purpose.value: purpose for purpose in Purpose}
        sql = "SELECT id, at, candidate, purpose, task, place, score FROM trials ORDER BY at, rowid"
        return [
            Mark(number, at, owner, purposes[purpose], *rest) for number, at, owner, purpose, *rest in self._rows(sql)
        ]

    def spending(self, slices: int) -> list[Spent]:
        """Model use over time: the campaign's calls in at most `slices` equal parts, by role and model."""
        return [
            Spent(*row)
            for row in self._rows(
                "SELECT max(at), role, model, count(*), sum(fresh), sum(fresh * (tokens_in + tokens_out)),"
                " coalesce(sum(fresh * dollars), 0), sum(fresh AND dollars IS NULL)"
                " FROM calls, (SELECT min(at) AS first, max(at) - min(at) AS span FROM calls)"
                " GROUP BY CAST((at - first) * ? / max(span, 1e-6) AS INTEGER), role, model ORDER BY 1",
                slices - 1,
            )
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

    def open_test(
        self, *, candidate: int, champion: int, commits: int, policy: str, settings: Mapping[str, Any]
    ) -> TestRow:
        """Spend the next index of the campaign-wide error, with the gate's numbers, BEFORE the first pair is run."""
        with self._writing() as db:
            cursor = db.execute(
                "INSERT INTO tests (at, candidate, champion, commits, policy) VALUES (?, ?, ?, ?, ?)",
                (time.time(), candidate, champion, commits, policy),
            )
            index = int(cursor.lastrowid or 0)
            _insert_named(db, _settings_key(index), json.dumps(settings, sort_keys=True))
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

    def add_pair(
        self, test: TestRow, index: int, task: str, sides: tuple[Trial, Trial] | None, void: str | None
    ) -> None:
        """Keep one pair, both trials (champion, candidate) at once, or the side whose laboratory failed.

        `index` counts from 0; deterministic tasks, which run once a side, have the indices -1, -2, ...
        """
        with self._writing() as db:
            ids: tuple[str | None, str | None] = (None, None)
            if sides is not None:
                _insert_trial(db, sides[0], test.champion, index)
                _insert_trial(db, sides[1], test.candidate, index)
                ids = (sides[0].id, sides[1].id)
            db.execute(
                "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?)",
                (test.id, index, time.time(), task, *ids, void),
            )

    def pairs(self, test: int) -> list[PairRow]:
        """The pairs of a test in order of their index, from 0."""
        return self._pairs(test, 0, _FAR)

    def fixed_pairs(self, test: int) -> list[PairRow]:
        """The one run a side of each deterministic task: indices below 0, the first task at -1, in that order."""
        return self._pairs(test, -_FAR, -1)[::-1]

    def _pairs(self, test: int, first: int, last: int) -> list[PairRow]:
        rows = self._rows(
            'SELECT p.place AS "index", p.task, a.score AS champion, b.score AS candidate, p.void_side, p.at'
            " FROM pairs p LEFT JOIN trials a ON a.id = p.champion_trial LEFT JOIN trials b ON b.id = p.candidate_trial"
            " WHERE p.test = ? AND p.place BETWEEN ? AND ? ORDER BY p.place",
            test,
            first,
            last,
        )
        return [PairRow(**dict(row)) for row in rows]

    def pair_trials(self, test: int) -> list[tuple[int, Trial, Trial]]:
        """(index, champion's trial, candidate's trial) of every pair of a test that is not void."""
        rows = self._rows(
            "SELECT place, champion_trial, candidate_trial FROM pairs WHERE test = ? ORDER BY place", test
        )
        found = ((row[0], self.trial(row[1] or ""), self.trial(row[2] or "")) for row in rows)
        return [(index, first, second) for index, first, second in found if first and second]

    def close_test(self, test: int, verdict: str, decision: Mapping[str, Any]) -> None:
        """Keep the verdict of a test; the same one again, after a restart, changes nothing."""
        said = (verdict, json.dumps(decision))
        with self._writing() as db:
            sql = "SELECT verdict, decision FROM verdicts WHERE test = ? ORDER BY id DESC LIMIT 1"
            known = db.execute(sql, (test,)).fetchone()
            if known is None or tuple(known) != said:
                sql = "INSERT INTO verdicts (at, test, verdict, decision) VALUES (?, ?, ?, ?)"
                db.execute(sql, (time.time(), test, *said))

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

    def add_commit(self, *, sha: str, parent: str, candidate: int, test: int) -> None:
        """Keep the intention to move the champion, BEFORE the ref is moved; the candidate is accepted with it."""
        with self._writing() as db:
            db.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?)", (sha, time.time(), candidate, test, parent))
            _insert_fate(db, candidate, Fate.CHAMPION, None)

    def add_revert(self, candidate: Candidate, *, diff: str, sha: str, parent: str, reverts: int) -> None:
        """Keep the intention to take a patch back, BEFORE the ref is moved: a champion that met no test."""
        with self._writing() as db:
            _insert_candidate(db, candidate, None, diff, "")
            db.execute("INSERT INTO commits VALUES (?, ?, ?, NULL, ?)", (sha, time.time(), candidate.id, parent))
            known = {str(new): old for new, old in self.reverts().items()}
            _insert_named(db, REVERTS, json.dumps({**known, str(candidate.id): reverts}, sort_keys=True))

    def reverts(self) -> dict[int, int]:
        """Candidate that is a revert -> candidate whose patch it took back, oldest first."""
        return {int(new): old for new, old in sorted((self.recollect(REVERTS) or {}).items(), key=lambda i: int(i[0]))}

    def commits(self) -> list[tuple[str, str, int, int | None]]:
        """(sha, parent, candidate, test) of every champion commit in order; a revert has no test."""
        return [tuple(r) for r in self._rows("SELECT sha, parent, candidate, test FROM commits ORDER BY at, candidate")]


def _settings_key(test: int) -> str:
    return f"gate of test {test}"


def _insert_candidate(
    db: sqlite3.Connection, candidate: Candidate, fingerprint: str | None, diff: str, transcript: str
) -> None:
    db.execute(
        "INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            candidate.id, time.time(), candidate.parent, candidate.tree, candidate.subject, candidate.body,
            candidate.fate, candidate.reason, candidate.size, fingerprint, put(db, diff.encode()),
            put(db, transcript.encode()),
        ),
    )  # fmt: skip


def _insert_trial(db: sqlite3.Connection, trial: Trial, candidate: int, index: int) -> None:
    usage = json.dumps({name: getattr(trial.usage, name) for name in Usage.__slots__})
    db.execute(
        "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            trial.id, time.time(), trial.tree, candidate, trial.task, trial.purpose, index, trial.seed, trial.score,
            trial.reason, put(db, trial.transcript.encode()), usage, trial.seconds,
        ),
    )  # fmt: skip


def _insert_named(db: sqlite3.Connection, key: str, text: str) -> None:
    db.execute("INSERT INTO meta (at, key, value) VALUES (?, ?, ?)", (time.time(), key, text))


def _insert_fate(db: sqlite3.Connection, candidate: int, fate: Fate, reason: str | None) -> None:
    """Without a reason, the last one stands."""
    db.execute(
        "INSERT INTO fates (at, candidate, fate, reason) SELECT ?, id, ?, coalesce(?, (SELECT reason FROM fates"
        " WHERE candidate = candidates.id ORDER BY id DESC LIMIT 1), reason) FROM candidates WHERE id = ?",
        (time.time(), fate, reason, candidate),
    )
