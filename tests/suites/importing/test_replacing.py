"""`--replace`: the quarantine of the earlier import is carried where it still says something, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.base.errors import UserError
from agent.cli.app import app
from agent.suites.check import Flaw, judge
from agent.suites.importing.draft import Options
from agent.suites.importing.replacing import swap
from agent.suites.importing.run import import_suite
from agent.suites.importing.solving import Solved, write_solutions
from agent.suites.loader import load_suite
from agent.suites.quarantine import QUARANTINE, quarantine, quarantined

Trees = dict[str, dict[str, str]]


@pytest.fixture
def three(plant: Any, under: Any, formats: Trees) -> Path:
    """Three Harbor tasks whose references are scripts."""
    files: dict[str, str] = {}
    for name in ("t0", "t1", "t2"):
        files |= under(name, formats["harbor"] | {"instruction.md": f"Count lines, {name}.\n"})
    root: Path = plant(files)
    return root


def bring(source: Path, **more: Any) -> Path:
    return import_suite("harbor", source, source.parent / "suite", options=Options(), **more).dest


def solving(suite: Path) -> None:
    """What --solve does with the first two tasks."""
    write_solutions(suite, [Solved(name, {"count.txt": b"3\n"}) for name in ("t0", "t1")])


def unproven(suite: Path, name: str) -> str:
    """The reason for which a check puts an imported task into quarantine."""
    return judge(next(task for task in load_suite(suite).tasks if task.id == name), {}).reason


def test_a_task_that_is_gone_leaves_the_quarantine(three: Path) -> None:
    quarantine(bring(three), {"t1": "slow: 9 s", "t2": "flaky: 0 and 1"})
    for path in sorted((three / "t2").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    suite = load_suite(bring(three, replace=True))
    assert suite.quarantined == ("t1",)
    assert [task.id for task in suite.tasks] == ["t0"]


def test_what_the_new_import_puts_into_quarantine_stays_beside_what_was_there(three: Path) -> None:
    quarantine(bring(three), {"t1": "slow: 9 s", "t2": "slow: 8 s"})

    def prepare(suite: Path) -> None:
        solving(suite)
        quarantine(suite, {"t2": "no image for it"})

    assert quarantined(bring(three, replace=True, prepare=prepare)) == {"t1": "slow: 9 s", "t2": "no image for it"}


def test_a_task_that_has_a_reference_now_leaves_the_quarantine_if_it_was_there_for_that_alone(three: Path) -> None:
    dest = bring(three)
    lacks = unproven(dest, "t0")
    assert lacks.startswith(f"{Flaw.NO_REFERENCE}: ")
    quarantine(dest, {"t0": lacks, "t1": f"{lacks}; {Flaw.ALREADY_SOLVED}: starter score 1 (x)", "t2": lacks})
    with pytest.raises(UserError, match="every task is in quarantine"):
        load_suite(dest)
    suite = load_suite(bring(three, replace=True, prepare=solving))
    assert suite.quarantined == ("t1", "t2"), "t2 has no reference still, t1 has another flaw"


def test_a_quarantine_of_every_task_is_refused_before_the_suite_is_replaced(three: Path) -> None:
    dest = bring(three)
    quarantine(dest, dict.fromkeys(("t0", "t1", "t2"), "slow: 9 s"))
    (three / "t0" / "instruction.md").write_text("Another one.\n")
    with pytest.raises(UserError, match=f"{dest / QUARANTINE}: every task is in quarantine"):
        bring(three, replace=True)
    assert (dest / "t0" / "instruction.md").read_text() == "Count lines, t0.\n"
    assert {path.name for path in three.parent.iterdir()} == {"source", "suite"}


def test_the_earlier_suite_is_put_back_if_the_new_one_cannot_be_moved(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "suite.yaml").write_text("earlier")
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "not there", tmp_path / "suite", tmp_path / "before")
    assert (tmp_path / "suite" / "suite.yaml").read_text() == "earlier"
    assert not (tmp_path / "before").exists()


def test_the_last_line_of_an_import_names_the_option_that_runs_reference_scripts(three: Path) -> None:
    said = CliRunner().invoke(app, ["tasks", "import", "harbor", str(three), str(three.parent / "suite")])
    last = said.stdout.splitlines()[-1]
    assert last.startswith("3 of 3 tasks have a reference script that was not run")
    assert "--solve --replace" in last


def test_nothing_is_said_of_scripts_where_there_are_none(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("a", formats["exercism"]))
    said = CliRunner().invoke(app, ["tasks", "import", "auto", str(source), str(source.parent / "suite")])
    assert said.stdout.splitlines()[-1].startswith("Prove it with `ratchet tasks check")
