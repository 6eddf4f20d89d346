"""Tables for notebooks: the same rows in every format, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from agent.base.errors import UserError
from agent.base.types import Candidate, Fate
from agent.kernel.record.ledger import Ledger
from agent.review.report.export import TABLES, Format, export
from tests.kernel.records import fill
from tests.review.conftest import Night


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "ledger.sqlite"
    with Ledger(path) as ledger:
        fill(ledger)
    return path


def rows_of(folder: Path, table: str, kind: Format) -> list[dict[str, object]]:
    path = folder / f"{table}.{kind}"
    if kind is Format.PARQUET:
        return list(parquet.read_table(path).to_pylist())
    if kind is Format.JSONL:
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as text:
        return [dict(row) for row in csv.DictReader(text)]


def test_every_format_holds_the_same_rows(file: Path, tmp_path: Path) -> None:
    with Ledger(file, read_only=True) as ledger:
        counts = [{path.stem: rows for path, rows in export(ledger, tmp_path, kind)} for kind in Format]
    assert counts[0] == counts[1] == counts[2]
    assert counts[0] == {
        "candidates": 3, "trials": 18, "tests": 1, "pairs": 4, "commits": 1, "calls": 3, "events": 1,
    }  # fmt: skip
    for table in TABLES:
        exact = rows_of(tmp_path, table.name, Format.JSONL)
        assert rows_of(tmp_path, table.name, Format.PARQUET) == exact
        text = [{key: "" if value is None else str(value) for key, value in row.items()} for row in exact]
        assert rows_of(tmp_path, table.name, Format.CSV) == text
        assert [*exact[0]] == [name for name, _ in table.columns]


def test_what_the_tables_say_is_what_the_ledger_says(file: Path, tmp_path: Path) -> None:
    with Ledger(file, read_only=True) as ledger:
        export(ledger, tmp_path, Format.PARQUET)
        trials = {row["id"]: row for row in rows_of(tmp_path, "trials", Format.PARQUET)}
        known = ledger.trial("s2-1")
    assert known is not None
    row = trials["s2-1"]
    assert (row["score"], row["tokens_in"], row["fresh_calls"]) == (known.score, known.usage.tokens_in, 1)
    candidates = rows_of(tmp_path, "candidates", Format.PARQUET)
    assert [(c["fate"], c["search_trials"], c["search_score"]) for c in candidates] == [
        ("open", 4, 0.5), ("accepted", 4, 0.5), ("rejected", 4, 0.5),
    ]  # fmt: skip
    [test] = rows_of(tmp_path, "tests", Format.PARQUET)
    assert (test["verdict"], json.loads(str(test["decision"]))) == ("accepted", {"pairs": 3})


def test_a_formula_that_a_model_wrote_is_text_in_a_spreadsheet(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        armed = Candidate(
            id=0, parent=None, tree=None, subject='=HYPERLINK("x")', body="@x", fate=Fate.REFUSED, reason="-1", size=1
        )
        ledger.add_candidate(armed, fingerprint=None, diff="", transcript="")
        for kind in (Format.CSV, Format.JSONL):
            export(ledger, tmp_path, kind)
    [row] = rows_of(tmp_path, "candidates", Format.CSV)
    assert (row["subject"], row["body"], row["reason"]) == ('\'=HYPERLINK("x")', "'@x", "'-1")
    assert rows_of(tmp_path, "candidates", Format.JSONL)[0]["subject"] == armed.subject


def test_without_pyarrow_the_mend_is_named(file: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from agent.kernel.record.ledger import Ledger\n"
        "from agent.review.report.export import Format, export\n"
        "export(Ledger(Path(sys.argv[1]), read_only=True), Path(sys.argv[2]), Format.PARQUET)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, file, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert "UserError: --format parquet: pyarrow is not installed. Install it with `pip install" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with Ledger(file, read_only=True) as ledger, pytest.raises(UserError, match="--out"):
        export(ledger, tmp_path / "out", Format.CSV)


def test_the_command_lists_its_files_and_refuses_strange_formats(night: Night, tmp_path: Path) -> None:
    done = night.ratchet("export", "--out", str(tmp_path / "tables"), "--format", "jsonl")
    assert done.exit_code == 0, done.output
    for name in ("candidates", "trials", "pairs"):
        assert f"{name}.jsonl" in "".join(done.stdout.split())
        assert rows_of(tmp_path / "tables", name, Format.JSONL)
    done = night.ratchet("export", "--format", "xlsx")
    assert "--format: no format named 'xlsx'. Use csv, jsonl, parquet." in str(done.exception)
