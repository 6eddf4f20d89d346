"""The benches that put a campaign together by themselves still can."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.kernel.loop.bring_over import FOLDER as BRING_OVER
from bench.overhead import scene
from bench.peers import drive_ratchet
from bench.peers.driving import Run, measured
from bench.peers.world import World
from bench.schedule import run as schedule
from bench.schedule import virtual
from sandbox.fake import FakeRun


def test_a_campaign_in_a_world_of_peers_spends_its_budget(tmp_path: Path) -> None:
    record = tmp_path / "found.jsonl"
    options = ["coupled", "--world", "add", "--seeds", "1-1", "--budget", "80"]
    command = [sys.executable, "-m", "bench.peers.drive_ratchet", str(record), *options]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True, capture_output=True)
    found = json.loads(record.read_text())
    assert found["used"] >= 80
    assert found["dealt"] > 0


DIFF = b"""\
diff --git a/agent/scaffold/patches.py b/agent/scaffold/patches.py
--- a/agent/scaffold/patches.py
+++ b/agent/scaffold/patches.py
@@ -1 +1 @@
-PATCHES = [1, 4]
+PATCHES = [1, 7]
"""


@pytest.mark.parametrize(("variant", "made"), [("coupled-one-file", b"PATCH_1 = 1\nPATCH_9 = 9\nPATCH_7 = 7\n"),
                                               ("coupled-one-line", b"PATCHES = [1, 9, 7]\n")])  # fmt: skip
def test_an_improver_of_the_bench_brings_a_patch_over_when_it_is_asked_to(variant: str, made: bytes) -> None:
    run, files = Run(World("add", 1), 100, "ratchet"), dict[str, bytes]()
    context = {"context/brief.json": b"{}", f"context/{BRING_OVER}/patch.diff": DIFF}
    held = {drive_ratchet.MODULE: b"PATCHES = [1, 4, 9]\n"}
    scene = FakeRun(argv=("scaffold",), env={}, workspace=files, areas={"/task": context, "/scaffold": held},
                    box="1", socket=None)  # fmt: skip
    drive_ratchet.Boxes(run, variant).scaffold(scene)
    assert files[drive_ratchet.MODULE] == made
    assert (run.dealt, run.brought) == (0, 1), "no patch of the pool was dealt for it"


@pytest.mark.parametrize("variant", ["coupled-one-file", "coupled-one-line"])
def test_patches_of_one_file_merge_where_each_is_a_statement_of_its_own(variant: str) -> None:
    row = measured(Run(World("add", 3), 400, "ratchet"), lambda run: drive_ratchet.search(run, variant))
    assert row["used"] >= 400
    assert (row["merged"] > 0) == (variant == "coupled-one-file")


def test_the_scene_of_the_overhead_makes_its_proposals(tmp_path: Path) -> None:
    assert scene.measured(scene.Setup(options={}, candidates=3), tmp_path).proposals >= 3


def test_virtual_time_jumps_over_waiting_but_not_over_the_work_of_threads() -> None:
    async def hours() -> tuple[float, float, float]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(36_000)
        slept = loop.time()
        await asyncio.to_thread(time.sleep, 0.1)
        worked = loop.time() - slept
        slow = asyncio.create_task(asyncio.to_thread(time.sleep, 0.1))
        await asyncio.wait({slow}, timeout=3600)
        return slept, worked, float(slow.done())

    slept, worked, done = virtual.run(hours())
    assert slept == pytest.approx(36_000)
    assert (worked, done) == (0.0, 1.0)


@pytest.mark.slow
def test_a_schedule_is_measured_in_virtual_hours() -> None:
    beside = schedule.measured("slow", "one", 1, 0.5)
    alone = schedule.measured("slow", "serial", 1, 0.5)
    assert beside.idle < 0.02, "something runs all the time"
    assert beside.boxes > 0.8, "trials run beside a proposal"
    assert alone.boxes < 0.5 * beside.boxes
