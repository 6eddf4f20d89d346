"""The file below a ledger: its version, its transactions, its hash chain, and the bodies it holds."""

from __future__ import annotations

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self

from agent.base.errors import RecordBroken
from agent.kernel.record.chain import COVERED, Value, link, look_up, name_parts
from agent.kernel.record.flush import Flush
from agent.kernel.record.mirror import Link, Mirror
from agent.kernel.record.schema import MIGRATIONS, SCHEMA_VERSION

ANCHOR_TRAILER = "Ratchet-Ledger"
"""Trailer of a commit that names the last link of the chain before it."""

_CACHE_KB = 16 * 1024


class Store:
    """One SQLite file (WAL). One process writes, under the campaign's lock; readers never make it wait.

    Raises:
        RecordBroken: the file cannot be opened, read or written, or is of another version.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._mirror: Mirror | None = None
        self._new: list[Link] = []
        self._grouped = False
        self._flush = Flush(path.with_name(f"{path.name}-wal"))
        with _broken(path):
            uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                # FULL: a commit survives a power cut. Costs about a millisecond a trial; measured as noise.
                self._db.execute("PRAGMA synchronous = FULL")
                # Without it INSERT OR REPLACE would bypass the triggers that keep rows as they are.
                self._db.execute("PRAGMA recursive_triggers = ON")
                self._db.create_function("link", -1, self._link)
            self._migrate(read_only=read_only)

    def _migrate(self, *, read_only: bool) -> None:
        version = self._version()
        if version > SCHEMA_VERSION or (read_only and version < SCHEMA_VERSION):
            fix = "`ratchet status` renews it" if version < SCHEMA_VERSION else "a newer one reads it"
            raise RecordBroken(f"{self.path}: ledger version {version}, this Ratchet reads {SCHEMA_VERSION}; {fix}")
        while version < SCHEMA_VERSION:
            with self._writing() as db:
                # Asked again under the write lock: another process may have been quicker.
                if (version := self._version()) < SCHEMA_VERSION:
                    MIGRATIONS[version](db)
                    version += 1
                    db.execute(f"PRAGMA user_version = {version}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and the mirror if there is one."""
        if self._mirror is not None:
            self._mirror.close()
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing. Within `together`, a part of that one."""
        if self._grouped:
            yield self._db
            return
        with _broken(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._new.clear()
                # SQLite rolls back by itself when a disk is full; then there is nothing left to roll back.
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        self._reflect()

    @contextmanager
    def _writing_soon(self) -> Iterator[sqlite3.Connection]:
        """A transaction that others see at once, and that is on the disk after the next other one, or `kept`."""
        self._db.execute("PRAGMA synchronous = NORMAL")  # of no effect within a transaction
        try:
            with self._writing() as db:
                yield db
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    async def kept(self) -> None:
        """Wait until all that was written before is on the disk: one flush for all who wait. Raises RecordBroken."""
        await self._flush.done()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is one transaction: all of it is kept, or nothing. Nothing may be awaited inside."""
        with self._writing():
            self._grouped = True
            try:
                yield
            finally:
                self._grouped = False

    def _reflect(self) -> None:
        """Show the mirror what was committed; one that cannot be written is given up, and an event says so."""
        if self._mirror is None:
            return
        self._mirror.add(self._new)
        self._new.clear()
        if (trouble := self._mirror.trouble) is not None:
            self._mirror = None
            with self._writing() as db:
                insert(db, "events", at=time.time(), kind="mirror", text=trouble)

    def _rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with _broken(self.path):
            return self._db.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: object) -> Iterator[sqlite3.Row]:
        """The rows of a query one by one, for tables that are too large to hold."""
        with _broken(self.path):
            yield from self._db.execute(sql, values)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that is read inside is as of one moment, whatever the writer does meanwhile."""
        with _broken(self.path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def damage(self) -> list[str]:
        """What SQLite itself finds wrong with the file; nothing for a whole one."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        rows = self._rows("PRAGMA foreign_key_check")
        return found + [f"a row of {row[0]} refers to one of {row[2]} that is not there" for row in rows]

    # -------------------------------------------------------------------------------- chain and mirror

    def _link(self, n: int, previous: bytes | None, table: str, *values: Value) -> bytes:
        digest = link(previous or b"", table, values)
        if self._mirror is not None:
            self._new.append((n, table, values, digest))
        return digest

    def head(self) -> tuple[int, str]:
        """The number and digest of the last link of the chain; (0, "") for an empty one."""
        rows = self._rows("SELECT n, digest FROM chain ORDER BY n DESC LIMIT 1")
        return (rows[0][0], rows[0][1].hex()) if rows else (0, "")

    def anchor(self) -> str:
        """The last link as a commit's trailer names it: number and digest."""
        return "{} {}".format(*self.head())

    def links(self, after: int) -> Iterator[Link]:
        """The chained rows whose number is above `after`, as they stand now; a row that is gone is left out."""
        looks = {table: look_up(table) for table in COVERED}
        chain = "SELECT n, what, key, digest FROM chain WHERE n > ? ORDER BY n"
        for n, table, key, digest in self.stream(chain, after):
            for row in self._rows(looks[table], *name_parts(table, key)):
                yield n, table, tuple(row), digest

    def mirror_to(self, folder: Path) -> None:
        """Keep `attempts.tsv` and `record.jsonl` in a folder: brought up to date now, and with every transaction."""
        self._mirror = Mirror(folder, self)
        self._reflect()

    # -------------------------------------------------------------------------------- bodies

    def blob(self, digest: str) -> bytes:
        """One stored body. Raises RecordBroken if it is not what its hash says."""
        rows = self._rows("SELECT body FROM blobs WHERE hash = ?", digest)
        if not rows:
            raise RecordBroken(f"{self.path}: body {digest} is missing")
        return unpack(self.path, digest, rows[0][0])


def is_older(path: Path) -> bool:
    """Whether a ledger is of a version that a writer would renew. Raises RecordBroken."""
    with _broken(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as db:
        return 0 < int(db.execute("PRAGMA user_version").fetchone()[0]) < SCHEMA_VERSION


def unpack(path: Path, digest: str, packed: bytes) -> bytes:
    """A stored body, checked against its hash. Raises RecordBroken."""
    try:
        body = zlib.decompress(packed)
    except zlib.error as error:
        raise RecordBroken(f"{path}: body {digest} was changed ({error})") from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise RecordBroken(f"{path}: body {digest} was changed")
    return body


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    """Turn SQLite's own errors (disk full, read-only, not a database) into RecordBroken."""
    try:
        yield
    except sqlite3.Error as error:
        raise RecordBroken(f"{path}: {error}") from error


def put(db: sqlite3.Connection, body: bytes) -> str:
    """Store a body under its hash, once; returns the hash."""
    digest = hashlib.sha256(body).hexdigest()
    # Asked first: most bodies are messages that are known already, and compressing them costs more than asking.
    if db.execute("SELECT 1 FROM blobs WHERE hash = ?", (digest,)).fetchone() is None:
        db.execute("INSERT INTO blobs VALUES (?, ?)", (digest, zlib.compress(body)))
    return digest


def insert(db: sqlite3.Connection, table: str, /, **values: object) -> int:
    """Add a row, within a transaction; a column that is not given is NULL, an id the next one. Returns its row id."""
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 (our own names)
    return int(db.execute(sql, tuple(values.values())).lastrowid or 0)
