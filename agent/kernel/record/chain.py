"""The hash chain over the rows of a ledger: which rows it covers, and how one link follows from the last.

Covered: every row of every table in `COVERED`, all its columns, in the order in which they were written. A body
(transcript, request, answer) is covered through its hash, which stands in the row that refers to it.

Not covered: `gauges` (how long a campaign ran), and the sums in `tallies` and `spending`, which are computed again
from covered rows. Nobody holds a secret here: who can write the file can compute a whole new chain. Only a link that
was published elsewhere (the trailer `Ratchet-Ledger` of a commit) binds what came before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

COVERED: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "meta": ("id", "at", "key", "value"),
        "calls": (
            "id", "at", "trial", "role", "model", "key", "k", "memo", "fresh", "request", "response", "status",
            "tokens_in", "tokens_out", "dollars", "seconds", "retries",
        ),
        "candidates": (
            "id", "at", "parent", "tree", "subject", "body", "fate", "reason", "size", "fingerprint", "diff",
            "transcript",
        ),
        "fates": ("id", "at", "candidate", "fate", "reason"),
        "trials": (
            "id", "at", "tree", "candidate", "task", "purpose", "place", "seed", "score", "reason", "transcript",
            "usage", "seconds",
        ),
        "tests": ("id", "at", "candidate", "champion", "commits", "policy"),
        "pairs": ("test", "place", "at", "task", "champion_trial", "candidate_trial", "void_side"),
        "verdicts": ("id", "at", "test", "verdict", "decision"),
        "commits": ("sha", "at", "candidate", "test", "parent"),
        "events": ("id", "at", "kind", "text"),
    }
)  # fmt: skip
"""Table -> its columns, in the order in which they are hashed."""

KEYS: Final[Mapping[str, str]] = MappingProxyType({"pairs": "{0}test || ':' || {0}place", "commits": "{0}sha"})
"""Table -> SQL for the name of a row (`{0}` is a prefix such as `new.`), where that is not its column `id`."""

Value = str | int | float | None

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def where(table: str) -> str:
    """SQL that finds a row by its name, given to each `?`."""
    return {"pairs": "test = ? AND place = ?", "commits": "sha = ?"}.get(table, "id = ?")


def name_parts(table: str, key: str | int) -> Sequence[str | int]:
    """What `where` is given for a row's name."""
    return [int(part) for part in str(key).split(":")] if table == "pairs" else [key]


def key_of(table: str, prefix: str = "") -> str:
    """SQL for the name by which the chain knows a row of a table."""
    return KEYS.get(table, "{0}id").format(prefix)


def link(previous: bytes, table: str, values: Sequence[Value]) -> bytes:
    """SHA-256 of the previous link (nothing before the first) and the JSON array [table, values...] in UTF-8."""
    return hashlib.sha256(previous + _ENCODE([table, *values]).encode()).digest()
