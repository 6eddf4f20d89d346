"""Boxes that are not started to the end: nothing of them is left. A program that copies stands for the runtime."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from agent.base.errors import SandboxDown
from agent.base.owner import owner_label
from agent.base.types import BoxSpec
from sandbox.contract import Order
from sandbox.oci.containers import OciContainers
from sandbox.oci.groups import Group, Groups
from sandbox.oci.mounts import own_mounts
from sandbox.oci.program import Program
from sandbox.oci.roots import Root
from sandbox.reap import BOX_LIFE_SECONDS
from sandbox.users import IN_USE

USER = 1_400_007
"""Of no other box of this process."""


class FakeGroups(Groups):
    """Groups that are folders, below a folder that is not the kernel's."""

    def __init__(self, system: Path) -> None:
        (system / "cgroup.controllers").write_text("memory pids cpu")
        super().__init__("/ratchet", system)

    def remove(self, box: str) -> None:
        for path in sorted((self._system / "ratchet" / box).glob("**/*"), reverse=True):
            path.unlink()
        (self._system / "ratchet" / box).rmdir()


class FullGroups(FakeGroups):
    """As where the kernel can make no more of them."""

    def make(self, box: str, memory: int) -> Group | None:
        raise SandboxDown(f"no space for {box} of {memory}")


@pytest.fixture
def system(tmp_path: Path) -> Path:
    (tmp_path / "cgroup").mkdir()
    return tmp_path / "cgroup"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "tree" / "root").mkdir(parents=True)
    (tmp_path / "tree" / "lock").touch()
    tree = Root(tmp_path / "tree", ())
    yield tree
    tree.close()


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(name="one", spec=BoxSpec(image="i", gateway=False, user=USER), folder=tmp_path, campaign="c")


def containers(groups: Groups, home: Path, root: Root) -> OciContainers:
    made = OciContainers("r", None, groups, home, asyncio.to_thread)
    made._roots["i"] = root
    return made


def test_a_box_for_which_no_group_can_be_made_leaves_no_label(
    system: Path, home: Path, root: Root, order: Order
) -> None:
    one = containers(FullGroups(system), home, root)
    with pytest.raises(SandboxDown, match="no space"):
        one._prepare(order, root)
    assert list(home.iterdir()) == []


def test_a_box_whose_bundle_cannot_be_made_leaves_neither_group_nor_label(
    system: Path, home: Path, root: Root, order: Order
) -> None:
    one = containers(FakeGroups(system), home, root)
    with pytest.raises(ValueError, match="has a folder"):
        one._prepare(replace(order, folder=None), root)
    assert list(home.iterdir()) == []
    assert list((system / "ratchet").glob("*/")) == []


RUNTIME = """#!/bin/sh
echo $$ > {0}/pid
exec cat
"""
mounting = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    path = tmp_path / "crun"
    path.write_text(RUNTIME.format(tmp_path))
    path.chmod(0o755)
    return Program(name="crun", path=path)


def runs(program: Program) -> bool:
    """Whether the runtime was started, and has not ended."""
    path = program.path.parent / "pid"
    return path.exists() and Path(f"/proc/{path.read_text().strip()}").exists()


async def opened(one: OciContainers, program: Program) -> None:
    one._program = program
    (one._home / "nothing").mkdir()
    await one._start_in_thread(own_mounts)


def nothing_is_left(system: Path, home: Path) -> bool:
    groups = list((system / "ratchet").glob("*/"))
    return not groups and [path.name for path in home.iterdir()] == ["nothing"] and not IN_USE[USER]


@mounting
def test_a_start_that_is_cancelled_while_its_thread_works_leaves_nothing(
    system: Path, home: Path, root: Root, order: Order, program: Program
) -> None:
    one = containers(FakeGroups(system), home, root)
    started: list[bool] = []

    async def cancelled() -> None:
        await opened(one, program)
        busy, free = threading.Event(), threading.Event()
        before = one._start_in_thread(lambda: (busy.set(), free.wait(10)))
        occupied = asyncio.ensure_future(before)
        await asyncio.to_thread(busy.wait, 10)
        starting = asyncio.create_task(one.start(order))
        await asyncio.sleep(0.3)
        starting.cancel()
        await asyncio.sleep(0.05)
        free.set()
        await occupied
        with pytest.raises(asyncio.CancelledError):
            await starting
        started.append((program.path.parent / "pid").exists())

    asyncio.run(cancelled())
    assert started == [True], "the thread was not in the middle of it"
    assert not runs(program)
    assert one._running == {}
    assert nothing_is_left(system, home)


@mounting
def test_closing_waits_for_a_start_that_was_cancelled_twice(
    system: Path, home: Path, root: Root, order: Order, program: Program
) -> None:
    one = containers(FakeGroups(system), home, root)

    async def cancelled() -> None:
        await opened(one, program)
        occupied = asyncio.ensure_future(one._start_in_thread(threading.Event().wait, 0.5))
        starting = asyncio.create_task(one.start(order))
        for _ in range(2):
            await asyncio.sleep(0.1)
            starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not occupied.done()
        one._roots.clear()  # the fixture's
        await one.close()

    asyncio.run(cancelled())
    assert not runs(program)
    assert nothing_is_left(system, home)


class NoConnections(asyncio.SelectorEventLoop):
    """As where the kernel watches no more descriptors."""

    async def create_unix_connection(self, *args: object, **kwargs: object) -> NoReturn:
        del args, kwargs
        raise OSError(errno.ENOSPC, "no watches")


@mounting
def test_a_box_to_which_no_pipe_can_be_opened_is_ended(
    system: Path, home: Path, root: Root, order: Order, program: Program
) -> None:
    one = containers(FakeGroups(system), home, root)

    async def unconnected() -> None:
        await opened(one, program)
        with pytest.raises(SandboxDown, match="no watches"):
            await one.start(order)

    with asyncio.Runner(loop_factory=NoConnections) as runner:
        runner.run(unconnected())
    assert not runs(program)
    assert nothing_is_left(system, home)


@mounting
def test_a_box_whose_runtime_cannot_be_started_leaves_nothing(
    system: Path, home: Path, root: Root, order: Order, tmp_path: Path
) -> None:
    one = containers(FakeGroups(system), home, root)

    async def without() -> None:
        await opened(one, Program(name="crun", path=tmp_path / "gone"))
        with pytest.raises(SandboxDown, match="no box could be started"):
            await one.start(order)

    asyncio.run(without())
    assert nothing_is_left(system, home)


def test_a_box_that_an_owner_not_seen_from_here_is_just_making_is_left_until_its_deadline(
    system: Path, home: Path, root: Root, order: Order
) -> None:
    one = containers(FakeGroups(system), home, root)
    box, _, group = one._prepare(order, root)
    group.close()
    pid, start, boot, _, host = owner_label(os.getpid()).split(".")
    link = home / f"{box}.owner"
    link.unlink()
    link.symlink_to(f"{pid}.{start}.{boot}.else.{host}")
    assert one._reap() == 0
    assert (home / box / "config.json").exists()
    past = time.time() - BOX_LIFE_SECONDS - 1
    os.utime(link, (past, past), follow_symlinks=False)
    assert one._reap() == 1
    assert list(home.iterdir()) == []
