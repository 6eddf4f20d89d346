"""The page docs/peers.md, from what is recorded in results/."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.peers.peers import BUDGETS, MAIN_WORLD, OTHER_WORLDS
from bench.peers.world import KINDS

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
BEGIN, END = "<!-- tables: written by bench/peers/table.py -->", "<!-- end of tables -->"
LEAST: Final = 3
"""Fewer repetitions than this make no row."""

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, int, str], Sequence[Row]]


def recorded() -> Cells:
    """(world, budget, system) -> its runs, one for each seed."""
    found: dict[tuple[str, int, str], dict[int, Row]] = defaultdict(dict)
    for file in sorted(RESULTS.glob("*.jsonl")):
        for row in map(json.loads, file.read_text().splitlines()):
            found[row["world"], row["budget"], row["system"]][row["seed"]] = row
    return {cell: [*rows.values()] for cell, rows in found.items() if len(rows) >= LEAST}


def write() -> None:
    """Replace the tables of the page."""
    page, cells = PAGE.read_text(encoding="utf-8"), recorded()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    body = "\n\n".join(tables(cells))
    PAGE.write_text(f"{head}{BEGIN}\n\n{body}\n\n{END}{tail}", encoding="utf-8")
    print(f"wrote {PAGE}")


def tables(cells: Cells) -> Iterable[str]:
    for budget in BUDGETS:
        if rows := in_order(cells, MAIN_WORLD, budget):
            yield f"### {budget:,} trials, effects add\n\n{selection(rows)}"
    for world in OTHER_WORLDS:
        if rows := in_order(cells, world, 2000):
            yield f"### 2,000 trials, world `{world}`: {about(world)}\n\n{selection(rows)}"
    if rows := [runs for (world, _, _), runs in sorted(cells.items()) if world == "flat"]:
        yield f"### Overhead, trials that cost nothing\n\n{overhead(rows)}"


def about(world: str) -> str:
    """What is special about a world."""
    kind = KINDS[world]
    if world == "mechanisms":
        return "effects do not add"
    if world == "some-tasks":
        return "effects act on a third of the tasks"
    return "nothing to find" if not kind.good else f"{kind.good:.0%} good, a needle in noise"


def in_order(cells: Cells, world: str, budget: int) -> list[Sequence[Row]]:
    """The systems of one world and budget, the best first."""
    found = [rows for (w, b, _), rows in cells.items() if (w, b) == (world, budget)]
    return sorted(found, key=lambda rows: -statistics.mean(map(gain, rows)))


def gain(row: Row) -> float:
    """True points gained."""
    return 100 * (float(row["true"]) - float(row["base"]))


def overstated(row: Row) -> float | None:
    """Points by which the reported score is above the true one."""
    return None if row["reported"] is None else 100 * (float(row["reported"]) - float(row["true_reported"]))


def selection(cells: Sequence[Sequence[Row]]) -> str:
    """One row a system."""
    head = ["system", "runs", "true gain", "reported - true", "good in pick", "null", "harmful"]
    return markdown([*head, "trials a point", "proposals a point"], map(_selected, cells))


def _selected(rows: Sequence[Row]) -> list[str]:
    gained, claims = [gain(row) for row in rows], [o for row in rows if (o := overstated(row)) is not None]
    inside: Callable[[str], str] = lambda kind: f"{statistics.mean(row['in_pick'][kind] for row in rows):.1f}"  # noqa: E731
    mean = statistics.mean(gained)
    each = [statistics.mean(row[what] for row in rows) / mean if mean > 0.5 else None for what in ("used", "dealt")]
    return [
        rows[0]["system"], str(len(rows)), spread(gained), spread(claims, sign=True) if claims else "-",
        inside("good"), inside("null"), inside("harmful"), *("-" if e is None else f"{e:.3g}" for e in each),
    ]  # fmt: skip


def overhead(cells: Sequence[Sequence[Row]]) -> str:
    head = ["system", "runs", "proposals", "CPU s to the first proposal", "CPU ms a proposal, first 100", "last 100"]
    return markdown(head, [_overhead(rows) for rows in cells])


def _overhead(rows: Sequence[Row]) -> list[str]:
    figures = ("dealt", "first_cpu", "early_ms", "late_ms")
    medians = [statistics.median(row[name] for row in rows) for name in figures]
    return [rows[0]["system"], str(len(rows)), *(f"{value:.3g}" for value in medians)]


def spread(values: Sequence[float], *, sign: bool = False) -> str:
    """Mean, and its standard error in brackets."""
    mean = f"{statistics.mean(values):{'+' if sign else ''}.1f}"
    return f"{mean} ({statistics.stdev(values) / len(values) ** 0.5:.1f})" if len(values) > 1 else mean


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
