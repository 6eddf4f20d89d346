"""A campaign as tables for notebooks: CSV, JSON lines or Parquet, one file a table, without bodies.

Times are Unix seconds. Bodies (transcripts, requests, answers, diffs) stay in the ledger; their hashes are given.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.base.errors import UserError
from agent.base.usage import Usage
from agent.kernel.record.columns import TABLES as LEDGER_TABLES
from agent.kernel.record.ledger import Ledger

_BATCH = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Rows = Iterator[tuple[Any, ...]]


class FileFormat(StrEnum):
    """The kind of file to write."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One file: its columns with their types (int, float, str), and the query for its rows; columns go by position."""

    name: str
    columns: tuple[tuple[str, type], ...]
    source: str


Writer = Callable[[Path, Table, Rows], int]
"""Writes the rows to a file; returns how many."""


def _columns(table: str, *without: str) -> dict[str, type]:
    """The ledger's own columns of a table, with their types."""
    return {name: kind for name, kind in LEDGER_TABLES[table].kinds.items() if name not in without}


def _table(name: str, source: str, columns: Mapping[str, type], sql: Mapping[str, str] = MappingProxyType({})) -> Table:
    """A file of `columns`, read from `source`; `sql` says how to read those that are not columns of the ledger's."""
    chosen = ", ".join(sql.get(column, f"{name}.{column}") for column in columns)
    return Table(name=name, columns=tuple(columns.items()), source=f"SELECT {chosen} FROM {source}")  # noqa: S608


_DETAILS = _columns("details", "id", "at")
_USAGE = {name: float if name == "dollars" else int for name in Usage.__slots__}

TABLES = (
    _table(
        "candidates",
        "candidates LEFT JOIN fates f ON f.id = (SELECT max(id) FROM fates WHERE candidate = candidates.id)"
        " LEFT JOIN tallies t ON t.candidate = candidates.id AND t.purpose = 'search' ORDER BY candidates.id",
        {**_columns("candidates"), "search_trials": int, "search_score": float},
        {
            "fate": "coalesce(f.fate, candidates.fate)",
            "reason": "coalesce(f.reason, candidates.reason)",
            "search_trials": "coalesce(t.trials, 0)",
            "search_score": "t.total / t.trials",
        },
    ),
    _table(
        "trials",
        "trials ORDER BY rowid",
        {**_columns("trials", "usage"), **_USAGE},
        {name: f"json_extract(usage, '$.{name}')" for name in _USAGE},
    ),
    _table(
        "tests",
        "tests LEFT JOIN verdicts v ON v.id = (SELECT max(id) FROM verdicts WHERE test = tests.id) ORDER BY tests.id",
        {**_columns("tests"), "decided": float, "verdict": str, "decision": str},
        {"decided": "v.at", "verdict": "v.verdict", "decision": "v.decision"},
    ),
    _table(
        "pairs",
        "pairs LEFT JOIN trials a ON a.id = champion_trial LEFT JOIN trials b ON b.id = candidate_trial"
        " ORDER BY test, pair_index",
        {**_columns("pairs"), "champion_score": float, "candidate_score": float},
        {"champion_score": "a.score", "candidate_score": "b.score"},
    ),
    _table("commits", "commits ORDER BY at", _columns("commits")),
    _table(
        "calls",
        "calls LEFT JOIN details ON details.id = calls.id ORDER BY calls.id",
        {**_columns("calls", "request"), **_DETAILS},
        {name: f"details.{name}" for name in _DETAILS},
    ),
    _table("refusals", "refusals ORDER BY id", _columns("refusals")),
    _table("events", "events ORDER BY id", _columns("events")),
)


def export(ledger: Ledger, folder: Path, kind: FileFormat) -> list[tuple[Path, int]]:
    """Write every table, all as of one moment; returns the files with their numbers of rows.

    Raises:
        UserError: the folder cannot be written, or pyarrow is missing for Parquet.
    """
    if kind is FileFormat.PARQUET:
        _arrow()
    write = {FileFormat.CSV: _write_csv, FileFormat.JSONL: _write_jsonl, FileFormat.PARQUET: _write_parquet}[kind]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ledger.snapshot():
            return [_written(ledger, table, folder / f"{table.name}.{kind}", write) for table in TABLES]
    except OSError as error:
        problem = f"{error.filename or folder} cannot be written ({error.strerror})"
        raise UserError("--out", problem, "Name a folder that you may write to, on a disk with free space.") from error


def _written(ledger: Ledger, table: Table, file: Path, write: Writer) -> tuple[Path, int]:
    return file, write(file, table, (tuple(row) for row in ledger.stream(table.source)))


def _write_csv(file: Path, table: Table, rows: Rows) -> int:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer, count = csv.writer(out), 0
        writer.writerow([name for name, _ in table.columns])
        for count, row in enumerate(rows, 1):  # noqa: B007 (the count is the result)
            writer.writerow([_unarmed(cell) for cell in row])
    return count


def _unarmed(cell: object) -> object:
    """Put an apostrophe before text that a spreadsheet would run as a formula: a model may have written it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _write_jsonl(file: Path, table: Table, rows: Rows) -> int:
    names, count = [name for name, _ in table.columns], 0
    with file.open("w", encoding="utf-8") as out:
        for count, row in enumerate(rows, 1):  # noqa: B007 (the count is the result)
            out.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")
    return count


def _write_parquet(file: Path, table: Table, rows: Rows) -> int:
    pa, parquet = _arrow()
    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    schema, count = pa.schema([(name, types[kind]) for name, kind in table.columns]), 0
    with parquet.ParquetWriter(file, schema) as out:
        while batch := [*islice(rows, _BATCH)]:
            columns = zip(*batch, strict=True)
            arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
            out.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(batch)
    return count


def _arrow() -> tuple[Any, Any]:
    """The Parquet library. Raises UserError."""
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        fix = "Install it beside Ratchet (`ratchet docs ledger`), or choose --format csv."
        raise UserError("--format parquet", "pyarrow is not installed", fix) from error
    return pa, parquet
