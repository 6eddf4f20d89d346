"""A ledger as a forger finds it: a connection on which nothing keeps rows as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def tampering(file: Path) -> Iterator[sqlite3.Connection]:
    """Write past the triggers; they are back afterwards, so that only the rows tell."""
    with closing(sqlite3.connect(file)) as db, db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        yield db
        for _, sql in triggers:
            db.execute(sql)
