"""Importing as a whole: all or nothing, the same bytes again, and every task accounted for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import UserError
from agent.suites.importing.draft import Draft, Options, Refusal
from agent.suites.importing.run import AUTO, import_suite
from agent.suites.loader import load_suite
from agent.suites.quarantine import quarantine

Trees = dict[str, dict[str, str]]


def bring(source: Path, kind: str = AUTO, **more: Any) -> Any:
    return import_suite(kind, source, source.parent / "suite", options=Options(), **more)


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def beside(source: Path) -> set[str]:
    return {path.name for path in source.parent.iterdir()}


@pytest.fixture
def two(plant: Any, under: Any, formats: Trees) -> Path:
    """One task that can be taken and one that cannot."""
    bad = formats["exercism"] | {"purse_test.py": "for i in range(2):\n    def test_x(): pass\n"}
    root: Path = plant(under("good", formats["exercism"]) | under("late", bad))
    return root


def test_every_task_is_reported_as_taken_or_refused(two: Path) -> None:
    said: list[Draft | Refusal] = []
    report = bring(two, done=said.append)
    assert [type(item).__name__ for item in said] == ["Draft", "Refusal"]
    assert (report.taken, report.changed) == (1, True)
    kept = json.loads((report.dest / "import.json").read_text())
    assert kept["taken"] == [{"id": "good", "from": "good"}]
    assert kept["refused"] == [
        {"id": "late", "from": "late", "feature": "late/purse_test.py line 2: a test inside if, for, try or with"}
    ]


def test_a_second_import_changes_no_byte(two: Path) -> None:
    first = bring(two)
    before = everything(first.dest)
    assert not bring(two).changed
    assert everything(first.dest) == before
    assert beside(two) == {"source", "suite"}


def test_the_same_source_gives_the_same_suite_elsewhere(two: Path, tmp_path: Path) -> None:
    bring(two)
    import_suite(AUTO, two, tmp_path / "again" / "suite", options=Options())
    there = {path: body for path, (body, _) in everything(tmp_path / "again" / "suite").items()}
    assert there == {path: body for path, (body, _) in everything(tmp_path / "suite").items()}


def test_another_import_is_replaced_only_on_request_and_quarantine_is_kept(two: Path) -> None:
    report = bring(two)
    (two / "good" / "purse.py").write_text("def total(coins): ...\n")
    before = everything(report.dest)
    with pytest.raises(UserError, match=r"holds another import.*--replace"):
        bring(two)
    assert everything(report.dest) == before
    (two / "more").mkdir()
    for path in (two / "good").rglob("*"):
        target = two / "more" / path.relative_to(two / "good")
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    (two / "more" / ".docs" / "instructions.md").write_text("Another one.\n")
    quarantine(report.dest, {"good": "slow"})
    assert bring(two, replace=True).changed
    assert load_suite(report.dest).quarantined == ("good",)
    assert beside(two) == {"source", "suite"}


def test_a_folder_of_something_else_is_never_touched(two: Path) -> None:
    (two.parent / "suite").mkdir()
    (two.parent / "suite" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="something else"):
        bring(two, replace=True)
    assert everything(two.parent / "suite").keys() == {"thesis.txt"}


def test_the_suite_does_not_lie_in_the_source(two: Path) -> None:
    with pytest.raises(UserError, match="lies in the source"):
        import_suite(AUTO, two, two / "suite", options=Options())


def test_the_same_task_twice_is_taken_once(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("a", formats["exercism"]) | under("b", formats["exercism"]))
    (refusal,) = bring(source).refused
    assert (refusal.id, refusal.feature) == ("b", "the same instruction and tests as a")


def test_nothing_is_left_when_the_last_task_is_broken(plant: Any, under: Any, formats: Trees) -> None:
    broken = under("z", formats["exercism"]) | {"z/.meta/config.json": '{"files": {},\n "files": {}}'}
    source = plant(under("a", formats["exercism"]) | broken)
    with pytest.raises(UserError, match=r"config\.json line 1.*'files' twice"):
        bring(source)
    assert beside(source) == {"source"}


def test_an_import_that_is_broken_off_leaves_nothing(two: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(two, done=interrupt)
    assert beside(two) == {"source"}


def test_an_unknown_kind_or_source_names_what_there_is(two: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Use auto, harbor, terminal-bench, exercism"):
        bring(two, "no such kind")
    with pytest.raises(UserError, match="does not exist"):
        import_suite(AUTO, tmp_path / "nowhere", tmp_path / "suite", options=Options())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no known task set"):
        import_suite(AUTO, tmp_path / "empty", tmp_path / "suite", options=Options())


def test_a_disk_that_cannot_be_written_is_said_in_one_line(two: Path) -> None:
    if os.geteuid() == 0:
        (two.parent / "file").write_text("")
        with pytest.raises(UserError, match="cannot be written"):
            import_suite(AUTO, two, two.parent / "file" / "suite", options=Options())
    else:
        two.parent.chmod(0o500)
        with pytest.raises(UserError, match="cannot be written"):
            bring(two)
        two.parent.chmod(0o700)
