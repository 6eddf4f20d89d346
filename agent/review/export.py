"""A campaign as tables for notebooks: CSV, JSON lines or Parquet, one file a table, without bodies.

Times are Unix seconds. Bodies (transcripts, requests, answers, diffs) stay in the ledger; their hashes are given.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.base.types import Usage
from agent.kernel.record.ledger import Ledger

_BATCH = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Rows = Iterator[tuple[Any, ...]]


class Format(StrEnum):
    """What the files are."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One file: its columns with their types (int, float, str), and where they come from. Not all are SQL's names."""

    name: str
    columns: tuple[tuple[str, type], ...]
    source: str


Writer = Callable[[Path, Table, Rows], int]
"""Writes the rows to a file; returns how many."""


def _columns(text: str) -> tuple[tuple[str, type], ...]:
    types: dict[str, type] = {"int": int, "float": float, "str": str}
    return tuple((name, types[kind]) for name, _, kind in (one.partition(":") for one in text.split()))


_USAGE = {name: float if name == "dollars" else int for name in Usage.__slots__}
_USAGE_SQL = ", ".join(f"json_extract(usage, '$.{name}')" for name in _USAGE)

TABLES = (
    Table(
        name="candidates",
        columns=_columns(
            "id:int at:float parent:int tree:str subject:str body:str fate:str reason:str size:int fingerprint:str"
            " diff:str transcript:str search_trials:int search_score:float"
        ),
        source="SELECT c.id, c.at, c.parent, c.tree, c.subject, c.body, coalesce(f.fate, c.fate),"
        " coalesce(f.reason, c.reason), c.size, c.fingerprint, c.diff, c.transcript, coalesce(t.trials, 0),"
        " t.total / t.trials FROM candidates c"
        " LEFT JOIN fates f ON f.id = (SELECT max(id) FROM fates WHERE candidate = c.id)"
        " LEFT JOIN tallies t ON t.candidate = c.id AND t.purpose = 'search' ORDER BY c.id",
    ),
    Table(
        name="trials",
        columns=(
            *_columns(
                "id:str at:float tree:str candidate:int task:str purpose:str place:int seed:int score:float"
                " reason:str transcript:str seconds:float"
            ),
            *_USAGE.items(),
        ),
        source=f"SELECT id, at, tree, candidate, task, purpose, place, seed, score, reason, transcript, seconds,"  # noqa: S608
        f" {_USAGE_SQL} FROM trials ORDER BY rowid",
    ),
    Table(
        name="tests",
        columns=_columns(
            "id:int at:float candidate:int champion:int commits:int policy:str decided:float verdict:str decision:str"
        ),
        source="SELECT t.id, t.at, t.candidate, t.champion, t.commits, t.policy, v.at, v.verdict, v.decision"
        " FROM tests t LEFT JOIN verdicts v ON v.id = (SELECT max(id) FROM verdicts WHERE test = t.id) ORDER BY t.id",
    ),
    Table(
        name="pairs",
        columns=_columns(
            "test:int place:int at:float task:str champion_score:float candidate_score:float champion_trial:str"
            " candidate_trial:str void_side:str"
        ),
        source="SELECT p.test, p.place, p.at, p.task, a.score, b.score, p.champion_trial, p.candidate_trial,"
        " p.void_side FROM pairs p LEFT JOIN trials a ON a.id = p.champion_trial"
        " LEFT JOIN trials b ON b.id = p.candidate_trial ORDER BY p.test, p.place",
    ),
    Table(
        name="commits",
        columns=_columns("sha:str at:float candidate:int test:int parent:str"),
        source="SELECT sha, at, candidate, test, parent FROM commits ORDER BY at",
    ),
    Table(
        name="calls",
        columns=_columns(
            "id:int at:float trial:str role:str model:str key:str k:int memo:str fresh:int response:str status:int"
            " tokens_in:int tokens_out:int dollars:float seconds:float retries:int"
        ),
        source="SELECT id, at, trial, role, model, key, k, memo, fresh, response, status, tokens_in, tokens_out,"
        " dollars, seconds, retries FROM calls ORDER BY id",
    ),
    Table(
        name="events",
        columns=_columns("id:int at:float kind:str text:str"),
        source="SELECT id, at, kind, text FROM events ORDER BY id",
    ),
)


def export(ledger: Ledger, folder: Path, kind: Format) -> list[tuple[Path, int]]:
    """Write every table, all as of one moment; returns the files with their numbers of rows.

    Raises:
        UserError: the folder cannot be written, or pyarrow is missing for Parquet.
    """
    if kind is Format.PARQUET:
        _arrow()
    write = {Format.CSV: _write_csv, Format.JSONL: _write_jsonl, Format.PARQUET: _write_parquet}[kind]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ledger.snapshot():
            return [_written(ledger, table, folder / f"{table.name}.{kind}", write) for table in TABLES]
    except OSError as error:
        problem = f"{error.filename or folder} cannot be written ({error.strerror})"
        raise UserError("--out", problem, "Name a folder that you may write, on a disk with room.") from error


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
    """A spreadsheet must not run as a formula what a model wrote: such text gets an apostrophe in front."""
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
        fix = "Install it with `pip install 'ratchet[export]'`, or choose --format csv."
        raise UserError("--format parquet", "pyarrow is not installed", fix) from error
    return pa, parquet
