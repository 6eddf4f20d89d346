"""The folder of a node's process, which lies where every user of the machine may make files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.errors import UserError

pytest.importorskip("ray")

from agent.trials.cluster.node import private


def test_a_nodes_folder_is_made_for_its_user_alone_and_used_again(tmp_path: Path) -> None:
    folder = private(tmp_path / "ratchet-node-1")
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "campaign").mkdir()
    assert private(folder) == folder
    assert (folder / "campaign").is_dir()


def test_a_folder_of_this_user_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert private(tmp_path).stat().st_mode & 0o777 == 0o700


def link_to(folder: Path) -> None:
    """A folder that somebody swapped for a link to another."""
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def to_another_user(folder: Path) -> None:
    """A folder that another user made first."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 4321, 4321)


@pytest.mark.parametrize(
    "spoil",
    [
        link_to,
        to_another_user,
        lambda folder: folder.chmod(0o777),
        lambda folder: folder.rmdir() or folder.write_text(""),
    ],
)
def test_a_folder_that_others_control_is_refused(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "ratchet-node-1"
    folder.mkdir(mode=0o700)
    spoil(folder)
    with pytest.raises(UserError, match=r"TMPDIR: .*ratchet-node-1 is not a folder that this user alone"):
        private(folder)
