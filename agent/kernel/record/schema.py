"""The tables of a ledger, as a row of migrations: a new file goes through all of them, an older one through the rest.

A migration that has been released is never edited; a change of the schema is a new one at the end. Each runs in one
transaction together with the version number, so that a process that is killed in it leaves the older ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

from agent.kernel.record.chain import COVERED, key_of, link

_TABLES_1 = """
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
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL)
"""

# A fate, a verdict and a named value become rows of their own: nothing that was said is overwritten any more.
_TABLES_2 = """
ALTER TABLE meta RENAME TO meta_1;
CREATE TABLE meta (id INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL);
CREATE INDEX meta_by_key ON meta (key);
CREATE TABLE gauges (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta (at, key, value) SELECT 0.0, key, value FROM meta_1 WHERE key <> 'seconds' ORDER BY key;
INSERT INTO gauges SELECT key, value FROM meta_1 WHERE key = 'seconds';
DROP TABLE meta_1;
CREATE TABLE fates (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates, fate TEXT NOT NULL,
  reason TEXT NOT NULL);
CREATE INDEX fates_by_candidate ON fates (candidate);
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, test INTEGER NOT NULL REFERENCES tests, verdict TEXT NOT NULL,
  decision TEXT NOT NULL);
CREATE INDEX verdicts_by_test ON verdicts (test);
INSERT INTO verdicts (at, test, verdict, decision)
  SELECT at, id, verdict, coalesce(decision, '{}') FROM tests WHERE verdict IS NOT NULL ORDER BY id;
ALTER TABLE tests DROP COLUMN verdict;
ALTER TABLE tests DROP COLUMN decision;
CREATE INDEX candidates_by_fingerprint ON candidates (fingerprint) WHERE tree IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind);
CREATE TABLE tallies (
  candidate INTEGER NOT NULL, purpose TEXT NOT NULL, trials INTEGER NOT NULL, total REAL NOT NULL,
  top INTEGER NOT NULL, PRIMARY KEY (candidate, purpose)) WITHOUT ROWID;
INSERT INTO tallies SELECT candidate, purpose, count(*), total(score), max(place) FROM trials GROUP BY 1, 2;
CREATE TABLE spending (
  role TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL, fresh_calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, fresh_tokens INTEGER NOT NULL, dollars REAL NOT NULL,
  unpriced INTEGER NOT NULL, PRIMARY KEY (role, model)) WITHOUT ROWID;
INSERT INTO spending
  SELECT role, model, count(*), sum(fresh), sum(tokens_in), sum(tokens_out), sum(fresh * (tokens_in + tokens_out)),
    total(fresh * dollars), sum(fresh AND dollars IS NULL) FROM calls GROUP BY 1, 2;
CREATE TABLE chain (n INTEGER PRIMARY KEY, what TEXT NOT NULL, key NOT NULL, digest BLOB NOT NULL)
"""

_SUMS_2 = (
    """
    CREATE TRIGGER trials_tallied AFTER INSERT ON trials BEGIN
      INSERT INTO tallies VALUES (new.candidate, new.purpose, 1, new.score, new.place)
        ON CONFLICT (candidate, purpose) DO UPDATE SET
          trials = trials + 1, total = total + excluded.total, top = max(top, excluded.top);
    END
    """,
    """
    CREATE TRIGGER calls_tallied AFTER INSERT ON calls BEGIN
      INSERT INTO spending VALUES (
        new.role, new.model, 1, new.fresh, new.tokens_in, new.tokens_out,
        new.fresh * (new.tokens_in + new.tokens_out), coalesce(new.fresh * new.dollars, 0.0),
        new.fresh AND new.dollars IS NULL)
        ON CONFLICT (role, model) DO UPDATE SET
          calls = calls + 1, fresh_calls = fresh_calls + excluded.fresh_calls,
          tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out,
          fresh_tokens = fresh_tokens + excluded.fresh_tokens, dollars = dollars + excluded.dollars,
          unpriced = unpriced + excluded.unpriced;
    END
    """,
)

# Every row takes its place in the chain in the transaction that writes it. `link` is a function of `Store`.
_LINKED_2 = """
    CREATE TRIGGER {table}_linked AFTER INSERT ON {table} BEGIN
      INSERT INTO chain SELECT m + 1, '{table}', {key},
          link(m + 1, (SELECT digest FROM chain WHERE n = m), '{table}', {new})
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END
    """


def _to_1(db: sqlite3.Connection) -> None:
    for statement in _TABLES_1.split(";"):
        db.execute(statement)


def _to_2(db: sqlite3.Connection) -> None:
    for statement in _TABLES_2.split(";"):
        db.execute(statement)
    _chain_what_is_there(db)
    for statement in (*_SUMS_2, *_linked(), *_kept()):
        db.execute(statement)


def _chain_what_is_there(db: sqlite3.Connection) -> None:
    """A ledger of version 1 vouches for nothing; its rows are chained as they stand, table by table."""

    def links() -> Iterator[tuple[int, str, object, bytes]]:
        n, last = 0, b""
        for table, columns in COVERED.items():
            rows = db.execute(f"SELECT {key_of(table)}, {', '.join(columns)} FROM {table} ORDER BY at, 1")  # noqa: S608
            for key, *values in rows:
                n, last = n + 1, link(last, table, values)
                yield n, table, key, last

    db.executemany("INSERT INTO chain VALUES (?, ?, ?, ?)", links())


def _linked() -> Iterator[str]:
    for table, columns in COVERED.items():
        new = ", ".join(f"new.{column}" for column in columns)
        names = {"table": table, "key": key_of(table, "new."), "new": new}
        yield _LINKED_2.format(**names)


def _kept() -> Iterator[str]:
    for table in (*COVERED, "blobs", "chain"):
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_to_1, _to_2)
"""MIGRATIONS[n] takes a ledger from version n to n + 1."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
