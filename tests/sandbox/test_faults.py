"""Whose fault it is: what comes from outside a box voids, what can be provoked from inside never does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.errors import CandidateFault, SandboxDown, UserError
from agent.base.types import BoxSpec, Ending
from sandbox.areas import SharedAreas
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine_sandbox import EngineSandbox
from tests.sandbox.conftest import Sandboxes
from tests.sandbox.outside import Outside

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="module", params=["docker", "oci"])
def kind(request: pytest.FixtureRequest) -> str:
    """Every engine."""
    if request.param == "oci":
        request.getfixturevalue("oci")
    return str(request.param)


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
async def test_a_box_killed_from_outside_is_an_infrastructure_error(box: DockerBox, outside: Outside) -> None:
    task = await start_sleeping(box)
    outside.kill(box.container)
    with pytest.raises(SandboxDown, match="from outside"):
        await task


async def test_a_box_removed_from_outside_is_an_infrastructure_error(box: DockerBox, outside: Outside) -> None:
    task = await start_sleeping(box)
    outside.remove(box.container)
    with pytest.raises(SandboxDown):
        await task


@pytest.mark.usefixtures("memory_is_marked")
async def test_a_box_stopped_from_outside_is_an_infrastructure_error(box: DockerBox, outside: Outside) -> None:
    task = await start_sleeping(box)
    outside.stop(box.container)
    with pytest.raises(SandboxDown, match="from outside"):
        await task


@pytest.mark.usefixtures("memory_is_marked")
async def test_a_box_that_died_between_two_orders_is_an_infrastructure_error(box: DockerBox, outside: Outside) -> None:
    outside.kill(box.container)
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


async def test_a_runner_that_does_not_answer_in_time_counts_as_the_candidates(box: DockerBox, outside: Outside) -> None:
    box.grace = 0.5
    outside.pause(box.container)
    result = await box.run(["true"], env={}, timeout=0.5)
    outside.resume(box.container)
    assert result.ending is Ending.TIMEOUT


async def test_an_answer_that_the_network_held_up_still_counts(box: DockerBox) -> None:
    box.grace = 0.3
    transport = box._wire._writer.transport
    transport.pause_reading()
    asyncio.get_running_loop().call_later(2.0, transport.resume_reading)
    result = await box.run(["echo", "late"], env={}, timeout=0.5)
    assert (result.ending, result.exit_code, result.output) == (Ending.EXITED, 0, b"late\n")


async def test_a_dead_box_in_the_pool_is_not_handed_out(
    spec: BoxSpec, outside: Outside, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    campaign = f"pool-{os.getpid()}"
    async with sandboxes("r", campaign, tmp_path, ready=0) as sandbox:
        sandbox.prewarm(spec, 1)
        await asyncio.sleep(3)
        (idle,) = outside.of(campaign)
        outside.kill(idle)
        await asyncio.sleep(0.2)
        box = await sandbox.open(spec)
        assert box.container != idle
        assert (await box.run(["true"], env={}, timeout=10)).exit_code == 0
        await box.close()


async def test_a_missing_image_is_an_infrastructure_error(any_sandbox: EngineSandbox) -> None:
    with pytest.raises(SandboxDown, match="is gone"):
        await any_sandbox.open(BoxSpec(image="ratchet-box:never-built", gateway=False))


async def test_an_unknown_runtime_is_the_users_to_fix(spec: BoxSpec, sandboxes: Sandboxes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"boxes\.runtime: .*no-such-runtime"):
        async with sandboxes("r", f"rt-{os.getpid()}", tmp_path, ready=0, runtime="no-such-runtime") as sandbox:
            await sandbox.open(spec)


async def test_a_limit_below_what_the_runner_needs_is_said(any_sandbox: EngineSandbox, spec: BoxSpec) -> None:
    with pytest.raises(SandboxDown):
        await any_sandbox.open(BoxSpec(image=spec.image, gateway=False, memory_mb=1))


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
from sandbox.oci.sandbox import OciSandbox
async def main():
    async with SANDBOX("first", sys.argv[1], Path(sys.argv[2]), ready=1) as sandbox:
        box = await sandbox.open(BoxSpec(image=sys.argv[3], gateway=True))
        print(box.container, flush=True)
        await box.run(["sh", "-c", "trap '' TERM HUP; sleep 100 & wait"], env={}, timeout=100)
asyncio.run(main())
"""


async def test_when_our_process_is_killed_its_boxes_end_and_the_next_start_removes_them(
    image: str, short_path: Path, outside: Outside, sandboxes: Sandboxes
) -> None:
    campaign = f"killed-{os.getpid()}"
    source = OWNER.replace("SANDBOX", sandboxes.__name__)
    command = [sys.executable, "-c", source, campaign, str(short_path), image]
    owner = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    container = (await owner.stdout.readline()).decode().strip()
    owner.kill()
    await owner.wait()
    await asyncio.to_thread(outside.wait_for_lonely_end, container)
    assert container in outside.of(campaign)
    async with sandboxes("second", campaign, short_path, ready=0):
        assert outside.of(campaign) == []
        assert not outside.known(container)
        assert list((short_path / "boxes").iterdir()) == []


async def test_a_box_whose_closing_is_cancelled_is_removed_all_the_same(
    any_sandbox: EngineSandbox, spec: BoxSpec, outside: Outside
) -> None:
    box = await any_sandbox.open(spec)
    closing = asyncio.create_task(box.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await any_sandbox.settle()
    assert not outside.known(box.container)
