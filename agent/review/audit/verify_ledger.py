"""`ratchet verify --ledger`: whether every row of a ledger is as it was written.

Covered: rows and links that were changed, deleted or inserted; bodies that are missing or do not match their hash;
changed sums and triggers; a rewritten chain, up to the last link that a commit names (trailer `Ratchet-Ledger`).

Not covered: rows after the last named link, if somebody who can write the file recomputes the chain from there;
everything, if the commits are rewritten as well; the mirror files.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache

from agent.base.errors import RecordBroken
from agent.kernel.git.messages import Commit
from agent.kernel.record.chain import COVERED, key_of, link, look_up, name_parts
from agent.kernel.record.columns import TABLES
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.schema import MIGRATIONS, described
from agent.kernel.record.store import ANCHOR_TRAILER, unpack

_REFERENCES = [(name, column) for name, table in TABLES.items() for column in table.bodies]
_TALLIES = "SELECT candidate || ' ' || purpose, count(*), total(score), max(trial_index) FROM trials GROUP BY 1"
_KEPT_TALLIES = "SELECT candidate || ' ' || purpose, trials, total, top FROM tallies ORDER BY 1"
_SPENDING = (
    "SELECT role || ' ' || model, count(*), sum(fresh), sum(tokens_in), sum(tokens_out),"
    " sum(fresh * (tokens_in + tokens_out)), total(fresh * dollars), sum(fresh AND dollars IS NULL)"
    " FROM calls GROUP BY 1"
)
_KEPT_SPENDING = (
    "SELECT role || ' ' || model, calls, fresh_calls, tokens_in, tokens_out, fresh_tokens, dollars, unpriced"
    " FROM spending ORDER BY 1"
)
_STEP = 10_000
_LINK = re.compile(r"[0-9]{1,18}")
"""A number that SQLite can hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """One thing that is not as it was written: its name, such as `trials 3f9a`, and what is wrong with it."""

    name: str
    said: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """A link of the chain as it was published, and where."""

    n: int
    digest: str
    where: str


Steps = Callable[[int], None]
"""Gets the number of links and bodies checked since the last call."""


def anchors(commits: Iterable[Commit]) -> list[Anchor]:
    """The links that commits name in their trailers; a malformed trailer becomes a link that nothing matches."""
    found = []
    for commit in commits:
        if (said := commit.trailers.get(ANCHOR_TRAILER)) is not None:
            number, _, digest = said.partition(" ")
            n = int(number) if _LINK.fullmatch(number) else 0
            found.append(Anchor(n=n, digest=digest, where=f"commit {commit.sha[:12]}"))
    return found


def verify_ledger(ledger: Ledger, published: Sequence[Anchor] = (), progress: Steps = lambda _: None) -> list[Broken]:
    """Everything that is not as it was written, as of one moment; the campaign may keep running."""
    with ledger.snapshot():
        return [
            *_schema(ledger),
            *_chain(ledger, progress),
            *(one for anchor in published for one in unlike(ledger, anchor)),
            *_bodies(ledger, progress),
            *_references(ledger),
            *_sums(ledger, "sum of trials of", _TALLIES, _KEPT_TALLIES),
            *_sums(ledger, "sum of calls of", _SPENDING, _KEPT_SPENDING),
        ]


# ------------------------------------------------------------------------------------ schema


def _schema(ledger: Ledger) -> Iterator[Broken]:
    """Compare tables, indices and triggers with those that the migrations make."""
    due, found = _due_schema(), described(ledger.stream)
    for name in sorted(due.keys() | found.keys()):
        if due.get(name) != found.get(name):
            said = "is missing" if name not in found else "was changed" if name in due else "does not belong there"
            yield Broken(name=name, said=said)


@cache
def _due_schema() -> Mapping[str, str]:
    with closing(sqlite3.connect(":memory:")) as db:
        for migrate in MIGRATIONS:
            migrate(db)
        return described(db.execute)


# ------------------------------------------------------------------------------------ chain


