"""What `ratchet tasks calibrate` writes and keeps, without boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.cli.calibrating import write_report


def test_a_report_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    write_report(file, {"score": 0.5})
    assert json.loads(file.read_text()) == {"score": 0.5}
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    with pytest.raises(UserError, match=r"calibration\.json: cannot be written.*no run is repeated"):
        write_report(file, {"score": 0.6})
