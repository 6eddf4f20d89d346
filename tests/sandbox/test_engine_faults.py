"""The engine restarted, killed, or out of disk in mid-campaign: a second engine, apart from the machine's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from agent.kernel.errors import LaboratoryFault, SandboxDown
from agent.kernel.types import BoxSpec, Split, Task
from agent.suites.grading import grade
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect, engine_status

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

DISK_MB = 1200


class Engine:
    """A dockerd of our own, on a small disk of its own, without a network of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.socket = home, home / "d.sock"
        self.process: subprocess.Popen[bytes] | None = None
        config = home / "containerd.toml"
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self.containerd = self._run(
            "containerd",
            f"--config={config}",
            f"--root={home}/c-data",
            f"--state={home}/c-state",
            f"--address={home}/c.sock",
        )

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def start(self) -> None:
        # In a network namespace of its own: a dockerd with `--bridge=none` deletes the bridge of the other one.
        self.process = self._run(
            "unshare",
            "--net",
            "dockerd",
            f"--containerd={self.home}/c.sock",
            f"--data-root={self.home}/data",
            f"--exec-root={self.home}/exec",
            f"--pidfile={self.home}/pid",
            f"--host=unix://{self.socket}",
            "--bridge=none",
            "--iptables=false",
        )
        until = time.monotonic() + 60
        while not engine_status().ok:
            assert time.monotonic() < until, (self.home / "log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)


@pytest.fixture(scope="module")
def second(image: str, engine: docker.APIClient) -> Iterator[Engine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a second engine takes root and dockerd")
    home = Path("/tmp/rt-engine")
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", home], check=True)
    before, made = os.environ.get("DOCKER_HOST"), Engine(home)
    os.environ["DOCKER_HOST"] = f"unix://{made.socket}"
    try:
        made.start()
        client = connect(timeout=300)
        client.load_image(engine.get_image(image))
        yield made
    finally:
        for process in (made.process, made.containerd):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        subprocess.run(["umount", "--recursive", "--lazy", home], check=False)
        home.rmdir()


def task(seconds: int = 0) -> Task:
    return Task(
        id="t",
        split=Split.GATE,
        instruction="",
        files={},
        submit=("s.py",),
        tests={"test_s.py": b"import time\ndef test_a(): time.sleep(%d)\n" % seconds},
        check=("python3", "-I", "-m", "ratchet_check", "test_s.py"),
        junit=1,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "killed"])
async def test_an_engine_that_ends_in_mid_trial_voids_it_and_serves_on_after(
    second: Engine, image: str, tmp_path: Path, number: int
) -> None:
    campaign = f"engine-{number}"
    async with DockerSandbox("r", campaign, tmp_path, ready=1) as sandbox:
        running = asyncio.create_task(grade(sandbox, image, task(25), {"s.py": b""}))
        await asyncio.sleep(4)
        await asyncio.to_thread(second.stop, number)
        with pytest.raises(LaboratoryFault):
            await running
        with pytest.raises(SandboxDown):
            await sandbox.open(BoxSpec(image=image, gateway=False, memory_mb=100))
        await asyncio.to_thread(second.start)
        assert (await grade(sandbox, image, task(), {"s.py": b""})).score == 1
    async with DockerSandbox("next", campaign, tmp_path, ready=0):
        found = connect().containers(all=True, filters={"label": f"ratchet.campaign={campaign}"})
        assert found == []


async def test_a_full_disk_of_the_engine_is_never_a_score(second: Engine, image: str, tmp_path: Path) -> None:
    async with DockerSandbox("r", "disk", tmp_path, ready=0) as sandbox:
        passed = await grade(sandbox, image, task(), {"s.py": b""})
        filler = second.home / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * (1 << 20))
            except OSError:
                pass
        trials = [grade(sandbox, image, task(), {"s.py": b""}) for _ in range(10)]
        ended = await asyncio.gather(*trials, return_exceptions=True)
        assert any(isinstance(end, LaboratoryFault) for end in ended)
        assert all(isinstance(end, LaboratoryFault) or end == passed for end in ended), ended
        filler.unlink()
        assert (await grade(sandbox, image, task(), {"s.py": b""})).score == 1


async def test_an_image_that_is_deleted_is_never_a_score(second: Engine, image: str, tmp_path: Path) -> None:
    del second
    async with DockerSandbox("r", "image", tmp_path, ready=0) as sandbox:
        connect().remove_image(image, force=True)
        with pytest.raises(SandboxDown, match="is gone"):
            await grade(sandbox, image, task(), {"s.py": b""})
