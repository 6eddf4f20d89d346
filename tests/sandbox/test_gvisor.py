"""gVisor below Docker: the same lists, run again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.faults.engine import possible, second_engine
from sandbox.engine import connect
from sandbox.image import ensure_image

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LISTS = ("tests/sandbox/test_conformance.py", "tests/sandbox/test_gateway_path.py", "tests/sandbox/test_check.py")
GVISOR = {"runsc": {"path": "runsc", "runtimeArgs": ["--network=none", "--fsgofer-host-uds"]}}


def test_gvisor_does_what_the_kernel_does() -> None:
    if not possible() or shutil.which("runsc") is None:
        pytest.skip("needs root, dockerd and the Debian package `runsc`")
    with second_engine(ensure_image(), connect(), GVISOR):
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "docker and not slow", *LISTS]
        env = {**os.environ, "RATCHET_TEST_RUNTIME": "runsc"}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]
