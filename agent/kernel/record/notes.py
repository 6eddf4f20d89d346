"""Named values and events of a campaign."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from agent.kernel.record.rows import EventRow
from agent.kernel.record.store import Store, insert

_OVERWRITTEN = frozenset({"seconds"})
"""Values that change all the time and whose history nobody needs: they are kept outside the chain."""


class Notes(Store):
    """The part of a ledger that holds named JSON values, and one line for people for each thing that happened."""

    def remember(self, key: str, value: Any) -> None:
        """Keep one named JSON value of the campaign; what it was before stays in the record."""
        text = json.dumps(value, sort_keys=True)
        if key in _OVERWRITTEN:
            with self._writing() as db:
                db.execute("INSERT OR REPLACE INTO gauges VALUES (?, ?)", (key, text))
        elif self._named(key) != text:
            with self._writing() as db:
                insert_named(db, key, text)

    def recollect(self, key: str) -> Any:
        """The named value, or None."""
        text = self._named(key)
        return None if text is None else json.loads(text)

    def history(self, key: str) -> list[tuple[float, Any]]:
        """(Unix seconds, value) of every value that was kept under a name, oldest first."""
        rows = self._rows("SELECT at, value FROM meta WHERE key = ? ORDER BY id", key)
        return [(float(at), json.loads(text)) for at, text in rows]

    def _named(self, key: str) -> str | None:
        if key in _OVERWRITTEN:
            rows = self._rows("SELECT value FROM gauges WHERE key = ?", key)
        else:
            rows = self._rows("SELECT value FROM meta WHERE key = ? ORDER BY id DESC LIMIT 1", key)
        return str(rows[0][0]) if rows else None

    def note(self, kind: str, text: str) -> None:
        """One line for people: what happened."""
        with self._writing() as db:
            insert(db, "events", at=time.time(), kind=kind, text=text)

    def events(self, after: int = 0, *, last: int | None = None) -> list[EventRow]:
        """Events with an id above `after`, all or the last ones, oldest first."""
        sql = "SELECT id, at, kind, text FROM events WHERE id > ? ORDER BY id DESC LIMIT ?"
        return [EventRow(*row) for row in reversed(self._rows(sql, after, -1 if last is None else last))]

    def latest(self, *kinds: str) -> EventRow | None:
        """The last event of any of these kinds; of all kinds if none is named."""
        chosen = f"WHERE kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        rows = self._rows(f"SELECT id, at, kind, text FROM events {chosen} ORDER BY id DESC LIMIT 1", *kinds)  # noqa: S608
        return EventRow(*rows[0]) if rows else None


def insert_named(db: sqlite3.Connection, key: str, text: str) -> None:
    """Add a row for a named value, within a transaction."""
    insert(db, "meta", at=time.time(), key=key, value=text)
