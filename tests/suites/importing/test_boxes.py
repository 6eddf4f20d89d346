"""Imported tasks in real boxes: the reference scores 1, the starting files and broken ones 0."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.cli.importing import solve_references
from agent.cli.suites import prove_suite
from agent.suites.importing.draft import OWN_IMAGE, Options
from agent.suites.importing.run import import_suite
from agent.suites.loader import load_suite

pytestmark = [pytest.mark.docker, pytest.mark.slow]
Trees = dict[str, dict[str, str]]
QUIET = Console(quiet=True)


def unproven(suite: Path) -> dict[str, str]:
    proofs = asyncio.run(prove_suite(load_suite(suite), 2, None, QUIET))
    return {proof.task.id: "; ".join(f"{kind}: {said}" for kind, said in proof.findings) for proof in proofs}


def solved(source: Path, kind: str, scripts: int) -> Path:
    """An imported set; `scripts` of its tasks have references that are run once. A whole machine keeps its script."""

    def prepare(suite: Path) -> None:
        assert [one.problem for one in solve_references(suite, OWN_IMAGE, 2, QUIET)] == [None] * scripts

    dest = source.parent / "suite"
    return import_suite(kind, source, dest, options=Options(image=OWN_IMAGE), prepare=prepare).dest


def test_a_harbor_set_is_solved_by_its_scripts_and_proven(plant: Any, under: Any, formats: Trees) -> None:
    suite = solved(plant(under("lines", formats["harbor"]) | under("reward", formats["rewarded"])), "harbor", 1)
    assert (suite / "lines" / "solution" / "count.txt").read_text().strip() == "3"
    assert unproven(suite) == {"lines": "", "reward": ""}


def test_a_task_whose_layers_leave_files_where_it_works_is_proven_as_a_machine(
    plant: Any, under: Any, formats: Trees
) -> None:
    files = dict(formats["harbor"])
    files["environment/Dockerfile"] = files["environment/Dockerfile"].replace("COPY", "RUN touch made.txt\nCOPY")
    source = plant(under("made", files))
    suite = import_suite("harbor", source, source.parent / "suite", options=Options(image=OWN_IMAGE)).dest
    assert load_suite(suite).tasks[0].whole
    assert unproven(suite) == {"made": ""}


def test_terminal_bench_tasks_are_solved_and_proven(plant: Any, under: Any, formats: Trees) -> None:
    other = formats["terminal-bench"] | {
        "words.txt": "a b c\n\n",
        "task.yaml": "instruction: Count.\ndifficulty: easy\n",
    }
    suite = solved(plant(under("words", formats["terminal-bench"]) | under("other", other)), "terminal-bench", 2)
    assert unproven(suite) == {"words": "", "other": ""}


@pytest.mark.parametrize("kind", ["exercism", "pytest"])
def test_tasks_in_python_are_proven(kind: str, plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("one", formats[kind]))
    assert unproven(import_suite(kind, source, source.parent / "suite", options=Options()).dest) == {"one": ""}


def test_rows_are_proven_and_keep_tuples(rows: Any, human: Any, mbpp: Any, tmp_path: Path) -> None:
    for kind, row in (("humaneval", human), ("mbpp", mbpp)):
        dest = import_suite(kind, rows(row, name=f"{kind}.jsonl"), tmp_path / kind, options=Options()).dest
        assert list(unproven(dest).values()) == [""]
