"""Runs of one name side by side: each owns its boxes, sockets and folders by its process, and by nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.types import BoxSpec
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
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("other", ["same folder", "other folder"])
async def test_a_second_run_of_the_same_name_leaves_a_living_run_alone(
    home: Path, image: str, other: str, sandboxes: Sandboxes
) -> None:
    folder = home / "one" if other == "same folder" else home / "two"
    async with sandboxes("run-a", "namesake", home / "one", ready=0) as first:
        box = await first.open(BoxSpec(image=image, gateway=True))
        assert box.socket is not None
        with socket.socket(socket.AF_UNIX) as gateway:
            gateway.bind(str(box.socket))
            await box.put({"a.txt": b"kept"}, "/scaffold")
            running = asyncio.create_task(box.run(["sh", "-c", "sleep 2; cat /scaffold/a.txt"], env={}, timeout=30))
            async with sandboxes("run-b", "namesake", folder, ready=0) as second:
                await (await second.open(BoxSpec(image=image, gateway=False))).close()
            assert (await running).output == b"kept"
            assert box.socket.exists()
            seen = (await box.run(["ls", "/run/ratchet"], env={}, timeout=30)).output.count(b"gateway.sock")
            assert seen == (1 if first.shared else 0)
        await box.close()


@pytest.mark.parametrize("name", ["2026-11-28T03:00", "a,b", "meine läufe", "x" * 90])
async def test_a_campaign_may_lie_in_any_folder(home: Path, image: str, name: str, sandboxes: Sandboxes) -> None:
    async with sandboxes("r", "path", home / name / "c", ready=0) as sandbox:
        box = await sandbox.open(BoxSpec(image=image, gateway=True))
        assert box.socket is not None
        with socket.socket(socket.AF_UNIX) as gateway:
            gateway.bind(str(box.socket))
        await box.put({"a.txt": b"here"}, "/task")
        assert (await box.run(["cat", "/task/a.txt"], env={}, timeout=30)).output == b"here"
        await box.close()


async def test_a_box_that_could_not_be_removed_at_its_end_is_removed_with_its_sandbox(
    home: Path, image: str, sandboxes: Sandboxes, outside: Outside
) -> None:
    async with sandboxes("r", "swept", home, ready=0) as sandbox:
        box = await sandbox.open(BoxSpec(image=image, gateway=False))
    assert not outside.known(box.container)


async def test_a_defect_of_the_watch_on_load_leaves_no_box(
    home: Path, image: str, sandboxes: Sandboxes, outside: Outside
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    campaign = f"defect-{os.getpid()}"
    sandbox = sandboxes("r", campaign, home, ready=1)
    await sandbox.__aenter__()
    await (await sandbox.open(BoxSpec(image=image, gateway=False))).close()
    if not sandbox.shared:
        await sandbox.__aexit__(None, None, None)
        pytest.skip("the load of an engine elsewhere is not watched")
    assert sandbox._monitor is not None
    await sandbox._monitor.stop()
    sandbox._monitor.stop = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await sandbox.__aexit__(None, None, None)
    assert outside.of(campaign) == []
    assert list((home / "boxes").iterdir()) == []
