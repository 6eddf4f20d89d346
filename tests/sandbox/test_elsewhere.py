"""An engine that shares no folder with us, over TCP and ssh: the same lists, a real campaign, and what can break."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.errors import InfrastructureError
from agent.base.types import BoxSpec
from bench.faults.engine import Engine, possible
from bench.sandbox.elsewhere import engine_elsewhere, over_ssh, over_tcp, over_tls, ssh_possible
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect, engine_status
from sandbox.image import ensure_image
from sandbox.tunnel import tunnel

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LISTS = ("conformance", "containment", "faults", "gateway_path", "areas", "check", "reap", "pool", "users", "ownership")
MORE = ("tests/trials/test_grading_forgery.py", "tests/suites/test_check.py", "tests/test_end_to_end.py")
WAY = ("tests/sandbox/test_conformance.py", "tests/sandbox/test_gateway_path.py", "tests/sandbox/test_areas.py")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Engine]:
    """The engine has a Debian to build on; our own image gets there through its API."""
    if not possible():
        pytest.skip("takes root, dockerd and unshare")
    ensure_image()
    source = connect()
    base = next(tag for image in source.images() for tag in image["RepoTags"] or () if tag.startswith("ratchet-base:"))
    with engine_elsewhere(base, source) as made:
        yield made


@pytest.fixture
def tcp(elsewhere: Engine) -> Iterator[str]:
    with over_tcp(elsewhere) as host:
        yield host


@pytest.fixture
def ssh(elsewhere: Engine) -> Iterator[str]:
    if not ssh_possible():
        pytest.skip("takes the Debian package `openssh-server`")
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as home, over_ssh(elsewhere, Path(home)) as host:
        yield host


@pytest.fixture
def tls(elsewhere: Engine, tmp_path: Path) -> Iterator[str]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    with over_tls(elsewhere, tmp_path) as host:
        yield host


def passes(*lists: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "docker and not slow", *lists]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.usefixtures("elsewhere")
async def test_the_first_box_finds_out_that_nothing_is_shared(tmp_path: Path) -> None:
    image = ensure_image()
    async with DockerSandbox("r", "elsewhere", tmp_path, ready=0) as sandbox:
        assert sandbox.shared is None
        box = await sandbox.open(BoxSpec(image=image, gateway=True))
        assert sandbox.shared is False
        await box.put({"a": b"there"}, "/task")
        assert (await box.run(["cat", "/task/a"], env={}, timeout=20)).output == b"there"
        await box.close()


def test_over_tcp_an_engine_elsewhere_does_what_one_here_does(tcp: str) -> None:
    assert tcp.startswith("tcp://127.0.0.1:")
    passes(*(f"tests/sandbox/test_{name}.py" for name in LISTS), *MORE)


def test_over_ssh_an_engine_elsewhere_does_what_one_here_does(ssh: str) -> None:
    assert ssh.startswith("ssh://")
    passes(*WAY)


def test_over_tls_an_engine_elsewhere_does_what_one_here_does(tls: str) -> None:
    assert tls.startswith("tcp://localhost:")
    passes(*WAY)


async def test_a_connection_by_ssh_that_breaks_voids_the_trial_and_is_restored(ssh: str, tmp_path: Path) -> None:
    image = ensure_image()
    async with DockerSandbox("r", "ssh", tmp_path, ready=0) as sandbox:
        box = await sandbox.open(BoxSpec(image=image, gateway=False))
        running = asyncio.create_task(box.run(["sleep", "60"], env={}, timeout=60))
        await asyncio.sleep(1)
        process = tunnel(ssh)._process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        with pytest.raises(InfrastructureError):
            await running
        await box.close()
        while tunnel(ssh)._process is process:  # noqa: ASYNC110 - a thread starts ssh again, some time later
            await asyncio.sleep(0.05)
        await asyncio.to_thread(tunnel(ssh).socket)
        box = await sandbox.open(BoxSpec(image=image, gateway=False))
        assert (await box.run(["echo", "on"], env={}, timeout=20)).output == b"on\n"
        await box.close()
    assert connect().containers(all=True, filters={"label": "ratchet.campaign=ssh"}) == []


def test_an_engine_that_ssh_does_not_reach_is_said(ssh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"{ssh}-not-there")
    assert not engine_status().ok
    monkeypatch.setenv("DOCKER_HOST", "ssh://root@127.0.0.1:1")
    status = engine_status()
    assert not status.ok
    assert "Connection refused" in status.line
