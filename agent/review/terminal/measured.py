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


Side = tuple[str, Sequence[Row]]
"""The label of a scaffold, `#7 SUBJECT` or `HASH SUBJECT`, and its trials."""


def print_measured(sides: Sequence[Side], console: Console, *, folder: Path, total: int, as_json: bool) -> None:
    """Print every trial, the mean with its interval, the paired difference of two sides, and what was refused.

    A measurement that was cut short has fewer trials than `total`.
    """
    labels, trials = [label for label, _ in sides], [rows for _, rows in sides]
    means = [wilson([row["score"] for row in rows]) for rows in trials]
    gained = difference(*([row["score"] for row in rows] for rows in reversed(trials))) if len(sides) > 1 else None
    if as_json:
        facts = {"sides": [asdict(m) if m else None for m in means], "trials": [[*map(dict, rows)] for rows in trials]}
        facts |= {"difference": asdict(gained) if gained else None, "planned": total, "folder": str(folder)}
        print(json.dumps(facts | {"labels": labels}))  # noqa: T201
        return
    _print_trials(labels, trials, console)
    _print_means(labels, means, gained, console)
    _print_refused([row for rows in trials for row in rows], console)
    finished = sum(map(len, trials))
    if finished < total:
        console.print(f"cut short: {finished} of {total} trials count", markup=False)
    if finished:
        console.print(Text(f"transcripts and calls: {folder}"), soft_wrap=True)


def short(label: str) -> str:
    """What a column or a line of progress has room for: the number of a candidate, or the hash of a commit."""
    return clean_line(label).partition(" ")[0]


def _print_trials(labels: Sequence[str], trials: Sequence[Sequence[Row]], console: Console) -> None:
    """A column for each scaffold."""
    heads = [short(label) for label in labels] if len(labels) > 1 else ["score"]
    reason = f"reason of {heads[0]}" if len(labels) > 1 else "reason"
    console.print(Text(f"{'  '.join(f'{head:>5}' for head in heads)}  {'task':<32} {reason}"), soft_wrap=True)
    for rows in zip(*trials, strict=True):
        console.print(Text(_line(rows, heads)), soft_wrap=True)


def _line(rows: Sequence[Row], heads: Sequence[str]) -> str:
    """The scores of one task on every side, and the first side's reason."""
    scores = "  ".join(f"{row['score']:{max(len(head), 5)}.2f}" for row, head in zip(rows, heads, strict=True))
    refused = sum(len(row["refused"]) for row in rows)
    note = f" ({refused} model calls refused)" if refused else ""
    return f"{scores}  {rows[0]['task']:<32} {clean_line(rows[0]['reason'])}{note}"


def _print_means(
    labels: Sequence[str], means: Sequence[Estimate | None], gained: Estimate | None, console: Console
) -> None:
    for name, label, mean in zip(("measured", "against"), labels, means, strict=False):
        said = f"{name}: {mean or 'no trial has finished'}  {clean_line(label)}"
        console.print(Text(said), soft_wrap=True)
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
