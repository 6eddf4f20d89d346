"""`ratchet doctor` of a campaign whose boxes no engine runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CAMPAIGN = """
suite: starter
models: {default: {provider: openai, base_url: "http://127.0.0.1:9/v1", model: none}}
boxes: {engine: oci, runtime: RUNTIME}
"""


def doctor(folder: Path, runtime: str) -> str:
    for command in (["git", "init", "-q"], ["git", "commit", "-q", "--allow-empty", "-m", "start"]):
        named = ["-c", "user.name=u", "-c", "user.email=u@x", *command[1:]]
        subprocess.run(["git", *named], cwd=folder, check=True, capture_output=True)
    (folder / "campaign.yaml").write_text(CAMPAIGN.replace("RUNTIME", runtime))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "agent.cli", "doctor", "campaign.yaml"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=200)
    return done.stdout


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.usefixtures("oci")
def test_it_says_which_runtime_runs_the_boxes_and_tries_it_or_names_what_is_missing(tmp_path: Path) -> None:
    said = " ".join(doctor(tmp_path, "crun").split())
    assert "ok engine oci: crun " in said
    assert "ok boxes one takes " in said
    said = " ".join(doctor(tmp_path, "runsc").split())
    assert "FAIL engine boxes.runtime: runsc cannot be used with boxes.engine: oci" in said
    assert "fix: Name one of crun, runc, or remove the key." in said
