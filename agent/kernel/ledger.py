"""The campaign's durable record: one SQLite file (WAL), written before an effect is relied on.

Everything that a campaign knows can be derived from here: a campaign killed at any instant is
resumed by reading this file. Bodies (transcripts, requests, answers) are content-addressed and compressed; the
messages of a request are stored one by one, so that identical prefixes are stored once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from agent.kernel.errors import RecordBroken
from agent.kernel.types import Call, Candidate, Fate, Purpose, Trial, Usage

SCHEMA_VERSION = 1
REVERTS = "reverts"
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blobs (hash TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, trial TEXT NOT NULL, role TEXT NOT NULL, model TEXT NOT NULL,
  key TEXT NOT NULL, k INTEGER NOT NULL, memo TEXT, fresh INTEGER NOT NULL, request TEXT NOT NULL,
  response TEXT NOT NULL REFERENCES blobs, status INTEGER NOT NULL, tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL, dollars REAL, seconds REAL NOT NULL, retries INTEGER NOT NULL);
CREATE INDEX calls_by_memo ON calls (memo, key, k) WHERE fresh AND memo IS NOT NULL;
CREATE INDEX calls_by_trial ON calls (trial);
CREATE TABLE candidates (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, parent INTEGER REFERENCES candidates, tree TEXT, subject TEXT NOT NULL,
  body TEXT NOT NULL, fate TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL, fingerprint TEXT,
  diff TEXT REFERENCES blobs, transcript TEXT REFERENCES blobs);
CREATE TABLE trials (
  id TEXT PRIMARY KEY, at REAL NOT NULL, tree TEXT NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates,
  task TEXT NOT NULL, purpose TEXT NOT NULL, place INTEGER NOT NULL, seed INTEGER NOT NULL, score REAL NOT NULL,
  reason TEXT NOT NULL, transcript TEXT NOT NULL REFERENCES blobs, usage TEXT NOT NULL, seconds REAL NOT NULL);
CREATE INDEX trials_by_candidate ON trials (candidate, purpose, place);
CREATE TABLE tests (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates,
  champion INTEGER NOT NULL REFERENCES candidates, commits INTEGER NOT NULL, policy TEXT NOT NULL,
  verdict TEXT, decision TEXT);
CREATE TABLE pairs (
  test INTEGER NOT NULL REFERENCES tests, place INTEGER NOT NULL, at REAL NOT NULL, task TEXT NOT NULL,
  champion_trial TEXT REFERENCES trials, candidate_trial TEXT REFERENCES trials, void_side TEXT,
  PRIMARY KEY (test, place)) WITHOUT ROWID;
CREATE TABLE commits (
  sha TEXT PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates,
  test INTEGER REFERENCES tests, parent TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
"""


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

    place: int
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
    place: int
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


