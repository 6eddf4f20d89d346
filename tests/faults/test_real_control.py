"""The real process in real boxes: run in the background, stopped, killed, approved, its repository taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel.record.lock import holder
from bench.faults.home import Home, kill, until
from bench.faults.invariants import violations

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("faults"), trials=24)
    yield made
    made.close()


def test_a_detached_campaign_starts_refuses_a_second_one_and_stops(home: Home) -> None:
    home.configure("bg", budget={"hours": 0.5})
    done = home.ratchet("run", "--detach", "bg.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    facts = home.status("bg")
    assert f"process {facts['pid']}" in done.stdout
    for arguments in (["run", "bg.yaml"], ["run", "--detach", "bg.yaml"]):
        second = home.ratchet(*arguments)
        assert second.returncode == 2
        assert f"process {facts['pid']} is running this campaign" in second.stderr
    until(lambda: home.status("bg")["trials"])
    stopped = home.ratchet("stop", "--wait", "bg.yaml")
    assert f"asked process {facts['pid']} to stop" in stopped.stdout
    facts = home.status("bg")
    assert (facts["state"], facts["last_end"]) == ("stopped", "stopped on request")
    assert " in flight, " in (home.folder / "runs" / "bg" / "run.log").read_text()
    assert not list(violations(home, "bg"))


def test_a_detached_campaign_that_cannot_start_says_why_and_leaves_nothing(home: Home) -> None:
    home.configure("bad", suite="no/such/suite")
    done = home.ratchet("run", "--detach", "bad.yaml")
    assert done.returncode == 2
    assert "no/such/suite" in done.stdout
    assert not (home.folder / "runs" / "bad").exists()


def test_ctrl_c_while_a_detached_campaign_starts_ends_it_too(home: Home) -> None:
    config = home.configure("cut", budget={"hours": 0.5})
    process, folder = home.start(config, "run", "--detach"), home.folder / "runs" / "cut"
    until(lambda: holder(folder))
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert "asked process" in config.with_suffix(".log").read_text()
    until(lambda: holder(folder) is None)


def test_ctrl_c_twice_stops_now_and_nothing_is_lost(home: Home) -> None:
    config = home.configure("twice", budget={"hours": 0.5})
    process = home.start(config)
    until(lambda: home.status("twice").get("trials"))
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.5)
    assert process.wait(60) == 130
    log = config.with_suffix(".log").read_text()
    assert "once more stops now" in log
    assert "Traceback" not in log
    assert not list(violations(home, "twice"))


def test_stop_after_a_kill_says_that_the_process_is_gone(home: Home) -> None:
    config = home.configure("dead", budget={"hours": 0.5})
    process = home.start(config)
    until(lambda: home.status("dead").get("pid"))
    kill(process, alone=True)
    done = home.ratchet("stop", "dead.yaml")
    assert done.returncode == 2
    assert f"process {process.pid} was, and did not end in order" in done.stderr


def test_a_patch_is_approved_while_the_campaign_runs_and_the_branch_may_be_deleted(home: Home) -> None:
    config = home.configure("human", approve="human", budget={"trials": 3000, "commits": 1})
    process = home.start(config)
    until(lambda: home.status("human").get("waiting"))
    (number,) = home.status("human")["waiting"]
    assert home.git("log", "--format=%s", "main..ratchet/human") == ""
    done = home.ratchet("approve", str(number), "human.yaml", "--by", "alice")
    assert done.returncode == 0, done.stderr
    process.wait(240)
    tip = home.git("rev-parse", "ratchet/human")
    assert "Ratchet-Approved-By: alice" in home.git("log", "-1", "--format=%B", tip)
    assert not list(violations(home, "human"))
    again = home.ratchet("approve", str(number), "human.yaml")
    assert (again.returncode, "approved already by alice" in again.stderr) == (2, True)
    home.git("update-ref", "-d", "refs/heads/ratchet/human")
    assert home.ratchet("run", "human.yaml").returncode == 0
    assert home.git("rev-parse", "ratchet/human") == tip
    home.git("update-ref", "refs/heads/ratchet/human", home.git("commit-tree", "main^{tree}", "-p", tip, "-m", "x"))
    moved = home.ratchet("run", "human.yaml")
    assert (moved.returncode, "ratchet/human" in moved.stderr) == (2, True)


def test_a_repository_that_becomes_read_only_pauses_the_campaign_until_it_is_writable(home: Home) -> None:
    git = home.folder / ".git"
    config = home.configure("ro", budget={"trials": 16})
    process = home.start(config)
    until(lambda: home.status("ro").get("trials"))
    if subprocess.run(["mount", "--bind", git, git], check=False, capture_output=True).returncode:
        kill(process, alone=False)
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", git], check=True)
        until(lambda: str(home.status("ro")["state"]).startswith("paused"))
        assert process.poll() is None
    finally:
        subprocess.run(["umount", git], check=True)
    assert process.wait(300) == 0
    assert not list(violations(home, "ro"))


def test_killed_campaigns_keep_every_invariant() -> None:
    command = [sys.executable, "-m", "bench.faults.run", "--kills", "3", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "\n0 violations" in done.stdout
