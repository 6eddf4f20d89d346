"""One campaign, one process."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from agent.base.errors import UserError
from agent.kernel.record.lock import held, holder, signal_holder


def test_a_second_process_is_told_who_holds_the_campaign(tmp_path: Path) -> None:
    with held(tmp_path / "c"):
        folder = str(tmp_path / "c")
        code = "from pathlib import Path; from agent.kernel.record.lock import held; "
        code += f"held(Path({folder!r})).__enter__()"
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"process {os.getpid()} is running this campaign" in second.stderr


def test_nobody_holds_a_campaign_that_ended(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    assert holder(tmp_path) is None


def test_a_stale_pid_file_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1")
    assert holder(tmp_path) is None
    with pytest.raises(UserError, match="no process is running"):
        signal_holder(tmp_path)


def test_a_holder_that_was_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "pid").write_text("4194303")
    with pytest.raises(UserError, match="process 4194303 was, and did not end in order"):
        signal_holder(tmp_path)


def test_a_holder_that_has_not_said_who_it_is_is_still_a_holder(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "pid").unlink()
        folder = str(tmp_path)
        code = "from pathlib import Path; from agent.kernel.record.lock import holder; "
        second = subprocess.run(
            [sys.executable, "-c", f"{code}print(holder(Path({folder!r})))"], capture_output=True, text=True, check=True
        )
    assert second.stdout.strip() == "0"


def test_a_folder_that_is_removed_while_somebody_asks_stays_removed(tmp_path: Path) -> None:
    folder, away, done = tmp_path / "c", tmp_path / "away", Event()
    with held(folder):
        pass

    def ask() -> None:
        while not done.is_set():
            assert holder(folder) is None

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            for _ in range(500):
                folder.rename(away)
                assert not folder.exists()
                away.rename(folder)
        finally:
            done.set()
        asking.result()


def test_two_processes_that_ask_at_a_time_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    (tmp_path / "pid").write_text("4194303")  # of a process that was killed
    code = "import sys; from pathlib import Path; from agent.kernel.record.lock import holder\n"
    code += f"for _ in range(3000): assert holder(Path({str(tmp_path)!r})) is None"
    asking = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(60) for process in asking] == [0, 0]
