"""Traces as files for the viewers that people have: ATIF, one file a trace, and OpenTelemetry, one line a trace."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from agent.base.errors import UserError
from agent.kernel.record.ledger import Ledger
from agent.models.ports import Json
from agent.review.report import atif, otlp
from agent.review.report.traces import Trace, traces

TRAJECTORIES = "trajectories"
SPANS = "spans.otlp.jsonl"


class TraceFormat(StrEnum):
    """The kind of trace to write."""

    ATIF = "atif"
    OTLP = "otlp"


def export_traces(ledger: Ledger, folder: Path, kind: TraceFormat, *, campaign: str) -> list[tuple[Path, int]]:
    """Write the traces of a ledger, all as of one moment; returns the file or folder, and how many it holds.

    Raises:
        UserError: the folder cannot be written.
    """
    write = {TraceFormat.ATIF: _write_atif, TraceFormat.OTLP: _write_otlp}[kind]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ledger.snapshot():
            return [write(traces(ledger, campaign), folder)]
    except OSError as error:
        problem = f"{error.filename or folder} cannot be written ({error.strerror})"
        raise UserError("--out", problem, "Name a folder that you may write to, on a disk with free space.") from error


def _write_atif(found: Iterable[Trace], folder: Path) -> tuple[Path, int]:
    """A trajectory is for reading what was said, so there is one for each trace that may be read."""
    target, count = folder / TRAJECTORIES, 0
    target.mkdir(exist_ok=True)
    for trace in found:
        if trace.shown:
            (target / f"{trace.id}.json").write_bytes(_bytes(atif.trajectory(trace), indent=1))
            count += 1
    return target, count


def _write_otlp(found: Iterable[Trace], folder: Path) -> tuple[Path, int]:
    target, count = folder / SPANS, 0
    with target.open("wb") as out:
        for count, trace in enumerate(found, 1):  # noqa: B007 (the count is the result)
            out.write(_bytes(otlp.traces_data(trace)) + b"\n")
    return target, count


def _bytes(document: Json, indent: int | None = None) -> bytes:
    """JSON in UTF-8; half of a character, which a model may have written, is replaced."""
    return json.dumps(document, ensure_ascii=False, indent=indent).encode(errors="replace")
