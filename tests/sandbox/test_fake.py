"""What the in-memory sandbox promises beyond the common list."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import SandboxDown
from agent.base.types import BoxSpec, Ending
from sandbox.fake import FakeRun, FakeSandbox, ran

SPEC = BoxSpec(image="i", gateway=True)


async def test_the_longest_match_wins() -> None:
    async with FakeSandbox({"python3": lambda _: "short", "python3 -m x": lambda _: "long"}) as sandbox:
        box = await sandbox.open(SPEC)
        assert (await box.run(["python3", "-m", "x", "y"], env={}, timeout=1)).output == b"long"
        assert (await box.run(["python3", "a"], env={}, timeout=1)).output == b"short"


async def test_running_out_of_script_is_an_error() -> None:
    async with FakeSandbox({}) as sandbox:
        box = await sandbox.open(SPEC)
        with pytest.raises(LookupError, match="no program"):
            await box.run(["anything"], env={}, timeout=1)


async def test_a_program_may_be_async_and_raise_what_a_box_raises() -> None:
    async def down(_: FakeRun) -> None:
        raise SandboxDown("gone")

    async with FakeSandbox({"x": down, "y": lambda _: ran(ending=Ending.MEMORY, exit_code=None)}) as sandbox:
        box = await sandbox.open(SPEC)
        with pytest.raises(SandboxDown):
            await box.run(["x"], env={}, timeout=1)
        assert (await box.run(["y"], env={}, timeout=1)).ending is Ending.MEMORY


async def test_it_can_break_down_and_be_fixed() -> None:
    async with FakeSandbox({}) as sandbox:
        sandbox.break_down("no engine")
        with pytest.raises(SandboxDown, match="no engine"):
            await sandbox.open(SPEC)
        sandbox.break_down(None)
        box = await sandbox.open(SPEC)
        assert sandbox.open_boxes == {box.id}
        await box.close()
        assert sandbox.opened == [SPEC]
        assert not sandbox.open_boxes


async def test_its_sockets_lie_where_something_can_listen(tmp_path: Path) -> None:
    async with FakeSandbox({}, folder=tmp_path) as sandbox:
        box = await sandbox.open(SPEC)
        assert box.socket is not None
        assert box.socket.parent.is_dir()
