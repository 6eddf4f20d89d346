"""The engine restarted, killed, or out of disk in mid-campaign: a second engine, apart from the machine's own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from agent.base.errors import InfrastructureError, SandboxDown
from agent.base.types import BoxSpec, Split, Task
from agent.trials.grading import grade
from bench.faults.engine import Engine
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


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
        with pytest.raises(InfrastructureError):
            await running
        with pytest.raises(SandboxDown):
            await sandbox.open(BoxSpec(image=image, gateway=False, memory_mb=100))
        await asyncio.to_thread(second.start)
        assert (await grade(sandbox, image, task(), {"s.py": b""})).score == 1
    assert connect().containers(all=True, filters={"label": f"ratchet.campaign={campaign}"}) == []


async def test_a_full_disk_of_the_engine_is_never_a_score(second: Engine, image: str, tmp_path: Path) -> None:
    async with DockerSandbox("r", "disk", tmp_path, ready=0) as sandbox:
        passed = await grade(sandbox, image, task(), {"s.py": b""})
        filler = second.fill()
        trials = [grade(sandbox, image, task(), {"s.py": b""}) for _ in range(10)]
        ended = await asyncio.gather(*trials, return_exceptions=True)
        assert any(isinstance(end, InfrastructureError) for end in ended)
        assert all(isinstance(end, InfrastructureError) or end == passed for end in ended), ended
        filler.unlink()
        assert (await grade(sandbox, image, task(), {"s.py": b""})).score == 1


async def test_an_image_that_is_deleted_is_never_a_score(second: Engine, image: str, tmp_path: Path) -> None:
    del second
    async with DockerSandbox("r", "image", tmp_path, ready=0) as sandbox:
        connect().remove_image(image, force=True)
        with pytest.raises(SandboxDown, match="is gone"):
            await grade(sandbox, image, task(), {"s.py": b""})
