"""Calls that a crash cut off are booked at the next start, at the most that they may have cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Call
from agent.kernel.record import under_way
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.under_way import FILE, UnderWay, book_cut_off
from tests.kernel.records import call


def sent(trial: str, tokens: int = 100) -> Call:
    return replace(call(), trial=trial, tokens_in=tokens, tokens_out=50, dollars=0.5, status=499)


def left(folder: Path) -> list[Call]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        before = len(ledger.calls())
        count = book_cut_off(folder, ledger)
        found = ledger.calls()[before:]
        assert len(found) == count
        assert book_cut_off(folder, ledger) == 0, "once"
    return found


def test_a_call_without_an_end_is_booked_and_one_that_ended_is_not(tmp_path: Path) -> None:
    journal = UnderWay(tmp_path)
    one, two = journal.sent(sent("one"), None), journal.sent(sent("two"), None)
    assert journal.sent(sent("two", 300), two) == two, "a further attempt"
    journal.ended(one)
    journal.ended(one)
    [found] = left(tmp_path)  # as if the process had been killed here
    assert (found.trial, found.tokens_in, found.tokens_out, found.dollars) == ("two", 300, 50, 0.5)
    assert (found.fresh, found.status) == (True, 499)
    assert "cut off" in json.loads(found.response)["error"]["message"]


def test_nothing_is_left_where_every_call_ended(tmp_path: Path) -> None:
    journal = UnderWay(tmp_path)
    journal.ended(journal.sent(sent("one"), None))
    journal.close()
    assert not (tmp_path / FILE).exists()
    assert left(tmp_path) == []


def test_a_long_file_is_reduced_to_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "MOST_BYTES", 2000)
    journal = UnderWay(tmp_path)
    journal.sent(sent("long"), None)
    for n in range(50):
        journal.ended(journal.sent(sent(f"t{n}"), None))
    assert (tmp_path / FILE).stat().st_size < 4000
    assert [one.trial for one in left(tmp_path)] == ["long"]


@given(st.integers(0, 400))
def test_a_file_that_was_cut_off_anywhere_is_read(size: int) -> None:
    import tempfile  # noqa: PLC0415 - a folder for each example

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = UnderWay(folder)
        journal.sent(sent("one"), None)
        whole = (folder / FILE).read_bytes()
        (folder / FILE).write_bytes(whole[:size])
        assert len(left(folder)) == (size >= len(whole) - 1)
