"""A real Ray cluster of nodes that share nothing but the kernel: network namespaces and engines of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.scale.machines import available

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[3]


def run(out: Path, module: str, *options: str) -> dict[str, Any]:
    """A benchmark in a process of its own, small; what it found."""
    if not available():
        pytest.skip("needs root, dockerd, `ip` and the extra `ray`")
    command = [sys.executable, "-m", module, *options, "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_verdicts_are_the_same_as_on_one_machine_and_lost_nodes_void_their_pairs_only(tmp_path: Path) -> None:
    options = ("--nodes", "2", "--rounds", "1", "--pairs", "8", "--kill-pairs", "24", "--kill-after", "10")
    found = run(tmp_path / "result.json", "bench.scale.run", *options)
    assert found["compared"]["same_verdicts"]
    failures = found["failures"]
    assert failures["trials"] == 48
    assert failures["right_verdicts"]
    assert failures["void_pairs"] > 0
    assert all(reason.startswith("both: node ") for reason in failures["reasons"])
    assert failures["containers_left_by_the_killed_process"] == 0
    assert set(found["containers_left"]) == {0}
    assert sum("1 images sent" in line for line in found["said"]) == 3, "one node joined in the middle"


def test_a_campaign_whose_head_was_killed_resumes_and_leaves_nothing_on_the_nodes(tmp_path: Path) -> None:
    found = run(tmp_path / "head.json", "bench.scale.head", "--nodes", "2", "--trials", "24", "--kills", "1")
    assert found["exit_code"] == 0, found["log"]
    assert found["problems"] == []
    assert found["trials"] >= 24
    assert found["containers_left"] == [0, 0]