class Ledger:
    """The one writer of a campaign's record; also readable while another process writes (`read_only`).

    Raises:
        RecordBroken: the file cannot be opened, read or written, or is of another version.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with _broken(path):
            uri = f"file:{path}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA foreign_keys = ON")
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                # FULL: a commit survives a power cut. Costs about a millisecond a trial; measured as noise.
                self._db.execute("PRAGMA synchronous = FULL")
            self._migrate(read_only=read_only)

    def _migrate(self, *, read_only: bool) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not read_only:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise RecordBroken(f"{self.path}: ledger version {version}, this Ratchet writes {SCHEMA_VERSION}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing."""
        with _broken(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with _broken(self.path):
            return self._db.execute(sql, values).fetchall()

    def damage(self) -> list[str]:
        """What SQLite itself finds wrong with the file; nothing for a whole one."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        rows = self._rows("PRAGMA foreign_key_check")
        return found + [f"a row of {row[0]} refers to one of {row[2]} that is not there" for row in rows]

    # -------------------------------------------------------------------------------- meta, events

    def remember(self, key: str, value: Any) -> None:
        """Keep one named JSON value of the campaign."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value, sort_keys=True)))

    def recollect(self, key: str) -> Any:
        """The named value, or None."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def note(self, kind: str, text: str) -> None:
        """One line for people: what happened."""
        with self._writing() as db:
            db.execute("INSERT INTO events (at, kind, text) VALUES (?, ?, ?)", (time.time(), kind, text))

    def events(self, after: int = 0) -> list[tuple[int, float, str, str]]:
        """Events with an id above `after`: (id, Unix seconds, kind, text)."""
        return [tuple(r) for r in self._rows("SELECT id, at, kind, text FROM events WHERE id > ? ORDER BY id", after)]

    # -------------------------------------------------------------------------------- model calls

    def record_call(self, call: Call) -> None:
        """Keep one model call. Raises RecordBroken."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO calls (at, trial, role, model, key, k, memo, fresh, request, response, status, tokens_in,"
                " tokens_out, dollars, seconds, retries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    time.time(), call.trial, call.role, call.model, call.key, call.k, call.memo, call.fresh,
                    _pack_request(db, call.request), _put(db, call.response), call.status, call.tokens_in,
                    call.tokens_out, call.dollars, call.seconds, call.retries,
                ),
            )  # fmt: skip

    def recall(self, memo: str, key: str, k: int) -> Call | None:
        """The recorded fresh answer for the k-th occurrence of a request in a memo scope, if there is one."""
        sql = "SELECT * FROM calls WHERE memo = ? AND key = ? AND k = ? AND fresh AND status = 200 LIMIT 1"
        rows = self._rows(sql, memo, key, k)
        return self._call(rows[0]) if rows else None

    def calls(self, trial: str | None = None, last: int = 100) -> list[Call]:
        """The calls of one trial in order, or the last ones of the campaign."""
        if trial is not None:
            return [self._call(r) for r in self._rows("SELECT * FROM calls WHERE trial = ? ORDER BY id", trial)]
        rows = self._rows("SELECT * FROM calls ORDER BY id DESC LIMIT ?", last)
        return [self._call(r) for r in reversed(rows)]

    def _call(self, row: sqlite3.Row) -> Call:
        fields = {name: row[name] for name in Call.__slots__ if name not in {"request", "response", "fresh"}}
        request = self._unpack_request(row["request"])
        return Call(**fields, fresh=bool(row["fresh"]), request=request, response=self.blob(row["response"]))

    def _unpack_request(self, packed: str) -> bytes:
        skeleton, hashes, field = json.loads(packed)
        if field is None:
            return self.blob(skeleton)
        skeleton[field] = [json.loads(self.blob(h)) for h in hashes]
        return json.dumps(skeleton, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def spent(self) -> Usage:
        """All model use of the campaign so far."""
        row = self._rows(
            "SELECT count(*), coalesce(sum(fresh), 0), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0),"
            " coalesce(sum(fresh * (tokens_in + tokens_out)), 0), coalesce(sum(fresh * dollars), 0),"
            " coalesce(sum(fresh AND dollars IS NULL), 0) FROM calls"
        )[0]
        return Usage(**dict(zip(Usage.__slots__, row, strict=True)))

    # -------------------------------------------------------------------------------- candidates

    def add_candidate(self, candidate: Candidate, *, fingerprint: str | None, diff: str, transcript: str) -> None:
        """Keep a new candidate, admitted or refused, with what its proposer printed."""
        with self._writing() as db:
            _insert_candidate(db, candidate, fingerprint, diff, transcript)

    def set_fate(self, candidate: int, fate: Fate, reason: str) -> None:
        """Where a candidate stands now, and why."""
        with self._writing() as db:
            db.execute("UPDATE candidates SET fate = ?, reason = ? WHERE id = ?", (fate, reason, candidate))

    def candidates(self) -> list[Candidate]:
        """Every candidate in order of its id."""
        names = ", ".join(Candidate.__slots__)
        return [
            Candidate(**{**dict(row), "fate": Fate(row["fate"])})
            for row in self._rows(f"SELECT {names} FROM candidates ORDER BY id")  # noqa: S608 (our own field names)
        ]

    def known_fingerprint(self, fingerprint: str) -> int | None:
        """The first candidate that reads the same up to comments and layout, if any."""
        rows = self._rows("SELECT min(id) FROM candidates WHERE fingerprint = ? AND tree IS NOT NULL", fingerprint)
        return rows[0][0] if rows else None

    def candidate_texts(self, candidate: int) -> tuple[str, str]:
        """The diff against the parent, and the transcript of the proposal."""
        row = self._rows("SELECT diff, transcript FROM candidates WHERE id = ?", candidate)[0]
        return self.blob(row["diff"]).decode(), self.blob(row["transcript"]).decode()

    # -------------------------------------------------------------------------------- trials, tests, commits

    def add_trial(self, trial: Trial, *, candidate: int, place: int) -> None:
        """Keep one finished trial; `place` is its index within (candidate, purpose)."""
        with self._writing() as db:
            _insert_trial(db, trial, candidate, place)

    def trials(self, *, purpose: Purpose | None = None, candidate: int | None = None) -> list[Trial]:
        """Trials in the order in which they finished."""
        rows = self._rows(
            "SELECT * FROM trials WHERE (?1 IS NULL OR purpose = ?1) AND (?2 IS NULL OR candidate = ?2) ORDER BY at",
            purpose,
            candidate,
        )
        return [self._trial(row) for row in rows]

    def failed(self, candidate: int, last: int) -> list[Trial]:
        """The last search trials of a candidate that scored below 1, oldest first."""
        sql = "SELECT * FROM trials WHERE candidate = ? AND purpose = ? AND score < 1 ORDER BY at DESC LIMIT ?"
        return [self._trial(row) for row in reversed(self._rows(sql, candidate, Purpose.SEARCH, last))]

    def trial(self, trial_id: str) -> Trial | None:
        """One trial by its id."""
        rows = self._rows("SELECT * FROM trials WHERE id = ?", trial_id)
        return self._trial(rows[0]) if rows else None

    def places(self, purpose: Purpose) -> list[tuple[int, int, float]]:
        """(candidate, place, score) of every trial of one purpose."""
        sql = "SELECT candidate, place, score FROM trials WHERE purpose = ? ORDER BY candidate, place"
        return [tuple(row) for row in self._rows(sql, purpose)]

    def placed(self, purpose: Purpose, candidate: int) -> dict[int, Trial]:
        """The trials of one candidate by their place."""
        sql = "SELECT * FROM trials WHERE purpose = ? AND candidate = ? ORDER BY place"
        return {row["place"]: self._trial(row) for row in self._rows(sql, purpose, candidate)}

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

    def count_trials(self) -> int:
        """How many trials have finished."""
        return int(self._rows("SELECT count(*) FROM trials")[0][0])

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
            numbers = json.dumps(settings, sort_keys=True)
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_settings_key(index), numbers))
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
        self, test: TestRow, place: int, task: str, sides: tuple[Trial, Trial] | None, void: str | None
    ) -> None:
        """Keep one pair, both trials (champion, candidate) at once, or the side whose laboratory failed."""
        with self._writing() as db:
            ids: tuple[str | None, str | None] = (None, None)
            if sides is not None:
                _insert_trial(db, sides[0], test.champion, place)
                _insert_trial(db, sides[1], test.candidate, place)
                ids = (sides[0].id, sides[1].id)
            db.execute(
                "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?)",
                (test.id, place, time.time(), task, *ids, void),
            )

    def pairs(self, test: int) -> list[PairRow]:
        """The pairs of a test in order of their place."""
        rows = self._rows(
            "SELECT p.place, p.task, a.score AS champion, b.score AS candidate, p.void_side, p.at FROM pairs p"
            " LEFT JOIN trials a ON a.id = p.champion_trial LEFT JOIN trials b ON b.id = p.candidate_trial"
            " WHERE p.test = ? ORDER BY p.place",
            test,
        )
        return [PairRow(**dict(row)) for row in rows]

    def pair_trials(self, test: int) -> list[tuple[int, Trial, Trial]]:
        """(place, champion's trial, candidate's trial) of every pair of a test that is not void."""
        rows = self._rows(
            "SELECT place, champion_trial, candidate_trial FROM pairs WHERE test = ? ORDER BY place", test
        )
        found = ((row[0], self.trial(row[1] or ""), self.trial(row[2] or "")) for row in rows)
        return [(place, first, second) for place, first, second in found if first and second]

    def close_test(self, test: int, verdict: str, decision: Mapping[str, Any]) -> None:
        """Keep the verdict of a test."""
        with self._writing() as db:
            sql = "UPDATE tests SET verdict = ?, decision = ? WHERE id = ?"
            db.execute(sql, (verdict, json.dumps(decision), test))

    def tests(self) -> list[TestRow]:
        """Every test in order of its index."""
        rows = self._rows("SELECT id, candidate, champion, commits, policy, verdict, decision FROM tests ORDER BY id")
        return [
            TestRow(**{**dict(row), "decision": json.loads(row["decision"]) if row["decision"] else None})
            for row in rows
        ]

    def add_commit(self, *, sha: str, parent: str, candidate: int, test: int) -> None:
        """Keep the intention to move the champion, BEFORE the ref is moved; the candidate is accepted with it."""
        with self._writing() as db:
            db.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?)", (sha, time.time(), candidate, test, parent))
            db.execute("UPDATE candidates SET fate = ? WHERE id = ?", (Fate.CHAMPION, candidate))

    def add_revert(self, candidate: Candidate, *, diff: str, sha: str, parent: str, reverts: int) -> None:
        """Keep the intention to take a patch back, BEFORE the ref is moved: a champion that met no test."""
        with self._writing() as db:
            _insert_candidate(db, candidate, None, diff, "")
            db.execute("INSERT INTO commits VALUES (?, ?, ?, NULL, ?)", (sha, time.time(), candidate.id, parent))
            known = db.execute("SELECT value FROM meta WHERE key = ?", (REVERTS,)).fetchone()
            value = {**(json.loads(known[0]) if known else {}), str(candidate.id): reverts}
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (REVERTS, json.dumps(value, sort_keys=True)))

    def reverts(self) -> dict[int, int]:
        """Candidate that is a revert -> candidate whose patch it took back, oldest first."""
        return {int(new): old for new, old in sorted((self.recollect(REVERTS) or {}).items(), key=lambda i: int(i[0]))}

    def commits(self) -> list[tuple[str, str, int, int | None]]:
        """(sha, parent, candidate, test) of every champion commit in order; a revert has no test."""
        return [tuple(r) for r in self._rows("SELECT sha, parent, candidate, test FROM commits ORDER BY at, candidate")]

    def blob(self, digest: str) -> bytes:
        """One stored body. Raises RecordBroken if it is not what its hash says."""
        rows = self._rows("SELECT body FROM blobs WHERE hash = ?", digest)
        if not rows:
            raise RecordBroken(f"{self.path}: body {digest} is missing")
        body = zlib.decompress(rows[0][0])
        if hashlib.sha256(body).hexdigest() != digest:
            raise RecordBroken(f"{self.path}: body {digest} was changed")
        return body


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    """Turn SQLite's own errors (disk full, read-only, not a database) into RecordBroken."""
    try:
        yield
    except sqlite3.Error as error:
        raise RecordBroken(f"{path}: {error}") from error


