"""The hash chain over the rows of a ledger: which rows it covers, and how one link follows from the last.

Covered: every row of every table in `columns.TABLES`, all its columns, in the order in which they were written. A body
(transcript, request, answer) is covered through its hash, which is in the row that refers to it.

Not covered: `gauges` (how long a campaign ran), and the sums in `tallies` and `spending`, which are computed again
from covered rows. There is no secret: anyone who can write the file can compute a whole new chain. Only a link that
was published elsewhere (the trailer `Ratchet-Ledger` of a commit) binds what came before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from agent.kernel.record.columns import TABLES

COVERED: Final[Mapping[str, Sequence[str]]] = MappingProxyType({name: tuple(t.columns) for name, t in TABLES.items()})
"""Table -> its columns, in the order in which they are hashed."""

Value = str | int | float | None

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def where(table: str) -> str:
    """SQL that finds a row by its name, given to each `?`."""
    return " AND ".join(f"{column} = ?" for column in TABLES[table].key)


def look_up(table: str) -> str:
    """SQL for all columns of one row by its name."""
    return f"SELECT {', '.join(COVERED[table])} FROM {table} WHERE {where(table)}"  # noqa: S608 (our own names)


def name_parts(table: str, key: str | int) -> Sequence[str | int]:
    """What `where` is given for a row's name."""
    return [int(part) for part in str(key).split(":")] if len(TABLES[table].key) > 1 else [key]


def key_of(table: str, prefix: str = "") -> str:
    """SQL for the name by which the chain knows a row of a table; `prefix` may be `new.`."""
    return " || ':' || ".join(f"{prefix}{column}" for column in TABLES[table].key)


def link(previous: bytes, table: str, values: Sequence[Value]) -> bytes:
    """SHA-256 of the previous link (nothing before the first) and the JSON array [table, values...] in UTF-8."""
    return hashlib.sha256(previous + _ENCODE([table, *values]).encode()).digest()
