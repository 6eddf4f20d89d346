"""Boxes without an engine: what is peculiar to them. The lists that they share with Docker's are beside this folder."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.base.errors import SandboxDown, UserError
from agent.base.owner import owner_label
from agent.base.types import BoxSpec, Ending
from sandbox.box import DockerBox
from sandbox.oci.containers import HOME
from sandbox.oci.sandbox import OciSandbox
from tests.sandbox.outside import OutsideOci

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

MIB = 1 << 20


@pytest.fixture(scope="module")
def kind(oci: None) -> str:
    del oci
    return "oci"


def groups(box: DockerBox) -> dict[str, str]:
    """The limits of a box, as the kernel has them."""
    system, found = Path("/sys/fs/cgroup"), {}
    for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "memory.max"):
        places = (system / name.partition(".")[0], system)
        for place in (place / "ratchet" / box.container for place in places):
            for path in (place / name, place / "box" / name):
                if path.exists():
                    found[f"{path.parent.name}/{name}"] = path.read_text().strip()
    return {key.replace(box.container, "around"): value for key, value in found.items()}


def limits_of(box: DockerBox) -> dict[str, str]:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("looks at control groups of version 1")
    return groups(box)


async def test_the_kernel_has_the_limits_that_were_asked_for(oci_sandbox: OciSandbox, image: str) -> None:
    box = await oci_sandbox.open(BoxSpec(image=image, gateway=False, memory_mb=300, pids=77, cpus=0.5))
    found = limits_of(box)
    assert found["around/memory.limit_in_bytes"] == found["around/memory.memsw.limit_in_bytes"] == str(300 * MIB)
    assert found["box/memory.limit_in_bytes"] == str(301 * MIB)
    assert (found["box/pids.max"], found["box/cpu.cfs_quota_us"]) == ("77", "50000")
    await box.close()


async def test_a_box_has_its_labels_and_a_private_place(oci_sandbox: OciSandbox, spec: BoxSpec) -> None:
    box = await oci_sandbox.open(spec)
    config = json.loads((HOME / box.container / "config.json").read_text())
    assert config["annotations"]["ratchet.owner"] == owner_label(os.getpid())
    assert config["annotations"]["ratchet.run"] == "session"
    assert HOME.stat().st_mode & 0o077 == 0
    assert os.readlink(HOME / f"{box.container}.owner") == owner_label(os.getpid())  # noqa: PTH115
    await box.close()


async def test_pid_1_that_the_kernel_ends_for_memory_is_the_candidates_fault(
    oci_sandbox: OciSandbox, image: str
) -> None:
    """The kernel chooses the victim; here we do what it does where nothing else is left."""
    box = await oci_sandbox.open(BoxSpec(image=image, gateway=False, memory_mb=64))
    hog = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    assert (await box.run(["python3", "-c", hog], env={}, timeout=30)).ending is Ending.MEMORY
    running = asyncio.create_task(box.run(["sleep", "30"], env={}, timeout=30))
    await asyncio.sleep(0.3)
    OutsideOci().kill(box.container)
    assert (await running).ending is Ending.MEMORY
    await box.close()


async def test_a_machine_is_refused_by_name(oci_sandbox: OciSandbox, image: str) -> None:
    with pytest.raises(UserError, match=r"profile: machine: is not offered with boxes\.engine: oci"):
        await oci_sandbox.open(BoxSpec(image=image, gateway=False, machine=True))


LOCK = "import fcntl, os; fcntl.flock(os.open('/etc/hosts', os.O_RDONLY), fcntl.LOCK_EX); os.system('sleep 20')"
TRY = "import fcntl, os; fcntl.flock(os.open('/etc/hosts', os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')"


async def test_a_lock_on_a_file_of_the_image_is_seen_by_no_other_box(oci_sandbox: OciSandbox, spec: BoxSpec) -> None:
    one, other = await oci_sandbox.open(spec), await oci_sandbox.open(spec)
    holding = asyncio.create_task(one.run(["python3", "-c", LOCK], env={}, timeout=20))
    await asyncio.sleep(1)
    assert (await other.run(["python3", "-c", TRY], env={}, timeout=20)).output == b"free\n"
    await one.close()
    with pytest.raises(SandboxDown):
        await holding
    await other.close()


async def test_the_image_cannot_be_changed_and_shows_no_path_of_the_host(
    oci_sandbox: OciSandbox, spec: BoxSpec
) -> None:
    box = await oci_sandbox.open(spec)
    seen = (await box.run(["sh", "-c", "cat /proc/self/cgroup; touch /etc/hosts"], env={}, timeout=20)).output
    assert b"ratchet" not in seen
    assert b"Read-only file system" in seen
    await box.close()


async def test_no_mount_folder_or_group_of_a_box_is_left_when_it_is_closed(
    oci_sandbox: OciSandbox, spec: BoxSpec
) -> None:
    boxes = await asyncio.gather(*(oci_sandbox.open(spec) for _ in range(4)))
    assert all(OutsideOci().known(box.container) for box in boxes)
    await asyncio.gather(*(box.close() for box in boxes))
    await oci_sandbox.settle()
    assert not any(OutsideOci().known(box.container) for box in boxes)
    assert "/run/ratchet/" not in await asyncio.to_thread(Path("/proc/self/mounts").read_text)


async def test_a_box_under_runc_serves_as_one_under_crun(oci: None, tmp_path: Path, spec: BoxSpec) -> None:
    del oci
    try:
        async with OciSandbox("r", "runc", tmp_path, ready=0, runtime="runc") as sandbox:
            box = await sandbox.open(spec)
            await box.put({"a.txt": b"x" * 3_000_000}, "/workspace")
            assert len((await box.take(["a.txt"]))["a.txt"]) == 3_000_000
            await box.close()
    except UserError as error:
        pytest.skip(str(error))


HOLDER = """
import asyncio, sys, os
from pathlib import Path
from agent.base.types import BoxSpec
from sandbox.oci.sandbox import OciSandbox
async def main():
    async with OciSandbox("r", "torn", Path(sys.argv[1]), ready=0) as sandbox:
        box = await sandbox.open(BoxSpec(image=sys.argv[2], gateway=False))
        print(box.container, flush=True)
        await asyncio.sleep(100)
asyncio.run(main())
"""


def children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


async def test_what_a_killed_run_and_a_killed_runtime_left_is_removed_by_the_next(
    oci_sandbox: OciSandbox, image: str, tmp_path: Path
) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, tmp_path, image, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    box = (await owner.stdout.readline()).decode().strip()
    for pid in (*children(owner.pid), owner.pid):
        os.kill(pid, 9)
    await owner.wait()
    assert OutsideOci().known(box)
    assert await oci_sandbox.reap() >= 1
    assert not OutsideOci().known(box)


NO_DESCRIPTOR = """
import resource, subprocess
from sandbox.oci.containers import _ended
process = subprocess.Popen(["sleep", "0.2"])
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(_ended(process, 0.01), _ended(process, 10.0))
"""


async def test_an_end_is_awaited_also_where_no_descriptor_is_left() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", NO_DESCRIPTOR, stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"False True\n"
