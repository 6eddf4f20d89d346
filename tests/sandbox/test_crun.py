"""crun below Docker: the same lists, run again; and `ratchet doctor` finds it and tries it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults.engine import possible, second_engine
from bench.sandbox.runtimes import crun
from sandbox.engine import connect
from sandbox.image import ensure_image
from tests.kernel.git.test_repository import make

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LISTS = (
    "tests/sandbox/test_conformance.py",
    "tests/sandbox/test_gateway_path.py",
    "tests/sandbox/test_containment.py",
    "tests/sandbox/test_faults.py",
)
CAMPAIGN = """
suite: starter
models:
  solver: {provider: openai, base_url: "http://127.0.0.1:9/v1", model: none}
  improver: {provider: openai, base_url: "http://127.0.0.1:9/v1", model: none}
boxes: {runtime: RUNTIME}
"""


@pytest.fixture(scope="module")
def with_crun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A second engine that knows crun and a runtime whose program does not exist."""
    if not possible() or shutil.which("crun") is None:
        pytest.skip("needs root, dockerd and the Debian package `crun`")
    runtimes = {**crun(tmp_path_factory.mktemp("crun")), "absent": {"path": "/nowhere/absent"}}
    with second_engine(ensure_image(), connect(), runtimes):
        yield


def command(*argv: str, folder: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """A Python module in a process of its own, with the second engine."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, "-m", *argv], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.usefixtures("with_crun")
def test_crun_does_what_runc_does() -> None:
    done = command("pytest", "-q", "-n0", "-m", "docker and not slow", *LISTS, RATCHET_TEST_RUNTIME="crun")
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.usefixtures("with_crun")
def test_the_doctor_tries_boxes_under_the_runtime_that_is_set_and_under_crun(tmp_path: Path) -> None:
    folder = make(tmp_path / "home")
    assert "runtime crun" in command("agent.cli", "doctor", folder=folder).stdout
    for runtime, line in (("crun", "ok   boxes    one takes"), ("absent", "FAIL boxes    boxes.runtime: ")):
        (folder / "campaign.yaml").write_text(CAMPAIGN.replace("RUNTIME", runtime))
        done = command("agent.cli", "doctor", "campaign.yaml", folder=folder)
        assert line in done.stdout, done.stdout
