"""What `ratchet eval` prints: whose score is whose."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.review.terminal.measured import Side, print_measured

FOLDER = Path("runs/night/evals/x")


def row(task: str, score: float) -> dict[str, Any]:
    return {"task": task, "score": score, "reason": "3 of 4 tests passed", "refused": []}


def side(label: str, *scores: float) -> Side:
    return label, [row(f"task-{n}", score) for n, score in enumerate(scores)]


def shown(*sides: Side) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    print_measured(sides, console, folder=FOLDER, total=4, as_json=False)
    said: str = console.file.getvalue()  # type: ignore[attr-defined]
    return said.splitlines()


def test_two_scaffolds_are_named_above_their_columns_and_beside_their_means() -> None:
    head, first, _, *rest = shown(side("#12 Sort the keys", 1.0, 0.5), side("a1b2c3d4e5 Start\x1b[2J here", 0.0, 0.0))
    assert head.split() == ["#12", "a1b2c3d4e5", "task", "reason", "of", "#12"]
    assert first.split()[:3] == ["1.00", "0.00", "task-0"]
    assert [head.index(word) + len(word) for word in ("#12", "e5")] == [first.index(s) + 4 for s in ("1.00", "0.00")]
    assert head.index("task") == first.index("task-0")
    assert [line for line in rest if line.startswith("measured: 0.750") and line.endswith("#12 Sort the keys")]
    assert [line for line in rest if line.startswith("against: 0.000") and line.endswith("a1b2c3d4e5 Start here")]


def test_one_scaffold_has_one_column_of_scores() -> None:
    head, first, *_ = shown(side("#12 Sort the keys", 1.0))
    assert head.split() == ["score", "task", "reason"]
    assert first.startswith(" 1.00  task-0")


def test_programs_get_the_names_too(capsys: pytest.CaptureFixture[str]) -> None:
    sides = [side("#12 Sort the keys", 1.0), side("#0 Start here", 0.0)]
    print_measured(sides, Console(), folder=FOLDER, total=2, as_json=True)
    assert json.loads(capsys.readouterr().out)["labels"] == ["#12 Sort the keys", "#0 Start here"]