def _settings_key(test: int) -> str:
    return f"gate of test {test}"


def _put(db: sqlite3.Connection, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()
    db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, zlib.compress(body)))
    return digest


def _pack_request(db: sqlite3.Connection, request: bytes) -> str:
    """JSON [skeleton, [hash of each message], field]; a body that is no chat request is one blob."""
    parsed = json.loads(request) if request[:1] == b"{" else None
    field = next(
        (f for f in ("messages", "input") if isinstance(parsed, dict) and isinstance(parsed.get(f), list)),
        None,
    )
    if parsed is None or field is None:
        return json.dumps([_put(db, request), [], None])
    hashes = [_put(db, json.dumps(m, sort_keys=True, ensure_ascii=False).encode()) for m in parsed.pop(field)]
    return json.dumps([parsed, hashes, field])


def _insert_candidate(
    db: sqlite3.Connection, candidate: Candidate, fingerprint: str | None, diff: str, transcript: str
) -> None:
    db.execute(
        "INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            candidate.id, time.time(), candidate.parent, candidate.tree, candidate.subject, candidate.body,
            candidate.fate, candidate.reason, candidate.size, fingerprint, _put(db, diff.encode()),
            _put(db, transcript.encode()),
        ),
    )  # fmt: skip


def _insert_trial(db: sqlite3.Connection, trial: Trial, candidate: int, place: int) -> None:
    db.execute(
        "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            trial.id, time.time(), trial.tree, candidate, trial.task, trial.purpose, place, trial.seed, trial.score,
            trial.reason, _put(db, trial.transcript.encode()), json.dumps(asdict(trial.usage)), trial.seconds,
        ),
    )  # fmt: skip