def _chain(ledger: Ledger, progress: Steps) -> Iterator[Broken]:
    looks = {table: look_up(table) for table in COVERED}
    met, seen, last, before = Counter[str](), 0, b"", "the beginning"
    for n, table, key, digest in ledger.stream("SELECT n, what, key, digest FROM chain ORDER BY n"):
        name, whole = f"{table} {key}", n == seen + 1
        if not whole:
            yield Broken(name=f"links {seen + 1} to {n - 1}", said=f"are gone, between {before} and {name}")
        rows = [*ledger.stream(looks[table], *name_parts(table, key))] if table in looks else []
        met[table] += len(rows)
        if not rows:
            yield Broken(name=name, said=f"was deleted; link {n} of the chain knows it")
        elif whole and link(last, table, tuple(rows[0])) != digest:
            yield Broken(name=name, said=f"was changed, or the chain was, at link {n} or before it at {before}")
        seen, last, before = n, digest, name
        if n % _STEP == 0:
            progress(_STEP)
    yield from _unchained(ledger, met)


def unlike(ledger: Ledger, anchor: Anchor) -> Iterator[Broken]:
    """Whether a published link is in the chain."""
    rows = ledger.stream("SELECT digest FROM chain WHERE n = ?", anchor.n)
    if [row[0].hex() for row in rows] != [anchor.digest]:
        said = f"names another link {anchor.n} than the ledger holds: the chain was cut or rewritten"
        yield Broken(name=anchor.where, said=said)


def _unchained(ledger: Ledger, met: Mapping[str, int]) -> Iterator[Broken]:
    """Rows that no link knows; searched only where there are more rows than links."""
    for table in COVERED:
        if next(ledger.stream(f"SELECT count(*) FROM {table}"))[0] > met.get(table, 0):  # noqa: S608
            known = "SELECT key FROM chain WHERE what = ?"
            sql = f"SELECT {key_of(table)} FROM {table} WHERE {key_of(table)} NOT IN ({known})"  # noqa: S608
            for row in ledger.stream(sql, table):
                yield Broken(name=f"{table} {row[0]}", said="was inserted: no link of the chain knows it")


# ------------------------------------------------------------------------------------ bodies


def _bodies(ledger: Ledger, progress: Steps) -> Iterator[Broken]:
    for number, (digest, body) in enumerate(ledger.stream("SELECT hash, body FROM blobs"), 1):
        try:
            unpack(ledger.path, digest, body)
        except RecordBroken:
            yield Broken(name=f"body {digest[:12]}", said=f"was changed{_used_by(ledger, digest)}")
        if number % _STEP == 0:
            progress(_STEP)


def _used_by(ledger: Ledger, digest: str) -> str:
    for table, column in _REFERENCES:
        for row in ledger.stream(f"SELECT id FROM {table} WHERE {column} = ? LIMIT 1", digest):  # noqa: S608
            return f"; it is the {column} of {table} {row[0]}"
    return "; it is a part of requests"


def _references(ledger: Ledger) -> Iterator[Broken]:
    """Bodies that are named but missing."""
    for table, column in _REFERENCES:
        sql = f"SELECT id, {column} FROM {table} WHERE {column} NOT IN (SELECT hash FROM blobs)"  # noqa: S608
        for row in ledger.stream(sql):
            yield Broken(name=f"body {row[1][:12]}", said=f"is gone; it is the {column} of {table} {row[0]}")
    for call, request in ledger.stream("SELECT id, request FROM calls"):
        for digest in _parts(request):
            if not [*ledger.stream("SELECT 1 FROM blobs WHERE hash = ?", digest)]:
                yield Broken(name=f"body {digest[:12]}", said=f"is gone; it is a part of the request of calls {call}")


def _parts(request: str) -> list[str]:
    """The bodies that a stored request names; none if it is malformed, which the chain reports."""
    try:
        skeleton, hashes, field = json.loads(request)
        return [str(digest) for digest in (hashes if field is not None else [skeleton])]
    except (ValueError, TypeError):
        return []


# ------------------------------------------------------------------------------------ sums


def _sums(ledger: Ledger, what: str, due: str, kept: str) -> Iterator[Broken]:
    """Compare the stored sums with the rows that they sum up."""
    right = {row[0]: tuple(row)[1:] for row in ledger.stream(due)}
    found = {row[0]: tuple(row)[1:] for row in ledger.stream(kept)}
    for name in sorted(right.keys() | found.keys()):
        pairs = zip(right.get(name, ()), found.get(name, ()), strict=False)
        if (name in right) != (name in found) or not all(math.isclose(a, b, rel_tol=1e-9) for a, b in pairs):
            yield Broken(name=f"{what} {name}", said="is not the sum of its rows")
