"""Ledgers of older versions: all that they say is kept, and from then on chained."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from agent.base.errors import RecordBroken
from agent.base.types import Fate, Purpose
from agent.kernel.record.columns import TABLES
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.schema import MIGRATIONS, SCHEMA_VERSION, described
from agent.kernel.record.store import is_older
from agent.review.audit.verify_ledger import verify_ledger
from tests.kernel.records import VERSION_1, VERSION_2, VERSION_3, fill, old_ledger


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return old_ledger(tmp_path / "ledger.sqlite")


@pytest.fixture(params=[VERSION_1, VERSION_2, VERSION_3], ids=lambda path: path.stem)
def older(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return old_ledger(tmp_path / "ledger.sqlite", request.param)


def test_what_a_ledger_of_version_1_says_is_kept(old: Path) -> None:
    with closing(sqlite3.connect(old)) as db:
        trials = db.execute("SELECT id, candidate, purpose, place, score FROM trials ORDER BY id").fetchall()
        fates = db.execute("SELECT id, fate, reason FROM candidates ORDER BY id").fetchall()
        tests = db.execute("SELECT id, candidate, champion, verdict, decision FROM tests").fetchall()
        commits = db.execute("SELECT sha, parent, candidate, test FROM commits").fetchall()
        events = db.execute("SELECT id, at, kind, text FROM events ORDER BY id").fetchall()
        named = dict(db.execute("SELECT key, value FROM meta").fetchall())
    with Ledger(old) as ledger:
        indices = {(p.value, *row) for p in Purpose for row in ledger.indices(p)}
        assert indices == {(purpose, candidate, index, score) for _, candidate, purpose, index, score in trials}
        assert {one.id for one in ledger.trials()} == {row[0] for row in trials}
        assert len(trials) == ledger.count_trials() == 111
        assert [(c.id, str(c.fate), c.reason) for c in ledger.candidates()] == fates
        assert [(t.id, t.candidate, t.champion, t.verdict, t.decision) for t in ledger.tests()] == [
            (*row[:4], json.loads(row[4])) for row in tests
        ]
        assert [astuple(row) for row in ledger.commits()] == commits
        assert ledger.events() == events
        assert {key: ledger.recollect(key) for key in named} == {key: json.loads(text) for key, text in named.items()}
        spent = ledger.spent()
        assert (spent.calls, spent.fresh_calls, spent.fresh_tokens, spent.dollars, spent.unpriced) == (
            3,
            2,
            30,
            0.25,
            1,
        )
        assert sum(tally.trials for purpose in Purpose for tally in ledger.tallies(purpose)) == 111


def test_a_migrated_ledger_is_chained_and_goes_on(old: Path) -> None:
    with Ledger(old) as ledger:
        links, _ = ledger.head()
        ledger.set_fate(2, Fate.REJECTED, "taken back")
        ledger.remember("base", "elsewhere")
        assert ledger.head()[0] == links + 2
        assert ledger.candidates()[2].reason == "taken back"
        assert ledger.recollect("base") == "elsewhere"
        rows = sum(1 for _ in ledger.links(0))
    assert rows == links + 2


def test_a_new_ledger_and_a_migrated_one_have_the_same_schema(older: Path, tmp_path: Path) -> None:
    schemas = []
    for file in (older, tmp_path / "new.sqlite"):
        Ledger(file).close()
        with closing(sqlite3.connect(file)) as db:
            schemas.append(described(db.execute))
            assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    assert schemas[0] == schemas[1]


def test_a_migrated_ledger_has_the_columns_of_the_table(older: Path) -> None:
    Ledger(older).close()
    with closing(sqlite3.connect(older)) as db:
        for name, table in TABLES.items():
            found = {row[1]: (row[2], row[5]) for row in db.execute(f"PRAGMA table_info({name})")}
            assert [*found] == [*table.columns]
            assert {column: kind for column, (kind, _) in found.items()} == {
                column: declared.split()[0] for column, declared in table.columns.items()
            }
            assert {column for column, (_, key) in found.items() if key} == set(table.key)


@pytest.mark.parametrize(("recorded", "version"), [(VERSION_1, 1), (VERSION_2, 2), (VERSION_3, 3)])
def test_a_migration_makes_the_schema_that_it_made_when_it_was_released(
    tmp_path: Path, recorded: Path, version: int
) -> None:
    with closing(sqlite3.connect(old_ledger(tmp_path / "old.sqlite", recorded))) as db:
        released = described(db.execute)
    with closing(sqlite3.connect(":memory:")) as db:
        for migrate in MIGRATIONS[:version]:
            migrate(db)
        assert described(db.execute) == released


@pytest.mark.parametrize(("recorded", "index"), [(VERSION_2, "place"), (VERSION_3, "pair_index")])
def test_a_ledger_that_is_chained_keeps_its_chain_and_every_row(tmp_path: Path, recorded: Path, index: str) -> None:
    file = old_ledger(tmp_path / "ledger.sqlite", recorded)
    with closing(sqlite3.connect(file)) as db:
        links = db.execute("SELECT n, digest FROM chain ORDER BY n").fetchall()
        pairs = db.execute(f"SELECT test, {index}, void_side FROM pairs ORDER BY {index}").fetchall()
    with Ledger(file) as ledger:
        assert ledger.head() == (links[-1][0], links[-1][1].hex())
        assert verify_ledger(ledger) == []
        assert [(1, pair.index, pair.void_side) for pair in ledger.pairs(1)] == pairs
        assert ledger.recall("m", "key", 1) is not None
        ledger.note("begin", "resumed")
        assert verify_ledger(ledger) == []


def test_a_record_with_the_names_of_an_older_version_is_written_again(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.mirror_to(tmp_path)
        fill(ledger)
    record = tmp_path / "record.jsonl"
    due = record.read_text()
    record.write_text(due.replace('"trial_index"', '"place"'))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.mirror_to(tmp_path)
    assert record.read_text() == due


def test_an_older_ledger_is_not_read_but_renewed(old: Path) -> None:
    assert is_older(old)
    with pytest.raises(RecordBroken, match=r"version 1.*renews it"):
        Ledger(old, read_only=True)
    Ledger(old).close()
    assert not is_older(old)
    Ledger(old, read_only=True).close()


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for read_only in (True, False):
        with pytest.raises(RecordBroken, match="a newer one reads it"):
            Ledger(file, read_only=read_only)
    assert not is_older(file)


def test_two_processes_that_meet_an_old_ledger_renew_it_once(old: Path) -> None:
    code = "import sys, pathlib, agent.kernel.record.ledger as l; l.Ledger(pathlib.Path(sys.argv[1])).close()"
    both = [subprocess.Popen([sys.executable, "-c", code, str(old)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    with Ledger(old, read_only=True) as ledger:
        assert ledger.head()[0] == sum(1 for _ in ledger.links(0))
