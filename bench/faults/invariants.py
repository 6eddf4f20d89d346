"""What must hold after a campaign was killed and resumed, read from outside: SQLite, git, Docker, files."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from agent.base.refusal import Aside
from agent.kernel.record.schema import SCHEMA_VERSION
from bench.faults.home import PARALLEL, Home, Model

IN_FLIGHT = PARALLEL + 1
"""Model calls that one kill can lose: one a box, and the proposal's."""

_KEPT = {
    "trials": "SELECT id, candidate, purpose, trial_index, tree, task, seed, score, transcript FROM trials ORDER BY id",
    "calls": "SELECT id, trial, key, k, answer_scope, fresh, response, tokens_in, tokens_out, dollars FROM calls"
    " ORDER BY id",
    "candidates": "SELECT id, parent, tree, subject, diff FROM candidates ORDER BY id",
    "tests": "SELECT id, candidate, champion, commits, policy FROM tests ORDER BY id",
    "pairs": "SELECT test, pair_index, task, champion_trial, candidate_trial, void_side FROM pairs ORDER BY 1, 2",
    "verdicts": "SELECT id, test, verdict, decision FROM verdicts ORDER BY id",
    "fates": "SELECT id, candidate, fate, reason FROM fates ORDER BY id",
    "meta": "SELECT id, key, value FROM meta ORDER BY id",
    "commits": "SELECT sha, parent, candidate, test FROM commits ORDER BY at",
    "events": "SELECT id, kind, text FROM events ORDER BY id",
}
_TWICE = {
    "a search, holdout or A/A trial": "SELECT candidate, purpose, trial_index FROM trials WHERE purpose IN"
    " ('search', 'holdout', 'same') GROUP BY 1, 2, 3 HAVING count(*) > 1",
    "a paid answer": "SELECT answer_scope, key, k FROM calls WHERE fresh AND status = 200 AND answer_scope IS NOT NULL"
    " GROUP BY 1, 2, 3 HAVING count(*) > 1",
    "a commit": "SELECT candidate FROM commits GROUP BY 1 HAVING count(*) > 1",
}
_NEVER = {
    "a pair before its test": "SELECT 1 FROM pairs p JOIN tests t ON t.id = p.test WHERE p.at < t.at",
    "a gate trial without a pair": "SELECT id FROM trials WHERE purpose = 'gate' AND id NOT IN (SELECT champion_trial"
    " FROM pairs WHERE champion_trial NOT NULL UNION SELECT candidate_trial FROM pairs WHERE candidate_trial NOT NULL)",
    "a hole in the gate's indices": "SELECT 1 WHERE (SELECT max(id) FROM tests) <> (SELECT count(*) FROM tests)",
    "a broken reference": "PRAGMA foreign_key_check",
}

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the ledger held at one moment."""

    rows: Rows


def read_only(ledger: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)


def snapshot(ledger: Path) -> Snapshot:
    """Everything that must still be there, unchanged, at the end."""
    if not ledger.exists():
        return Snapshot(rows={})
    with read_only(ledger) as db:
        if not has_schema(db):
            return Snapshot(rows={})
        return Snapshot(rows={table: db.execute(sql).fetchall() for table, sql in _KEPT.items()})


def has_schema(db: sqlite3.Connection) -> bool:
    """Whether all of the ledger's tables were made already: a process may be killed, or looked at, before that."""
    return int(db.execute("PRAGMA user_version").fetchone()[0]) == SCHEMA_VERSION


