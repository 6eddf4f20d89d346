"""Boxes that are not started to the end: nothing of them is left. No engine, and no runtime that works, is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import SandboxDown
from agent.base.types import BoxSpec
from sandbox.contract import Order
from sandbox.oci.containers import OciContainers
from sandbox.oci.groups import Group, Groups
from sandbox.oci.roots import Root


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
    return Order(name="one", spec=BoxSpec(image="i", gateway=False), folder=tmp_path, campaign="c")


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
