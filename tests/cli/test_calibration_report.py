"""What `ratchet tasks calibrate` writes and keeps, without boxes."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.cli.calibrating import settings_of, write_report
from agent.config.campaign import load_config


def test_a_report_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    write_report(file, {"score": 0.5})
    assert json.loads(file.read_text()) == {"score": 0.5}
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    with pytest.raises(UserError, match=r"calibration\.json: cannot be written.*no run is repeated"):
        write_report(file, {"score": 0.6})


BEFORE = {
    "suite": "starter",
    "models.solver": {"provider": "openai", "model": "m"},
    "models.improver": {"provider": "openai", "model": "m"},
}


def settings(tmp_path: Path, changes: dict[str, object]) -> str:
    (tmp_path / "campaign.yaml").write_text("{}\n")
    return settings_of(load_config(tmp_path / "campaign.yaml", deepcopy({**BEFORE, **changes})))


@pytest.mark.parametrize(
    "changes",
    [
        {"models.solver.base_url": "http://127.0.0.1:8000/v1"},
        {"models.solver.set": {"temperature": 0.5}},
        {"models.solver": {"provider": "embedded", "weights": "other.gguf"}},
        {"models.solver.max_output": 100},
        {"scaffold.image": "python:3.12"},
        {"scaffold.build": ["RUN pip install x"]},
        {"scaffold.prepare": ["make"]},
        {"scaffold.include": ["lib"]},
    ],
)
def test_runs_with_other_settings_of_scaffold_or_solver_do_not_count(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    assert settings(tmp_path, changes) != settings(tmp_path, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"models.solver.requests_per_minute": 10},
        {"models.solver.price": {"input": 1, "output": 2}},
        {"models.improver.model": "another"},
        {"scaffold.base": "main"},
        {"budget.trials": 10},
    ],
)
def test_settings_that_change_no_run_keep_what_was_paid_for(tmp_path: Path, changes: dict[str, object]) -> None:
    assert settings(tmp_path, changes) == settings(tmp_path, {})