def kept(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Rows of an earlier moment that are gone or changed."""
    for table, rows in before.rows.items():
        later = set(after.rows.get(table, []))
        lost = [row for row in rows if row not in later]
        if lost:
            yield f"{table}: {len(lost)} rows of before the kill are gone or changed, such as {lost[0]}"


def violations(home: Home, name: str) -> Iterator[str]:
    """Everything that is wrong with an ended campaign."""
    folder = home.folder / "runs" / name
    with read_only(folder / "ledger.sqlite") as db:
        yield from _in_the_ledger(db)
        yield from _between_ledger_and_git(home, name, db)
        yield from _spend(home, name, db)
    proven = home.ratchet("verify", "--ledger", f"{name}.yaml")
    if proven.returncode != 0:
        yield f"`ratchet verify --ledger`: {proven.stdout[-400:]}{proven.stderr[-400:]}"
    yield from _left_behind(home, name, folder)


def _in_the_ledger(db: sqlite3.Connection) -> Iterator[str]:
    if (said := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
        yield f"integrity: {said}"
    for what, sql in _TWICE.items():
        if rows := db.execute(sql).fetchall():
            yield f"twice: {what}: {rows[:3]}"
    for what, sql in _NEVER.items():
        if rows := db.execute(sql).fetchall():
            yield f"{what}: {rows[:3]}"


def _between_ledger_and_git(home: Home, name: str, db: sqlite3.Connection) -> Iterator[str]:
    row = db.execute("SELECT value FROM meta WHERE key = 'base' ORDER BY id DESC LIMIT 1").fetchone()
    base = json.loads(row[0])
    commits = db.execute("SELECT sha, parent FROM commits ORDER BY at").fetchall()
    chain = home.git("rev-list", "--reverse", f"{base}..ratchet/{name}").split()
    if chain != [sha for sha, _ in commits]:
        yield f"the branch holds {chain}, the ledger {commits}"
    if [parent for _, parent in commits] != [base, *chain][: len(commits)]:
        yield f"parents of the commits: {commits}"
    refs = f"refs/ratchet/{name}/candidates"
    out = home.git("for-each-ref", "--format=%(refname:lstrip=4) %(tree)", refs).split("\n")
    saved = {int(line.split()[0]): line.split()[1] for line in out if line}
    known = dict(db.execute("SELECT id, tree FROM candidates WHERE tree NOT NULL AND id > 0").fetchall())
    if saved != known:
        yield f"candidates' refs {saved}, ledger {known}"


def _spend(home: Home, name: str, db: sqlite3.Connection) -> Iterator[str]:
    facts = json.loads(home.ratchet("status", "--json", f"{name}.yaml").stdout)
    calls, tokens, dollars = db.execute(
        "SELECT coalesce(sum(fresh), 0), coalesce(sum(fresh * (tokens_in + tokens_out)), 0),"
        " coalesce(sum(fresh * dollars), 0) FROM calls"
    ).fetchone()
    if (facts["calls"], facts["tokens"], facts["dollars"]) != (calls, tokens, round(dollars, 6)):
        told = f"{facts['calls']} calls, {facts['tokens']} tokens"
        yield f"spend is told as {told}; the calls sum up to {calls} and {tokens}"


def paid(home: Home, served: int, kills: int, names: list[str]) -> str | None:
    """The model's own count of answers against the ledgers': a kill loses those in flight, nothing is asked again.

    A call that was given up is booked too, and may or may not have been answered.
    """
    answered = booked = 0
    for name in names:
        with read_only(home.folder / "runs" / name / "ledger.sqlite") as db:
            asides = ", ".join(f"'{kind}'" for kind in Aside)  # the model counts answers to boxes alone
            sql = (
                "SELECT coalesce(sum(fresh AND status = 200), 0), coalesce(sum(fresh), 0) FROM calls"  # noqa: S608 (our own names)
                f" WHERE trial NOT IN ({asides})"
            )
            good, every = db.execute(sql).fetchone()
            answered, booked = answered + good, booked + every
    if answered <= served <= booked + kills * IN_FLIGHT:
        return None
    return f"the model gave {served} answers, the ledgers hold {answered} of {booked} calls (after {kills} kills)"


def served() -> int:
    """Answers that the model gave to boxes; what we asked ourselves is not counted."""
    return Model.served["solver"] + Model.served["improver"]


def _left_behind(home: Home, name: str, folder: Path) -> Iterator[str]:
    client = docker.from_env().api
    for container in client.containers(all=True, filters={"label": f"ratchet.campaign={name}"}):
        yield f"container {container['Names']} is left"
    boxes = folder / "boxes"
    left = [*boxes.glob("*")] if boxes.exists() else []
    left += [folder / one for one in ("pid",) if (folder / one).exists()]
    left += [*(folder / "requests").glob("*")]
    left += [*(home.folder / ".git").rglob("*.lock")]
    left += [
        p for p in Path(tempfile.gettempdir()).glob("ratchet-*.*-*") if p.stat().st_uid == os.geteuid() and _dead(p)
    ]
    for path in left:
        yield f"{path} is left"
    if len(home.git("worktree", "list").splitlines()) != 1:
        yield "a worktree is left"
    allowed = ("refs/heads/main", "refs/heads/ratchet/", "refs/ratchet/")
    for ref in home.git("for-each-ref", "--format=%(refname)").splitlines():
        if not ref.startswith(allowed):
            yield f"ref {ref} is left"
    if home.git("symbolic-ref", "HEAD") != "refs/heads/main" or home.git("status", "--porcelain"):
        yield "the user's HEAD, index or working tree was touched"


def _dead(path: Path) -> bool:
    pid = path.name.removeprefix("ratchet-").partition(".")[0]
    return pid.isdecimal() and not Path(f"/proc/{pid}").exists()


def one_writer(name: str, *, wanted: set[str]) -> str | None:
    """Boxes of the campaign must all belong to one run; `wanted` collects the runs that were seen."""
    runs = set()
    for container in docker.from_env().api.containers(filters={"label": f"ratchet.campaign={name}"}):
        runs.add((container.get("Labels") or {}).get("ratchet.run", ""))
    wanted |= runs
    return f"boxes of {len(runs)} runs live beside each other: {sorted(runs)}" if len(runs) > 1 else None
