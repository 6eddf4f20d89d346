"""The benches that put a campaign together by themselves still can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.overhead import scene


def test_a_campaign_in_a_world_of_peers_spends_its_budget(tmp_path: Path) -> None:
    record = tmp_path / "found.jsonl"
    options = ["coupled", "--world", "add", "--seeds", "1-1", "--budget", "80"]
    command = [sys.executable, "-m", "bench.peers.drive_ratchet", str(record), *options]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True, capture_output=True)
    found = json.loads(record.read_text())
    assert found["used"] >= 80
    assert found["dealt"] > 0


def test_the_scene_of_the_overhead_makes_its_proposals() -> None:
    assert scene.measured(scene.Setup(options={}, candidates=3)).proposals >= 3
