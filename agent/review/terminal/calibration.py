"""What `ratchet tasks calibrate` prints: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.types import Split, Suite
from agent.kernel.decide.calibration import Calibration, Headroom, Measured, Proof


def as_data(suite: Suite, found: Calibration, costs: Mapping[str, float]) -> dict[str, Any]:
    """A calibration as plain data."""
    return {
        "suite": suite.name,
        "hash": suite.hash,
        "score": sum(one.rate for one in found.tasks) / len(found.tasks),
        "effect": found.effect,
        "noise": found.noise,
        "tasks": [_task(one) for one in found.tasks],
        "always_solved": found.without_headroom(Headroom.ALWAYS),
        "never_solved": found.without_headroom(Headroom.NEVER),
        "gate_now": _proof(found.now),
        "gate_proposed": _proof(found.proposed),
        "splits": {task: str(split) for task, split in sorted(found.splits.items())},
        "suite_size": {str(split): count for split, count in found.sizes.items()},
        "costs": dict(costs),
    }


def _task(one: Measured) -> dict[str, Any]:
    return {
        "id": one.task,
        "split": str(one.split),
        "runs": len(one.scores),
        "rate": one.rate,
        "noise": one.noise,
        "reference_runs": len(one.reference),
        "reference_rate": one.reference_rate,
        "headroom": str(one.headroom),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {"tasks": proof.tasks, "room": proof.room, "pairs": proof.pairs, "trials": proof.trials}


def print_calibration(found: Calibration, report: Path, console: Console) -> None:
    """Pass rates, the hardest task first, then what follows from them."""
    compared = any(one.reference for one in found.tasks)
    table = Table("task", "split", "runs", "seed", *(["reference"] if compared else []), "headroom", "proposed split")
    table.box, table.pad_edge = None, False
    for one in sorted(found.tasks, key=lambda one: (one.rate, one.task)):
        best = [] if not compared else ["" if one.reference_rate is None else f"{one.reference_rate:.0%}"]
        proposed = found.splits.get(one.task)
        row = (one.task, one.split, str(len(one.scores)), f"{one.rate:.0%}", *best, one.headroom, proposed or "none")
        table.add_row(*map(Text, row))
    console.print(table)
    for line in _sentences(found):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"The whole report is in {report}.", markup=False, soft_wrap=True)


def _sentences(found: Calibration) -> list[str]:
    points = f"{100 * found.effect:g} points"
    useful = sum(one.headroom is Headroom.YES for one in found.tasks)
    sizes = ", ".join(f"{found.sizes[split]} {split}" for split in Split)
    return [
        f"{useful} of {len(found.tasks)} tasks have headroom; the rest cost trials and show nothing.",
        f"Noise of one pair without any effect: {100 * found.noise:.0f} points (standard deviation).",
        f"Gate as it is: {_said(found.now, points)}",
        f"Gate as proposed, {found.proposed.tasks} tasks with headroom: {_said(found.proposed, points)}",
        f"Suite size for {points} to show on tasks like these: {sizes}, all with headroom.",
    ]


def _said(proof: Proof, points: str) -> str:
    if proof.pairs is None:
        return f"{points} cannot be proved; its tasks leave room for {100 * proof.room:.0f}."
    return f"{points} take {proof.pairs} pairs nine times in ten, a budget of about {proof.trials:,} trials."
