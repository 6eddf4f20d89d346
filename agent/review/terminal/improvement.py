"""What `ratchet eval --improver` found."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.text import clean_line
from agent.review.improvement import Improvement, Side
from agent.review.summary import Estimate


def facts(found: Improvement) -> dict[str, Any]:
    """The figures for programs. A mean without an interval has null for `low` and `high`."""
    sides = [{**asdict(side), "gain": _facts(side.gain, side.mean, len(side.gains))} for side in found.sides]
    counted = sum(len(side.gains) for side in found.sides)
    said = {"sentence": found.sentence, "caution": found.caution}
    return {"sides": sides, "difference": _facts(found.difference, found.mean, counted), **said}


def print_improvement(found: Improvement, console: Console, *, folder: Path, planned: int, as_json: bool) -> None:
    """Print both sides, the difference, and where the record is; `planned` counts proposals of a side."""
    if as_json:
        print(json.dumps({**facts(found), "planned": planned, "folder": str(folder)}))  # noqa: T201
        return
    table = Table(box=None, pad_edge=False)
    for name in ("improver", "proposals", "admitted", "mean gain [95 %]", "tokens"):
        table.add_column(name, no_wrap=name != "improver")
    for side in found.sides:
        table.add_row(Text(clean_line(side.label)), *_cells(side))
    console.print(table)
    console.print(f"difference: {_estimate(found.difference, found.mean)}", markup=False)
    console.print(f"{found.sentence}; for this parent, brief and suite", markup=False)
    if found.caution:
        console.print(found.caution, markup=False)
    if any(len(side.gains) < planned for side in found.sides):
        console.print(f"cut short: {planned} proposals of each were planned", markup=False)
    console.print(Text(f"proposals, transcripts and calls: {folder}"), soft_wrap=True)


def _cells(side: Side) -> tuple[str, str, str, str]:
    return str(len(side.gains)), str(side.admitted), _estimate(side.gain, side.mean), f"{side.tokens:,.0f}"


def _estimate(one: Estimate | None, mean: float | None) -> str:
    if one is not None:
        return f"{one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
    return "not known" if mean is None else f"{mean:+.3f} (no interval)"


def _facts(one: Estimate | None, mean: float | None, n: int) -> dict[str, Any] | None:
    if one is not None:
        return asdict(one)
    return None if mean is None else {"mean": mean, "low": None, "high": None, "n": n}
