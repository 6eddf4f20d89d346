"""Each run has a folder of its own: the living keep theirs, the dead leave nothing, and any path will do."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.base.errors import SandboxDown, UserError
from agent.base.owner import owner_label
from sandbox import folders
from sandbox.folders import SOCKET, SOCKET_PATH_MAX, RunFolder, reap_folders


@pytest.fixture
def boxes() -> Path:
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        yield Path(folder) / "boxes"  # type: ignore[misc]


def made(run: RunFolder, name: str = "b" * 12) -> Path:
    folder = run.for_box(name)
    folder.mkdir()
    return folder


def test_two_runs_of_one_campaign_have_two_private_folders(boxes: Path) -> None:
    first, second = RunFolder(boxes), RunFolder(boxes)
    one, two = made(first), made(second)
    assert one.parent != two.parent
    assert stat.S_IMODE(one.parent.stat().st_mode) == 0o700
    first.remove()
    assert (one.exists(), two.exists()) == (False, True)
    reap_folders(boxes)
    assert two.exists()
    second.remove()
    assert list(boxes.iterdir()) == []


def test_the_folder_of_a_dead_run_is_removed_and_that_of_a_living_one_stays(boxes: Path) -> None:
    living = made(RunFolder(boxes))
    program = f"from sandbox.folders import RunFolder; from pathlib import Path; print(RunFolder(Path({str(boxes)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}.for_box('x'))"], check=True, capture_output=True, text=True
    )
    dead = Path(done.stdout.strip()).parent
    assert dead.exists()
    reap_folders(boxes)
    assert living.exists()
    assert {path.stem for path in boxes.iterdir()} == {living.parent.name}


@pytest.mark.parametrize("left", ["folder", "owner"])
def test_half_of_a_dead_runs_folder_is_removed_too(boxes: Path, left: str) -> None:
    boxes.mkdir()
    if left == "folder":
        (boxes / "abcdef" / "box").mkdir(parents=True)
    else:
        (boxes / "abcdef.owner").symlink_to("1.1")
    reap_folders(boxes)
    assert list(boxes.iterdir()) == []


def test_nothing_is_made_before_the_first_box(boxes: Path) -> None:
    RunFolder(boxes).remove()
    assert list(boxes.iterdir()) == []


def test_a_long_path_gets_a_short_private_folder_that_is_reaped_by_its_name(boxes: Path) -> None:
    run = RunFolder(boxes / ("x" * 80))
    box = made(run)
    assert len(os.fsencode(box / SOCKET)) <= SOCKET_PATH_MAX
    assert stat.S_IMODE(box.parent.stat().st_mode) == 0o700
    assert owner_label(os.getpid()) in box.parent.name
    reap_folders(boxes)
    assert box.exists()
    run.remove()
    assert not box.parent.exists()


def test_a_long_tmpdir_beside_a_long_path_is_passed_over(boxes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = boxes / ("t" * 90)
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    run = RunFolder(boxes / ("x" * 80))
    assert len(os.fsencode(made(run) / SOCKET)) <= SOCKET_PATH_MAX
    run.remove()


def test_where_no_path_is_short_enough_the_error_names_the_fix(boxes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_short_places", lambda: [boxes / ("t" * 90)])
    with pytest.raises(UserError, match=r"TMPDIR: .*short"):
        RunFolder(boxes / ("x" * 80))


def test_a_folder_that_cannot_be_made_is_an_infrastructure_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxDown, match="cannot make"):
        RunFolder(tmp_path / "file" / "boxes")


def test_boxes_that_are_made_at_once_share_one_folder(boxes: Path) -> None:
    class Slow(RunFolder):
        def _make(self) -> Path:
            time.sleep(0.05)
            return super()._make()

    run = Slow(boxes)
    with ThreadPoolExecutor(4) as threads:
        parents = {path.parent for path in threads.map(run.for_box, [f"{n:012d}" for n in range(4)])}
    assert len(parents) == 1
    run.remove()
    assert not list(boxes.iterdir())
