"""Podman in the place of Docker: the same lists, and a real campaign, run again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.sandbox.runtimes import crun
from sandbox.engine import connect, engine_status
from sandbox.image import ensure_image

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LISTS = ("conformance", "containment", "faults", "gateway_path", "check", "reap", "image", "pool")


@pytest.fixture
def podman(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Podman's service, with images and containers of its own and our image in it; DOCKER_HOST leads to it."""
    if os.geteuid() or shutil.which("podman") is None:
        pytest.skip("needs root and the Debian package `podman`")
    image, source = ensure_image(), connect()
    home = Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp"))
    runtime = crun(home)["crun"]["path"]
    store = ["podman", f"--root={home}/root", f"--runroot={home}/run", f"--runtime={runtime}"]
    host = f"unix://{home}/s"
    with (home / "log").open("wb") as log:
        # In a folder of its own: a file named `oom` is left where it runs.
        command = [*store, "system", "service", "--time=0", host]
        service = subprocess.Popen(command, cwd=home, stdout=log, stderr=log)
    monkeypatch.setenv("DOCKER_HOST", host)
    try:
        until = time.monotonic() + 60
        while not engine_status().ok:
            assert time.monotonic() < until, (home / "log").read_text()[-2000:]
            time.sleep(0.2)
        connect(timeout=300).load_image(source.get_image(image))
        yield host
    finally:
        service.terminate()
        service.wait(60)
        subprocess.run([*store, "system", "reset", "--force"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


def test_podman_does_what_docker_does(podman: str) -> None:
    assert "Podman" in engine_status().line
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "docker and not slow"]
    lists = [*(f"tests/sandbox/test_{name}.py" for name in LISTS), "tests/test_end_to_end.py"]
    env = {**os.environ, "DOCKER_HOST": podman}
    done = subprocess.run([*command, *lists], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
