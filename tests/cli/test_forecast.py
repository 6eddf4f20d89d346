"""What `ratchet simulate` prints: each figure with its meaning, and everything that it assumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.app import app
from agent.cli.calibrating import REPORT
from agent.cli.forecast import _worth
from agent.config.campaign import load_config
from agent.suites.loader import load_suite

CONFIG = """suite: starter
models: {solver: {provider: embedded}, improver: {provider: embedded}}
budget: {hours: null, trials: 400}
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "campaign.yaml").write_text(CONFIG)
    return tmp_path


def simulate(*options: str) -> str:
    done = CliRunner().invoke(app, ["simulate", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("said")
def test_each_figure_has_its_meaning_and_every_assumption_its_option() -> None:
    text = simulate("--cost-per-trial", "0.5", "--seconds-per-trial", "9")
    for part in ("400  trials fit into the budget", "$200.00  for their model calls", "patches are proposed"):
        assert part in text
    for part in ("the seed scores 0.35 (--score", "a trial takes 9 s (--seconds-per-trial)", "of ten proposals"):
        assert part in text
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    ("budget", "options", "line"),
    [
        ("{hours: 1}", (), "So many fit into 1 h at 30 s a trial; --seconds-per-trial N"),
        ("{hours: 8}", ("--seconds-per-trial", "300"), "So many fit into 8 h at 300 s a trial; --seconds-per-trial N"),
        ("{hours: 100, trials: 400}", (), None),
        ("{hours: null, trials: 400}", (), None),
    ],
)
def test_the_duration_of_a_trial_is_said_with_the_result_where_it_decides(
    said: Path, budget: str, options: tuple[str, ...], line: str | None
) -> None:
    (said / "campaign.yaml").write_text(CONFIG.replace("{hours: null, trials: 400}", budget))
    second = simulate(*options).splitlines()[1:3]
    assert (line in " ".join(second)) if line else not second[0].startswith("So many")


def test_a_calibration_of_this_suite_is_used_unless_a_score_is_given(said: Path) -> None:
    config = load_config(said / "campaign.yaml")
    config.folder.mkdir(parents=True)
    known = {"hash": load_suite(config.suite).hash, "score": 0.62, "tasks": []}
    (config.folder / REPORT).write_text(json.dumps(known))
    assert "the seed scores 0.62" in simulate()
    assert "the seed scores 0.2 " in simulate("--score", "0.2")


def test_a_good_patch_of_the_simulated_world_is_worth_what_is_said() -> None:
    assert 2 < _worth(0.35) < 8
