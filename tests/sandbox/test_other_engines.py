"""Podman instead of Docker, gVisor below Docker: the same lists, run again against them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from bench.faults.engine import possible, second_engine
from sandbox.engine import connect
from sandbox.image import ensure_image

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LISTS = ("tests/sandbox/test_conformance.py", "tests/sandbox/test_gateway_path.py", "tests/sandbox/test_check.py")
GVISOR = {"runsc": {"path": "runsc", "runtimeArgs": ["--fsgofer-host-uds", "--ignore-cgroups"]}}


def lists(**environment: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "docker and not slow", *LISTS]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.fixture
def podman() -> Iterator[str]:
    """Podman's Docker-compatible socket, with a store of its own that holds the image."""
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("needs root and the Debian package `podman`")
    home = Path("/tmp/rt-podman")  # a socket's path may have 107 bytes
    home.mkdir()
    address = f"unix://{home}/p.sock"
    apart = [
        "podman",
        f"--root={home}/root",
        f"--runroot={home}/run",
        "--storage-driver=vfs",
        "--cgroup-manager=cgroupfs",
    ]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([*apart, "system", "service", "--time=0", address], stdout=log, stderr=log)
    try:
        image = b"".join(connect().get_image(ensure_image()))
        until = time.monotonic() + 30
        while not (home / "p.sock").exists():
            assert time.monotonic() < until, (home / "log").read_text()
            time.sleep(0.1)
        docker.APIClient(base_url=address, timeout=300).load_image(image)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run([*apart, "rm", "--all", "--force"], check=False, capture_output=True)
        subprocess.run(["umount", "--recursive", "--lazy", home / "root"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def test_podman_does_what_docker_does(podman: str) -> None:
    lists(DOCKER_HOST=podman)


def test_gvisor_does_what_the_kernel_does() -> None:
    if not possible() or shutil.which("runsc") is None:
        pytest.skip("needs root, dockerd and the Debian package `runsc`")
    with second_engine(ensure_image(), connect(), GVISOR):
        lists(RATCHET_TEST_RUNTIME="runsc")
