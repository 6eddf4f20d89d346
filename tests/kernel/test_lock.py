"""One campaign, one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.kernel.errors import UserError
from agent.kernel.lock import held, holder, signal_holder


def test_a_second_process_is_told_who_holds_the_campaign(tmp_path: Path) -> None:
    with held(tmp_path / "c"):
        folder = str(tmp_path / "c")
        code = "from pathlib import Path; from agent.kernel.lock import held; "
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
