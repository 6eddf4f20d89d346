"""The one table of columns: what each row of the record holds. Schema, chain, mirror and export follow from it.

A row of any of these tables is written once, never changed, and linked into the hash chain with all its columns, in
this order. Tables that are derived from them (`tallies`, `spending`) and the stored bodies (`blobs`) are in `schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_KINDS: Final = MappingProxyType({"INTEGER": int, "REAL": float, "TEXT": str})


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns with their SQL declarations, and the columns that name a row."""

    columns: Mapping[str, str]
    key: tuple[str, ...] = ("id",)
    ending: str = ""
    """What its CREATE TABLE ends with, after the columns' closing parenthesis."""
    since: int = 1
    """The version of the ledger that brought it."""

    @property
    def bodies(self) -> tuple[str, ...]:
        """The columns that hold the hash of a stored body."""
        return tuple(name for name, declared in self.columns.items() if "REFERENCES blobs" in declared)

    @property
    def kinds(self) -> dict[str, type]:
        """Each column's type in Python; NULL is None."""
        return {name: _KINDS[declared.split()[0]] for name, declared in self.columns.items()}


TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "meta": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "key": "TEXT NOT NULL",
                "value": "TEXT NOT NULL",
            }
        ),
        "calls": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "trial": "TEXT NOT NULL",
                "role": "TEXT NOT NULL",
                "model": "TEXT NOT NULL",
                "key": "TEXT NOT NULL",
                "k": "INTEGER NOT NULL",
                "answer_scope": "TEXT",
                "fresh": "INTEGER NOT NULL",
                "request": "TEXT NOT NULL",
                "response": "TEXT NOT NULL REFERENCES blobs",
                "status": "INTEGER NOT NULL",
                "tokens_in": "INTEGER NOT NULL",
                "tokens_out": "INTEGER NOT NULL",
                "dollars": "REAL",
                "seconds": "REAL NOT NULL",
                "retries": "INTEGER NOT NULL",
            }
        ),
        # One row for a call that has more to say than most: its id is the call's.
        "details": Table(
            {
                "id": "INTEGER PRIMARY KEY REFERENCES calls",
                "at": "REAL NOT NULL",
                "cache_read": "INTEGER NOT NULL",
                "cache_write": "INTEGER NOT NULL",
                "saved": "REAL NOT NULL",
                "left_out": "TEXT NOT NULL",
            },
            since=4,
        ),
        # A refusal that comes again is a further row, with how often it came.
        "refusals": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "trial": "TEXT NOT NULL",
                "path": "TEXT NOT NULL",
                "status": "INTEGER NOT NULL",
                "code": "TEXT NOT NULL",
                "reason": "TEXT NOT NULL",
                "times": "INTEGER NOT NULL",
            },
            since=4,
        ),
        "candidates": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "parent": "INTEGER REFERENCES candidates",
                "tree": "TEXT",
                "subject": "TEXT NOT NULL",
                "body": "TEXT NOT NULL",
                "fate": "TEXT NOT NULL",
                "reason": "TEXT NOT NULL",
                "size": "INTEGER NOT NULL",
                "fingerprint": "TEXT",
                "diff": "TEXT REFERENCES blobs",
                "transcript": "TEXT REFERENCES blobs",
            }
        ),
        "fates": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "candidate": "INTEGER NOT NULL REFERENCES candidates",
                "fate": "TEXT NOT NULL",
                "reason": "TEXT NOT NULL",
            }
        ),
        "trials": Table(
            {
                "id": "TEXT PRIMARY KEY",
                "at": "REAL NOT NULL",
                "tree": "TEXT NOT NULL",
                "candidate": "INTEGER NOT NULL REFERENCES candidates",
                "task": "TEXT NOT NULL",
                "purpose": "TEXT NOT NULL",
                "trial_index": "INTEGER NOT NULL",
                "seed": "INTEGER NOT NULL",
                "score": "REAL NOT NULL",
                "reason": "TEXT NOT NULL",
                "transcript": "TEXT NOT NULL REFERENCES blobs",
                "usage": "TEXT NOT NULL",
                "seconds": "REAL NOT NULL",
            }
        ),
        "tests": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "candidate": "INTEGER NOT NULL REFERENCES candidates",
                "champion": "INTEGER NOT NULL REFERENCES candidates",
                "commits": "INTEGER NOT NULL",
                "policy": "TEXT NOT NULL",
            }
        ),
        "pairs": Table(
            {
                "test": "INTEGER NOT NULL REFERENCES tests",
                "pair_index": "INTEGER NOT NULL",
                "at": "REAL NOT NULL",
                "task": "TEXT NOT NULL",
                "champion_trial": "TEXT REFERENCES trials",
                "candidate_trial": "TEXT REFERENCES trials",
                "void_side": "TEXT",
            },
            key=("test", "pair_index"),
            ending=" WITHOUT ROWID",
        ),
        "verdicts": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "test": "INTEGER NOT NULL REFERENCES tests",
                "verdict": "TEXT NOT NULL",
                "decision": "TEXT NOT NULL",
            }
        ),
        "commits": Table(
            {
                "sha": "TEXT PRIMARY KEY",
                "at": "REAL NOT NULL",
                "candidate": "INTEGER NOT NULL REFERENCES candidates",
                "test": "INTEGER REFERENCES tests",
                "parent": "TEXT NOT NULL",
            },
            key=("sha",),
            ending=" WITHOUT ROWID",
        ),
        "events": Table(
            {
                "id": "INTEGER PRIMARY KEY",
                "at": "REAL NOT NULL",
                "kind": "TEXT NOT NULL",
                "text": "TEXT NOT NULL",
            }
        ),
    }
)
"""Table -> its columns. The order of the columns is the order in which the chain hashes them."""
