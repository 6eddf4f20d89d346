"""`ratchet tasks calibrate` from the command line, in real boxes, with a scaffold that is a small program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.calibrating import headroom, last_calibration
from agent.config.campaign import load_config
from agent.suites.loader import load_suite

pytestmark = [pytest.mark.docker, pytest.mark.slow]
SCAFFOLD = """\
import os
answers = {"easy": "yes", "hard": "no", "chance": "yes" if int(os.environ["RATCHET_SEED"]) % 2 else "no"}
name = open("/task/instruction.md").read().split()[-1]
open("answer.txt", "w").write(answers[name])
"""
TASK = "  - {{id: {0}, split: gate, instruction: Answer {0}, match: {{exact: 'yes'}}}}\n"
CONFIG = """\
name: small
suite: suite
scaffold: {command: [python3, /scaffold/solve.py], mutable: [solve.py]}
models:
  solver: {provider: scripted, script: script.yaml}
  improver: {provider: scripted, script: script.yaml}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "suite").mkdir()
    tasks = "".join(TASK.format(name) for name in ("easy", "hard", "chance"))
    (tmp_path / "suite" / "suite.yaml").write_text(f"name: three\ntasks:\n{tasks}")
    (tmp_path / "solve.py").write_text(SCAFFOLD)
    (tmp_path / "script.yaml").write_text("rules: [{reply: yes sir}]\n")
    (tmp_path / "campaign.yaml").write_text(CONFIG)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def calibrate(home: Path, *arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "tasks", "calibrate", "--json", *arguments],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_the_seed_is_run_and_doctor_reads_what_came_of_it(home: Path) -> None:
    said = calibrate(home, "--runs", "2")
    assert said["always_solved"] == ["easy"]
    assert said["never_solved"] == (["hard"] if "chance" in said["splits"] else ["hard", "chance"])  # type: ignore[operator]
    assert said["costs"]["runs"] == 6  # type: ignore[index]
    notebook = home / "runs" / "small" / "calibration.jsonl"
    first = notebook.read_text()
    more = calibrate(home, "--runs", "6")
    assert notebook.read_text().startswith(first)
    assert len(notebook.read_text().splitlines()) == 18
    rates = {task["id"]: task["rate"] for task in more["tasks"]}  # type: ignore[attr-defined]
    assert rates["easy"] == 1
    assert rates["hard"] == 0
    assert 0 < rates["chance"] < 1
    config = load_config(home / "campaign.yaml")
    suite = load_suite(config.suite)
    assert last_calibration(config, suite) == more
    assert "1 of 3 gate tasks have headroom" in headroom(config, suite)
