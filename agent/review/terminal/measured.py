"""What `ratchet eval` measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from agent.base.text import clean_line
from agent.review.summary import Estimate, difference, wilson

SHOWN_REASONS = 3

Row = Mapping[str, Any]
"""One finished trial, as `results.jsonl` has it."""


def print_measured(
    sides: Sequence[Sequence[Row]], console: Console, *, folder: Path, total: int, as_json: bool
) -> None:
    """Print every trial, the mean with its interval, the paired difference of two sides, and what was refused.

    A measurement that was cut short has fewer trials than `total`.
    """
    means = [wilson([row["score"] for row in side]) for side in sides]
    gained = difference(*([row["score"] for row in side] for side in reversed(sides))) if len(sides) > 1 else None
    if as_json:
        facts = {"sides": [asdict(m) if m else None for m in means], "trials": [[*map(dict, side)] for side in sides]}
        facts |= {"difference": asdict(gained) if gained else None, "planned": total, "folder": str(folder)}
        print(json.dumps(facts))  # noqa: T201
        return
    for rows in zip(*sides, strict=True):
        console.print(Text(_line(rows)), soft_wrap=True)
    _print_means(means, gained, console)
    _print_refused([row for side in sides for row in side], console)
    finished = sum(map(len, sides))
    if finished < total:
        console.print(f"cut short: {finished} of {total} trials count", markup=False)
    if finished:
        console.print(Text(f"transcripts and calls: {folder}"), soft_wrap=True)


def _line(rows: Sequence[Row]) -> str:
    """The scores of one task on every side, and the first side's reason."""
    scores = "  ".join(f"{row['score']:5.2f}" for row in rows)
    refused = sum(len(row["refused"]) for row in rows)
    note = f" ({refused} model calls refused)" if refused else ""
    return f"{scores}  {rows[0]['task']:<32} {clean_line(rows[0]['reason'])}{note}"


def _print_means(means: Sequence[Estimate | None], gained: Estimate | None, console: Console) -> None:
    for name, mean in zip(("measured", "against"), means, strict=False):
        console.print(f"{name}: {mean or 'no trial has finished'}", markup=False)
    if gained is not None:
        console.print(f"difference, paired: {gained}", markup=False)


def _print_refused(rows: Sequence[Row], console: Console) -> None:
    """The commonest reasons why model calls were refused."""
    reasons = Counter(clean_line(reason) for row in rows for reason in row["refused"])
    if not reasons:
        return
    trials = sum(bool(row["refused"]) for row in rows)
    console.print(f"model calls refused: {reasons.total()}, in {trials} of {len(rows)} trials", markup=False)
    for reason, count in reasons.most_common(SHOWN_REASONS):
        console.print(Text(f"  {count}: {reason}"), soft_wrap=True)
