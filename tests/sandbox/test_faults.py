"""Whose fault it is: what comes from outside a box voids, what can be provoked from inside never does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from agent.base.errors import CandidateFault, SandboxDown, UserError
from agent.base.types import BoxSpec, Ending
from sandbox.areas import SharedAreas
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def memory_is_marked(podman: bool) -> None:
    """Podman does not say whether the kernel did it for memory: there, SIGKILL counts as the candidate's."""
    if podman:
        pytest.skip("Podman does not tell a box killed from outside from one that was out of memory")


async def start_sleeping(box: DockerBox) -> asyncio.Task[object]:
    task: asyncio.Task[object] = asyncio.create_task(box.run(["sleep", "60"], env={}, timeout=60))
    await asyncio.sleep(0.3)
    return task


@pytest.mark.usefixtures("memory_is_marked")
async def test_a_box_killed_from_outside_is_an_infrastructure_error(box: DockerBox, engine: docker.APIClient) -> None:
    task = await start_sleeping(box)
    engine.kill(box.container)
    with pytest.raises(SandboxDown, match="from outside"):
        await task


async def test_a_box_removed_from_outside_is_an_infrastructure_error(box: DockerBox, engine: docker.APIClient) -> None:
    task = await start_sleeping(box)
    engine.remove_container(box.container, force=True)
    with pytest.raises(SandboxDown):
        await task


@pytest.mark.usefixtures("memory_is_marked")
async def test_a_box_stopped_from_outside_is_an_infrastructure_error(box: DockerBox, engine: docker.APIClient) -> None:
    task = await start_sleeping(box)
    engine.stop(box.container, timeout=0)
    with pytest.raises(SandboxDown, match="from outside"):
        await task


@pytest.mark.usefixtures("memory_is_marked")
async def test_a_box_that_died_between_two_orders_is_an_infrastructure_error(
    box: DockerBox, engine: docker.APIClient
) -> None:
    engine.kill(box.container)
    with pytest.raises(SandboxDown):
        await box.put({"a": b"1"}, "/workspace")


async def test_after_a_cancelled_order_a_box_serves_no_more(box: DockerBox) -> None:
    task = await start_sleeping(box)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(SandboxDown, match="cut short"):
        await box.take(["**"])


async def test_a_runner_that_broke_counts_as_the_candidates(box: DockerBox) -> None:
    # No candidate can reach the pipe; the host can, and sends what makes the runner fail.
    await box._wire.send(b"R", b"not json")
    result = await box.run(["true"], env={}, timeout=10)
    assert result.ending is Ending.KILLED
    with pytest.raises(CandidateFault, match="killed from inside"):
        await box.take(["**"])


async def test_a_runner_that_does_not_answer_in_time_counts_as_the_candidates(
    box: DockerBox, engine: docker.APIClient
) -> None:
    box.grace = 0.5
    engine.pause(box.container)
    result = await box.run(["true"], env={}, timeout=0.5)
    engine.unpause(box.container)
    assert result.ending is Ending.TIMEOUT


async def test_an_answer_that_the_network_held_up_still_counts(box: DockerBox) -> None:
    box.grace = 0.3
    transport = box._wire._writer.transport
    transport.pause_reading()
    asyncio.get_running_loop().call_later(2.0, transport.resume_reading)
    result = await box.run(["echo", "late"], env={}, timeout=0.5)
    assert (result.ending, result.exit_code, result.output) == (Ending.EXITED, 0, b"late\n")


async def test_a_dead_box_in_the_pool_is_not_handed_out(
    spec: BoxSpec, engine: docker.APIClient, tmp_path: Path
) -> None:
    campaign = f"pool-{os.getpid()}"
    async with DockerSandbox("r", campaign, tmp_path, ready=0) as sandbox:
        sandbox.prewarm(spec, 1)
        await asyncio.sleep(3)
        (idle,) = engine.containers(filters={"label": f"ratchet.campaign={campaign}"})
        engine.kill(idle["Id"])
        await asyncio.sleep(0.2)
        box = await sandbox.open(spec)
        assert box.container != idle["Id"]
        assert (await box.run(["true"], env={}, timeout=10)).exit_code == 0
        await box.close()


