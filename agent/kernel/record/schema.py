"""The tables of a ledger, as a series of migrations: a new file goes through all, an older one through the rest.

The columns come from `columns.TABLES`; here are their names in older versions, the indices, the triggers and the
derived tables. A released migration always makes the same schema (tests compare it with a recorded ledger of each
version); a change is a new migration at the end. Each runs in one transaction together with the version number, so
that a process that is killed in the middle leaves the older ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from agent.kernel.record.chain import COVERED, link
from agent.kernel.record.columns import TABLES

_RENAMED_3: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {("trials", "trial_index"): "place", ("pairs", "pair_index"): "place", ("calls", "answer_scope"): "memo"}
)
"""What version 3 renamed: (table, column) -> its name before."""

_NEW_1: Final = ("calls", "candidates", "trials", "pairs", "commits", "events")
_TABLES_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blobs (hash TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
{tests};
{tables};
CREATE INDEX calls_by_memo ON calls (memo, key, k) WHERE fresh AND memo IS NOT NULL;
CREATE INDEX calls_by_trial ON calls (trial);
CREATE INDEX trials_by_candidate ON trials (candidate, purpose, place)
"""

# A fate, a verdict and a named value become rows of their own: nothing is overwritten any more.
_TABLES_2 = """
ALTER TABLE meta RENAME TO meta_1;
{meta};
CREATE INDEX meta_by_key ON meta (key);
CREATE TABLE gauges (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta (at, key, value) SELECT 0.0, key, value FROM meta_1 WHERE key <> 'seconds' ORDER BY key;
INSERT INTO gauges SELECT key, value FROM meta_1 WHERE key = 'seconds';
DROP TABLE meta_1;
{fates};
CREATE INDEX fates_by_candidate ON fates (candidate);
{verdicts};
CREATE INDEX verdicts_by_test ON verdicts (test);
INSERT INTO verdicts (at, test, verdict, decision)
  SELECT at, id, verdict, coalesce(decision, '{{}}') FROM tests WHERE verdict IS NOT NULL ORDER BY id;
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

# Every row is linked into the chain in the transaction that writes it. `link` is a function of `Store`.
_LINKED_2 = """
    CREATE TRIGGER {table}_linked AFTER INSERT ON {table} BEGIN
      INSERT INTO chain SELECT m + 1, '{table}', {key},
          link(m + 1, (SELECT digest FROM chain WHERE n = m), '{table}', {new})
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END
    """


def _to_1(db: sqlite3.Connection) -> None:
    tests = _create("tests", extra=["verdict TEXT", "decision TEXT"])
    _execute(db, _TABLES_1.format(tests=tests, tables=";\n".join(_create(table) for table in _NEW_1)))


def _to_2(db: sqlite3.Connection) -> None:
    _execute(db, _TABLES_2.format(**{table: _create(table) for table in ("meta", "fates", "verdicts")}))
    _chain_existing_rows(db)
    for statement in (*_SUMS_2, *_linked(_since(1)), *_kept([*_since(1), "blobs", "chain"])):
        db.execute(statement)


def _to_3(db: sqlite3.Connection) -> None:
    """Rename columns: indices and triggers follow by themselves, and the chain hashes values, not names."""
    for (table, column), before in _RENAMED_3.items():
        db.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {column}")
    db.execute("DROP INDEX calls_by_memo")
    db.execute(
        "CREATE INDEX calls_by_answer_scope ON calls (answer_scope, key, k) WHERE fresh AND answer_scope IS NOT NULL"
    )


def _to_4(db: sqlite3.Connection) -> None:
    """Tables for what some calls have to say besides, and for calls that were refused."""
    for table in _since(4):
        db.execute(_create(table))
    db.execute("CREATE INDEX refusals_by_trial ON refusals (trial)")
    for statement in (*_linked(_since(4)), *_kept(_since(4))):
        db.execute(statement)


def _since(version: int) -> list[str]:
    return [name for name, table in TABLES.items() if table.since == version]


def _execute(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        db.execute(statement)


def _create(table: str, extra: Sequence[str] = ()) -> str:
    """CREATE TABLE with the column names of before version 3."""
    described = TABLES[table]
    columns = [f"{_before_3(table, name)} {declared}" for name, declared in described.columns.items()]
    if len(described.key) > 1:
        columns.append(f"PRIMARY KEY ({', '.join(_before_3(table, name) for name in described.key)})")
    return f"CREATE TABLE {table} (\n  {', '.join([*columns, *extra])}){described.ending}"


def _before_3(table: str, column: str) -> str:
    return _RENAMED_3.get((table, column), column)


def _columns_before_3(table: str, prefix: str = "") -> str:
    return ", ".join(f"{prefix}{_before_3(table, column)}" for column in COVERED[table])


def _key_before_3(table: str, prefix: str = "") -> str:
    return " || ':' || ".join(f"{prefix}{_before_3(table, column)}" for column in TABLES[table].key)


def _chain_existing_rows(db: sqlite3.Connection) -> None:
    """Chain the rows of a ledger of version 1 as they are, table by table: it guarantees nothing before that."""

    def links() -> Iterator[tuple[int, str, object, bytes]]:
        n, last = 0, b""
        for table in _since(1):
            sql = f"SELECT {_key_before_3(table)}, {_columns_before_3(table)} FROM {table} ORDER BY at, 1"  # noqa: S608
            for key, *values in db.execute(sql):
                n, last = n + 1, link(last, table, values)
                yield n, table, key, last

    db.executemany("INSERT INTO chain VALUES (?, ?, ?, ?)", links())


def _linked(tables: Iterable[str]) -> Iterator[str]:
    for table in tables:
        names = {"key": _key_before_3(table, "new."), "new": _columns_before_3(table, "new.")}
        yield _LINKED_2.format(table=table, **names)


def _kept(tables: Iterable[str]) -> Iterator[str]:
    for table in tables:
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def described(query: Callable[[str], Iterable[Sequence[str]]]) -> dict[str, str]:
    """Every table, index and trigger of a ledger, such as `table trials`, with its SQL; layout does not count."""
    rows = query("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()).replace("( ", "(") for name, sql in rows}


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_to_1, _to_2, _to_3, _to_4)
"""MIGRATIONS[n] takes a ledger from version n to n + 1."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
