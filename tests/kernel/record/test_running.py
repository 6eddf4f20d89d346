"""`ratchet stop --all` finds every campaign that runs, and none that does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.kernel.record.lock import held, signal_holder
from agent.kernel.record.running import listed, running

HOLD = """
import sys, time
from pathlib import Path
from agent.base.errors import UserError
from agent.kernel.record.lock import held, signal_holder
from agent.kernel.record.running import listed
with held(Path(sys.argv[1])), listed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def hold(folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_campaigns_of_other_processes_are_found_until_they_end(tmp_path: Path) -> None:
    first, second = hold(tmp_path / "a"), hold(tmp_path / "b")
    try:
        assert running() == [tmp_path / "a", tmp_path / "b"]
        first.kill()
        first.wait()
        assert running() == [tmp_path / "b"]
    finally:
        first.kill()
        second.kill()
        first.wait()
        second.wait()
    assert running() == []


def test_a_list_that_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with held(tmp_path / "a"), listed(tmp_path / "a"):
        assert running() == []


def test_a_command_that_is_refused_leaves_no_trace_of_a_killed_process(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such candidate"), held(tmp_path / "a"):
        raise UserError("ID", "no such candidate", "See `ratchet log`.")
    with pytest.raises(UserError) as refused:
        signal_holder(tmp_path / "a")
    assert "killed" not in str(refused.value)