async def test_a_missing_image_is_an_infrastructure_error(docker_sandbox: DockerSandbox) -> None:
    with pytest.raises(SandboxDown, match="is gone"):
        await docker_sandbox.open(BoxSpec(image="ratchet-box:never-built", gateway=False))


async def test_an_unknown_runtime_is_the_users_to_fix(spec: BoxSpec, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"boxes\.runtime: .*no-such-runtime"):
        async with DockerSandbox("r", f"rt-{os.getpid()}", tmp_path, ready=0, runtime="no-such-runtime") as sandbox:
            await sandbox.open(spec)


async def test_a_limit_below_what_the_runner_needs_is_said(docker_sandbox: DockerSandbox, spec: BoxSpec) -> None:
    with pytest.raises(SandboxDown):
        await docker_sandbox.open(BoxSpec(image=spec.image, gateway=False, memory_mb=4))


async def test_a_silent_engine_is_an_infrastructure_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(SandboxDown, match="no container engine answers"):
        await DockerSandbox("r", "c", tmp_path).__aenter__()


async def test_an_engine_that_no_client_reaches_is_the_users_to_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "npipe:////./pipe/docker_engine")
    with pytest.raises(UserError, match="DOCKER_HOST"):
        await DockerSandbox("r", "c", tmp_path).__aenter__()


async def test_a_full_disk_on_the_host_is_an_infrastructure_error(box: DockerBox, full_disk: Path) -> None:
    kept, box._areas = box._areas, SharedAreas(full_disk)
    with pytest.raises(SandboxDown, match="No space left"):
        await box.put({"big.bin": b"x" * (2 << 20)}, "/scaffold")
    box._areas = kept


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "scaffold").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path / "scaffold"], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root")
    yield tmp_path
    subprocess.run(["umount", tmp_path / "scaffold"], check=True)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose sockets fit the kernel's limit, however deep the tests run."""
    with tempfile.TemporaryDirectory(prefix="ratchet-test-") as folder:
        yield Path(folder)


OWNER = """
import asyncio, sys
from pathlib import Path
from agent.base.types import BoxSpec
from sandbox.docker_sandbox import DockerSandbox
async def main():
    async with DockerSandbox("first", sys.argv[1], Path(sys.argv[2]), ready=1) as sandbox:
        box = await sandbox.open(BoxSpec(image=sys.argv[3], gateway=True))
        print(box.container, flush=True)
        await box.run(["sh", "-c", "trap '' TERM HUP; sleep 100 & wait"], env={}, timeout=100)
asyncio.run(main())
"""


async def test_when_our_process_is_killed_its_boxes_end_and_the_next_start_removes_them(
    image: str, short_path: Path, engine: docker.APIClient
) -> None:
    campaign = f"killed-{os.getpid()}"
    command = [sys.executable, "-c", OWNER, campaign, str(short_path), image]
    owner = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    container = (await owner.stdout.readline()).decode().strip()
    owner.kill()
    await owner.wait()
    assert engine.wait(container, timeout=30)["StatusCode"] == 90
    async with DockerSandbox("second", campaign, short_path, ready=0):
        left = engine.containers(all=True, filters={"label": f"ratchet.campaign={campaign}"})
        assert left == []
        assert list((short_path / "boxes").iterdir()) == []


async def test_a_box_whose_closing_is_cancelled_is_removed_all_the_same(
    docker_sandbox: DockerSandbox, spec: BoxSpec, engine: docker.APIClient
) -> None:
    box = await docker_sandbox.open(spec)
    closing = asyncio.create_task(box.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await docker_sandbox.settle()
    with pytest.raises(docker.errors.NotFound):
        engine.inspect_container(box.container)
