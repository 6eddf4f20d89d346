"""Real campaigns whose infrastructure breaks in the middle: they wait, resume by themselves, and score none of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from bench.faults.engine import Engine, fill
from bench.faults.home import Home, Model, until
from bench.faults.invariants import read_only, violations
from sandbox.engine import connect
from sandbox.image import ensure_image

pytestmark = [pytest.mark.docker, pytest.mark.slow]

TRIALS = 30
RUNS_DISK_MB = 16
FAKETIME = shutil.which("faketime")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("infrastructure"), trials=TRIALS)
    Model.always_right = True
    yield made
    Model.always_right = False
    made.close()


def paused(home: Home, name: str) -> bool:
    return str(home.status(name).get("state")).startswith("paused")


def survives(home: Home, name: str, fault: Callable[[], None], **more: object) -> str:
    """Run `fault` in the middle of a campaign, which then runs to its end by itself. Returns its log."""
    config = home.configure(name, **more)
    process = home.start(config)
    until(lambda: process.poll() is not None or int(str(home.status(name).get("trials", 0))) >= TRIALS // 4)
    log = config.with_suffix(".log")
    assert process.poll() is None, log.read_text()[-2000:]
    fault()
    assert process.wait(480) == 0, log.read_text()[-3000:]
    assert not list(violations(home, name))
    with read_only(home.folder / "runs" / name / "ledger.sqlite") as db:
        asked = "SELECT task, purpose, trial_index, reason FROM trials WHERE candidate = 0 AND score < 1"
        assert db.execute(asked).fetchall() == []
        assert db.execute("SELECT count(*) FROM trials").fetchone()[0] >= TRIALS
    return log.read_text()


def events(home: Home, name: str, kind: str) -> list[str]:
    with read_only(home.folder / "runs" / name / "ledger.sqlite") as db:
        return [row[0] for row in db.execute("SELECT text FROM events WHERE kind = ?", (kind,))]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "killed"])
def test_an_engine_that_stops_during_a_campaign_pauses_it_until_it_is_back(
    home: Home, second: Engine, number: signal.Signals
) -> None:
    name = f"engine{number.value}"

    def fault() -> None:
        second.stop(number)
        until(lambda: paused(home, name))
        second.start()

    survives(home, name, fault)
    assert events(home, name, "resumed")


def test_a_full_disk_of_the_engine_pauses_the_campaign_until_there_is_room(home: Home, second: Engine) -> None:
    def fault() -> None:
        filler = second.fill()
        try:
            until(lambda: paused(home, "enginedisk") or not second.fill())
        finally:
            filler.unlink()

    survives(home, "enginedisk", fault)
    assert events(home, "enginedisk", "resumed")


def test_an_image_deleted_during_a_campaign_pauses_it_until_it_is_back(home: Home, second: Engine) -> None:
    del second
    image = ensure_image()
    engine = docker.APIClient(base_url=os.environ["DOCKER_HOST"], timeout=300)
    saved = b"".join(engine.get_image(image))

    def fault() -> None:
        engine.remove_image(image, force=True)
        until(lambda: paused(home, "noimage"))
        engine.load_image(saved)

    survives(home, "noimage", fault)
    assert events(home, "noimage", "resumed")


def test_boxes_killed_from_outside_are_not_scored(home: Home) -> None:
    def fault() -> None:
        engine = connect()
        for _ in range(5):
            for box in engine.containers(filters={"label": "ratchet.campaign=boxes"}):
                with contextlib.suppress(docker.errors.APIError):  # it ended meanwhile
                    engine.kill(box["Id"])
            time.sleep(1.0)

    survives(home, "boxes", fault)


def test_a_provider_that_is_down_for_a_minute_pauses_the_campaign(home: Home) -> None:
    def fault() -> None:
        Model.down = True
        try:
            until(lambda: paused(home, "outage"))
            time.sleep(60.0)
            assert paused(home, "outage")
        finally:
            Model.down = False

    survives(home, "outage", fault)
    assert events(home, "outage", "resumed")


def test_a_full_disk_below_ledger_and_run_folder_loses_nothing(home: Home) -> None:
    runs = home.folder / "runs"
    runs.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={RUNS_DISK_MB}m", "none", runs], check=False).returncode:
        pytest.skip("needs the right to mount")

    def fault() -> None:
        filler = fill(runs)
        time.sleep(20.0)
        filler.unlink()

    try:
        survives(home, "rundisk", fault)
    finally:
        subprocess.run(["umount", "--lazy", runs], check=True)


@pytest.mark.skipif(FAKETIME is None, reason="needs the Debian package `faketime`")
@pytest.mark.parametrize("jump", ["-1d", "+1d"], ids=["back", "on"])
def test_a_jump_of_the_wall_clock_changes_nothing(
    home: Home, jump: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"clock{jump[0].replace('-', 'b').replace('+', 'f')}"
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    probe = [str(FAKETIME), "-f", "+0", "printenv", "LD_PRELOAD"]
    preload = subprocess.run(probe, capture_output=True, text=True, check=True).stdout.strip()
    settings = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
    for key, value in {"LD_PRELOAD": preload, "FAKETIME_DONT_RESET": "1", **settings}.items():
        monkeypatch.setenv(key, value)

    def fault() -> None:
        clock.write_text(f"{jump}\n")

    survives(home, name, fault)
    with read_only(home.folder / "runs" / name / "ledger.sqlite") as db:
        times = [row[0] for row in db.execute("SELECT at FROM trials ORDER BY rowid")]
    assert max(times) - min(times) > 80_000, "the clock did not jump"


def test_a_garbage_collection_of_the_repository_removes_nothing_that_a_campaign_needs(home: Home) -> None:
    def fault() -> None:
        for _ in range(4):
            home.git("gc", "--quiet", "--prune=now", "--aggressive")
            time.sleep(1.0)

    survives(home, "gc", fault)
