"""What `cat` shows: it follows the ledger row by row, and is fixed at the next start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.base.types import Candidate, Fate
from agent.kernel.record.chain import COVERED
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.mirror import ATTEMPTS, HEADER, RECORD
from tests.kernel.records import candidate, fill, trial


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        opened.mirror_to(tmp_path)
        yield opened


def record(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / RECORD).read_text().splitlines()]


def attempts(folder: Path) -> list[list[str]]:
    return [line.split("\t") for line in (folder / ATTEMPTS).read_text().splitlines()]


def reopened(ledger: Ledger) -> None:
    ledger.close()
    with Ledger(ledger.path) as again:
        again.mirror_to(ledger.path.parent)


def test_every_row_of_the_chain_is_a_line_at_once(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    lines = record(tmp_path)
    assert [line["n"] for line in lines] == list(range(1, ledger.head()[0] + 1))
    assert {line["row"] for line in lines} == set(COVERED)
    assert (lines[-1]["n"], lines[-1]["digest"]) == ledger.head()
    scores = {line["id"]: line["score"] for line in lines if line["row"] == "trials"}
    assert scores["s1-2"] == 2 / 3


def test_the_last_line_of_an_attempt_counts(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    header, *rows = attempts(tmp_path)
    assert tuple(header) == HEADER
    last = {row[1]: row for row in rows}
    assert last["1"][2:] == ["0", "accepted", "4", "0.500", "Patch 1", "r"]
    assert last["2"][2:] == ["0", "rejected", "4", "0.500", "Patch 2", "not better"]
    assert len(rows) == 5
    reopened(ledger)
    assert [row[1:] for row in attempts(tmp_path)[1:]] == [["0", "", "open", "4", "0.500", "Patch 0", "r"]] + [
        last[number][1:] for number in "12"
    ]


def test_a_transaction_that_fails_leaves_no_line(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add_candidate(candidate(0), fingerprint=None, diff="", transcript="")
    before = record(tmp_path)
    with pytest.raises(Exception, match="FOREIGN KEY"):
        ledger.add_trial(trial("x"), candidate=7, index=0)
    assert record(tmp_path) == before
    ledger.note("k", "text")
    assert [line["row"] for line in record(tmp_path)[len(before) :]] == ["events"]


@pytest.mark.parametrize("damage", ["torn", "gone", "behind", "foreign", "nonsense", "one long line"])
def test_a_damaged_mirror_is_mended_at_the_next_start(ledger: Ledger, tmp_path: Path, damage: str) -> None:
    fill(ledger)
    ledger.close()
    file = tmp_path / RECORD
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
        (tmp_path / ATTEMPTS).unlink()
    else:
        lines = whole.splitlines(keepends=True)
        file.write_bytes(
            {
                "torn": whole[:-20],
                "behind": b"".join(lines[:10]),
                "foreign": whole + b'{"n": 9999, "digest": "feed"}\n',
                "nonsense": b"\xff\xfe\n",
                "one long line": b"x" * 200_000,
            }[damage]
        )
    reopened(ledger)
    assert file.read_bytes() == whole
    assert (tmp_path / ATTEMPTS).exists()


def test_a_mirror_that_cannot_be_written_stops_nothing_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.mirror_to(tmp_path)
        fill(ledger)
        told = [text for _, _, kind, text in ledger.events() if kind == "mirror"]
        assert len(told) == 1
        assert "brought up to date at the next start" in told[0]
        assert ledger.count_trials() == 18


def test_text_of_a_model_is_one_harmless_line(ledger: Ledger, tmp_path: Path) -> None:
    nasty = "a\tb\nc\x1b[2J\u202egnp\u2028x\x00y"
    hostile = Candidate(id=0, parent=None, tree="t", subject=nasty, body=nasty, fate=Fate.OPEN, reason=nasty, size=1)
    ledger.add_candidate(hostile, fingerprint=None, diff="", transcript="")
    for name in (ATTEMPTS, RECORD):
        text = (tmp_path / name).read_bytes().decode()
        assert len(text.splitlines()) == (2 if name == ATTEMPTS else 1)
        assert not set("\x1b\u202e\u2028\x00") & set(text)
    assert len(attempts(tmp_path)[1]) == len(HEADER)
