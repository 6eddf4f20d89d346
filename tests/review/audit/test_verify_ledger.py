"""The hash chain: any row that was changed, deleted or put in is found and named; and what is not found."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kernel.git.messages import Commit
from agent.kernel.record.chain import COVERED, key_of, link
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.store import ANCHOR_TRAILER
from agent.review.audit.verify_ledger import Anchor, anchors, verify_ledger
from tests.kernel.records import fill
from tests.kernel.tamper import tampering
from tests.review.conftest import Night


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("whole") / "ledger.sqlite"
    with Ledger(file) as ledger:
        fill(ledger)
    return file


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "ledger.sqlite"))


def broken(file: Path, *published: Anchor) -> list[str]:
    with Ledger(file, read_only=True) as ledger:
        return [f"{one.name} {one.said}" for one in verify_ledger(ledger, published)]


def head(file: Path) -> Anchor:
    with Ledger(file, read_only=True) as ledger:
        n, digest = ledger.head()
    return Anchor(n=n, digest=digest, where="commit c0ffee")


def any_row(db: sqlite3.Connection, table: str, chance: random.Random) -> tuple[str, str]:
    """(name in the chain, SQL that finds it)."""
    names = [row[0] for row in db.execute(f"SELECT {key_of(table)} FROM {table}")]
    name = chance.choice(names)
    return name, f"{key_of(table)} = {name!r}"


def test_a_ledger_as_it_was_written_is_whole(whole: Path) -> None:
    assert broken(whole, head(whole)) == []


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "-1", "1.0", "\u0663", ""])
def test_a_trailer_that_names_no_link_is_broken_and_nothing_else(whole: Path, number: str) -> None:
    digest = head(whole).digest
    commit = Commit(
        sha="c0ffee",
        tree="t",
        parents=(),
        time=0,
        email="",
        subject="",
        body="",
        trailers={ANCHOR_TRAILER: f"{number} {digest}"},
    )
    assert broken(whole, *anchors([commit])) == [
        "commit c0ffee names another link 0 than the ledger holds: the chain was cut or rewritten"
    ]


def test_every_table_of_the_chain_has_rows_here(whole: Path) -> None:
    with tampering(whole) as db:
        assert all(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COVERED)


def test_the_chain_is_what_the_manual_says(whole: Path) -> None:
    last = b""
    with tampering(whole) as db:
        for what, key, digest in db.execute("SELECT what, key, digest FROM chain ORDER BY n").fetchall():
            columns = ", ".join(COVERED[what])
            row = db.execute(f"SELECT {columns} FROM {what} WHERE {key_of(what)} = ?", (key,)).fetchone()
            text = json.dumps([what, *row], ensure_ascii=False, separators=(",", ":"))
            last = hashlib.sha256(last + text.encode()).digest()
            assert digest == last, (what, key)


@settings(max_examples=40)
@given(table=st.sampled_from(sorted(COVERED)), column=st.integers(0, 40), chance=st.randoms(use_true_random=False))
def test_any_changed_cell_is_found_and_its_row_is_named(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, table: str, column: int, chance: random.Random
) -> None:
    file = Path(shutil.copy(whole, tmp_path_factory.mktemp("changed") / "ledger.sqlite"))
    keys = {"id", "sha", "test", "pair_index"} if table in {"pairs", "commits"} else {"id"}
    cells = [name for name in COVERED[table] if name not in keys]
    cell = cells[column % len(cells)]
    with tampering(file) as db:
        name, where = any_row(db, table, chance)
        old = db.execute(f"SELECT {cell} FROM {table} WHERE {where}").fetchone()[0]
        new = old + 1 if isinstance(old, int | float) else f"{old}!"
        db.execute(f"UPDATE {table} SET {cell} = ? WHERE {where}", (new,))
    found = broken(file)
    assert [one for one in found if one.startswith(f"{table} {name} was changed")], found


@settings(max_examples=20)
@given(table=st.sampled_from(sorted(COVERED)), chance=st.randoms(use_true_random=False))
def test_any_deleted_row_is_found_and_named(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, table: str, chance: random.Random
) -> None:
    file = Path(shutil.copy(whole, tmp_path_factory.mktemp("deleted") / "ledger.sqlite"))
    with tampering(file) as db:
        name, where = any_row(db, table, chance)
        db.execute(f"DELETE FROM {table} WHERE {where}")
    assert [one for one in broken(file) if one.startswith(f"{table} {name} was deleted")]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("INSERT INTO events VALUES (99, 1.0, 'k', 'forged')", "events 99"),
        ("INSERT INTO fates VALUES (99, 1.0, 2, 'accepted', 'because')", "fates 99"),
        ("INSERT INTO pairs VALUES (1, 9, 1.0, 't', NULL, NULL, 'champion')", "pairs 1:9"),
        ("INSERT INTO meta VALUES (99, 1.0, 'suite', '\"easy\"')", "meta 99"),
    ],
)
def test_a_row_that_was_put_in_is_found_and_named(copy: Path, statement: str, name: str) -> None:
    with tampering(copy) as db:
        db.execute(statement)
    assert broken(copy) == [f"{name} was inserted: no link of the chain knows it"]


def test_a_changed_score_is_named_once_and_shows_in_the_sums(copy: Path) -> None:
    with tampering(copy) as db:
        db.execute("UPDATE trials SET score = 0.9 WHERE id = 's1-1'")
    row, total = broken(copy)
    assert row.startswith("trials s1-1 was changed")
    assert total == "sum of trials of 1 search is not the sum of its rows"


def test_a_row_that_was_cut_out_together_with_its_link_leaves_a_hole(copy: Path) -> None:
    with tampering(copy) as db:
        n = db.execute("SELECT n FROM chain WHERE key = 'b1'").fetchone()[0]
        db.execute("DELETE FROM chain WHERE n = ?", (n,))
        db.execute("UPDATE pairs SET candidate_trial = NULL WHERE candidate_trial = 'b1'")
        db.execute("DELETE FROM trials WHERE id = 'b1'")
    found = broken(copy)
    assert f"links {n} to {n} are gone, between trials a1 and pairs 1:1" in found


def test_a_forger_who_fixes_the_link_as_well_breaks_the_next_one(copy: Path) -> None:
    with tampering(copy) as db:
        db.execute("UPDATE trials SET score = 1.0 WHERE id = 's0-0'")
        n = db.execute("SELECT n FROM chain WHERE key = 's0-0'").fetchone()[0]
        before = db.execute("SELECT digest FROM chain WHERE n = ?", (n - 1,)).fetchone()[0]
        row = db.execute(f"SELECT {', '.join(COVERED['trials'])} FROM trials WHERE id = 's0-0'").fetchone()
        db.execute("UPDATE chain SET digest = ? WHERE n = ?", (link(before, "trials", row), n))
        db.execute("UPDATE tallies SET total = total + 1 WHERE candidate = 0 AND purpose = 'search'")
    [said] = broken(copy)
    assert said == f"trials s0-1 was changed, or the chain was, at link {n + 1} or before it at trials s0-0"


def rewrite_chain(db: sqlite3.Connection) -> None:
    last = b""
    for n, what, key in db.execute("SELECT n, what, key FROM chain ORDER BY n").fetchall():
        row = db.execute(f"SELECT {', '.join(COVERED[what])} FROM {what} WHERE {key_of(what)} = ?", (key,)).fetchone()
        last = link(last, what, row)
        db.execute("UPDATE chain SET digest = ? WHERE n = ?", (last, n))


def test_a_whole_new_chain_is_only_found_by_a_link_that_was_published(copy: Path) -> None:
    published = head(copy)
    with tampering(copy) as db:
        db.execute("UPDATE trials SET score = 1.0 WHERE id = 's0-0'")
        db.execute("UPDATE tallies SET total = total + 1 WHERE candidate = 0 AND purpose = 'search'")
        rewrite_chain(db)
    assert broken(copy) == []
    [said] = broken(copy, published)
    assert said.startswith(f"commit c0ffee names another link {published.n} than the ledger holds")


def test_a_tail_that_was_cut_off_is_only_found_by_a_link_that_was_published(copy: Path) -> None:
    published = head(copy)
    with tampering(copy) as db:
        db.execute("DELETE FROM chain WHERE n = ?", (published.n,))
        db.execute("DELETE FROM events")
    assert broken(copy) == []
    assert broken(copy, published) != []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM blobs WHERE hash = (SELECT transcript FROM trials WHERE id = 'a1')", "transcript of trials a1"),
        ("DELETE FROM blobs WHERE hash = (SELECT response FROM calls WHERE id = 2)", "the response of calls 2"),
        ("DELETE FROM blobs WHERE body = $BODY", "a part of the request of calls 1"),
        ("UPDATE blobs SET body = x'00' WHERE hash = (SELECT diff FROM candidates WHERE id = 2)", "candidates 2"),
    ],
)  # fmt: skip
def test_a_body_that_is_gone_or_changed_is_found_with_its_user(copy: Path, statement: str, said: str) -> None:
    with tampering(copy) as db:
        if "$BODY" in statement:
            changed = db.execute(statement.replace("$BODY", "?"), (zlib.compress(b'{"content": "0"}'),)).rowcount
        else:
            changed = db.execute(statement).rowcount
        assert changed == 1
    [one] = broken(copy)
    assert said in one


@pytest.mark.parametrize(
    "statement", ["DROP TRIGGER trials_no_update", "DROP INDEX fates_by_candidate", "CREATE TABLE more (x)"]
)
def test_a_changed_schema_is_found(copy: Path, statement: str) -> None:
    with sqlite3.connect(copy) as db:
        db.execute(statement)
    db.close()
    [said] = broken(copy)
    assert said.split(" ")[1] == statement.split(" ")[2]


def test_the_writer_itself_cannot_change_what_was_said(copy: Path) -> None:
    with sqlite3.connect(copy) as db:
        for table in (*COVERED, "blobs", "chain"):
            column = "body" if table == "blobs" else "digest" if table == "chain" else "at"
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                db.execute(f"UPDATE {table} SET {column} = 1")
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                db.execute(f"DELETE FROM {table}")
    db.close()


def test_the_command_names_what_was_changed_and_says_so_by_its_exit_code(night: Night) -> None:
    done = night.ratchet("verify", "--ledger")
    assert done.exit_code == 0, done.output
    assert "2 commits name a link of it" in " ".join(done.stdout.split())
    night.sql("UPDATE trials SET score = 1 - score WHERE id = $TRIAL")
    done = night.ratchet("verify", "--ledger", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["broken"][0]["name"].startswith("trials ")


def test_a_rewritten_chain_does_not_match_the_commits(night: Night) -> None:
    night.sql("UPDATE events SET text = 'forged' WHERE id = 1")
    with tampering(night.lab.folder / "ledger.sqlite") as db:
        rewrite_chain(db)
    done = night.ratchet("verify", "champion", "--json")
    assert done.exit_code == 3
    wrong = [one["what"] for one in json.loads(done.stdout)["findings"] if one["ok"] is False]
    assert wrong == ["Ratchet-Ledger"]
    done = night.ratchet("verify", "--ledger")
    assert done.exit_code == 3
    assert "names another link" in " ".join(done.stdout.split())


def test_the_whole_ledger_and_one_commit_exclude_each_other(night: Night) -> None:
    done = night.ratchet("verify", "--ledger", "champion")
    assert "--ledger: checks every row, not one commit. Remove COMMIT." in str(done.exception)


def test_the_whole_ledger_refuses_what_repeats_or_measures_the_trials_of_one_commit(night: Night) -> None:
    done = night.ratchet("verify", "--ledger", "--replay", "--fresh", "20")
    assert "--ledger: checks every row, not one commit. Remove --replay, --fresh." in str(done.exception)
