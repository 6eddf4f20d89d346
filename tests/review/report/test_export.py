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
from agent.review.report.export import TABLES, FileFormat, export
from tests.kernel.records import fill
from tests.review.conftest import Night


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "ledger.sqlite"
    with Ledger(path) as ledger:
        fill(ledger)
    return path


def rows_of(folder: Path, table: str, kind: FileFormat) -> list[dict[str, object]]:
    path = folder / f"{table}.{kind}"
    if kind is FileFormat.PARQUET:
        return list(parquet.read_table(path).to_pylist())
    if kind is FileFormat.JSONL:
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as text:
        return [dict(row) for row in csv.DictReader(text)]


def test_every_format_holds_the_same_rows(file: Path, tmp_path: Path) -> None:
    with Ledger(file, read_only=True) as ledger:
        counts = [{path.stem: rows for path, rows in export(ledger, tmp_path, kind)} for kind in FileFormat]
    assert counts[0] == counts[1] == counts[2]
    assert counts[0] == {
        "candidates": 3, "trials": 18, "tests": 1, "pairs": 4, "commits": 1, "calls": 4, "refusals": 1, "events": 1,
    }  # fmt: skip
    for table in TABLES:
        exact = rows_of(tmp_path, table.name, FileFormat.JSONL)
        assert rows_of(tmp_path, table.name, FileFormat.PARQUET) == exact
        text = [{key: "" if value is None else str(value) for key, value in row.items()} for row in exact]
        assert rows_of(tmp_path, table.name, FileFormat.CSV) == text
        assert [*exact[0]] == [name for name, _ in table.columns]


def test_what_the_tables_say_is_what_the_ledger_says(file: Path, tmp_path: Path) -> None:
    with Ledger(file, read_only=True) as ledger:
        export(ledger, tmp_path, FileFormat.PARQUET)
        trials = {row["id"]: row for row in rows_of(tmp_path, "trials", FileFormat.PARQUET)}
        known = ledger.trial("s2-1")
    assert known is not None
    row = trials["s2-1"]
    assert (row["score"], row["tokens_in"], row["fresh_calls"]) == (known.score, known.usage.tokens_in, 1)
    candidates = rows_of(tmp_path, "candidates", FileFormat.PARQUET)
    assert [(c["fate"], c["search_trials"], c["search_score"]) for c in candidates] == [
        ("open", 4, 0.5), ("accepted", 4, 0.5), ("rejected", 4, 0.5),
    ]  # fmt: skip
    [test] = rows_of(tmp_path, "tests", FileFormat.PARQUET)
    assert (test["verdict"], json.loads(str(test["decision"]))) == ("accepted", {"pairs": 3})


def test_a_formula_that_a_model_wrote_is_text_in_a_spreadsheet(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        armed = Candidate(
            id=0, parent=None, tree=None, subject='=HYPERLINK("x")', body="@x", fate=Fate.REFUSED, reason="-1", size=1
        )
        ledger.add_candidate(armed, fingerprint=None, diff="", transcript="")
        for kind in (FileFormat.CSV, FileFormat.JSONL):
            export(ledger, tmp_path, kind)
    [row] = rows_of(tmp_path, "candidates", FileFormat.CSV)
    assert (row["subject"], row["body"], row["reason"]) == ('\'=HYPERLINK("x")', "'@x", "'-1")
    assert rows_of(tmp_path, "candidates", FileFormat.JSONL)[0]["subject"] == armed.subject


def test_without_pyarrow_the_error_names_the_fix(file: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from agent.kernel.record.ledger import Ledger\n"
        "from agent.review.report.export import FileFormat, export\n"
        "export(Ledger(Path(sys.argv[1]), read_only=True), Path(sys.argv[2]), FileFormat.PARQUET)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, file, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert (
        "UserError: --format parquet: pyarrow is not installed. Install it beside Ratchet (`ratchet docs ledger`)"
        in done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_a_user_error(file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with Ledger(file, read_only=True) as ledger, pytest.raises(UserError, match="--out"):
        export(ledger, tmp_path / "out", FileFormat.CSV)


def test_the_command_lists_its_files_and_refuses_strange_formats(night: Night, tmp_path: Path) -> None:
    done = night.ratchet("export", "--out", str(tmp_path / "tables"), "--format", "jsonl")
    assert done.exit_code == 0, done.output
    for name in ("candidates", "trials", "pairs"):
        assert f"{name}.jsonl" in "".join(done.stdout.split())
        assert rows_of(tmp_path / "tables", name, FileFormat.JSONL)
    done = night.ratchet("export", "--format", "xlsx")
    assert "--format: there is no format 'xlsx'. Use csv, jsonl, parquet." in str(done.exception)
