"""The suite of the live campaign on record: more search tasks, and nothing else changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from agent.base.types import Split
from agent.suites.loader import load_suite
from bench.live.split import widened

STARTER = Path(__file__).parents[2] / "tasks" / "starter"


def test_tasks_move_to_search_and_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(widened((STARTER / "suite.yaml").read_text()))
    before, after = load_suite(STARTER), load_suite(tmp_path)
    assert Counter(task.split for task in after.tasks) == {Split.SEARCH: 44, Split.GATE: 22, Split.HOLDOUT: 18}
    known = {task.id: task for task in before.tasks}
    assert {task.id for task in after.tasks} == set(known)
    for task in after.tasks:
        assert task.split in {Split.SEARCH, known[task.id].split}
        assert replace(task, split=Split.GATE) == replace(known[task.id], split=Split.GATE)
