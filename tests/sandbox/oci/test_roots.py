"""The trees of images: what is kept of one, what is not, and that no archive leads out of its folder."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from agent.base.errors import SandboxDown
from sandbox.oci.roots import UNUSED_SECONDS, cache_folder, open_root

pytestmark = [pytest.mark.docker, pytest.mark.skipif(os.geteuid() != 0, reason="files of other users take root")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ratchet" / "roots"


def member(name: str, kind: bytes = tarfile.REGTYPE, **about: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in about.items():
        setattr(info, key, value)
    return info


def imported(engine: docker.APIClient, tag: str, *members: tarfile.TarInfo) -> str:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for one in members:
            tar.addfile(one)
    engine.import_image_from_data(out.getvalue(), repository=tag, changes=["ENV A=1", "ENV B=2"])
    return tag


@pytest.fixture
def tag(engine: docker.APIClient) -> Iterator[str]:
    name = f"ratchet-test-root-{os.getpid()}"
    yield name
    engine.remove_image(name, force=True)


def test_owners_modes_links_and_environment_are_kept_and_privileged_bits_are_not(
    engine: docker.APIClient, tag: str
) -> None:
    imported(
        engine,
        tag,
        member("etc", tarfile.DIRTYPE, mode=0o755),
        member("etc/hosts", tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("bin", tarfile.SYMTYPE, linkname="usr/bin"),
        member("usr", tarfile.DIRTYPE, mode=0o755),
        member("usr/bin", tarfile.DIRTYPE, mode=0o755),
        member("usr/bin/su", mode=0o4755, uid=0),
        member("usr/bin/two", tarfile.LNKTYPE, linkname="usr/bin/su", mode=0o4755),
        member("home", tarfile.DIRTYPE, mode=0o1777, uid=7, gid=8),
        member("home/x", mode=0o666, uid=1000, gid=1001),
        member("sda", tarfile.BLKTYPE, mode=0o666, devmajor=8, devminor=0),
    )
    root = open_root(tag)
    tree = root.tree
    about = {path: (tree / path).lstat() for path in ("usr/bin/su", "home", "home/x")}
    assert {path: (s.st_mode & 0o7777, s.st_uid, s.st_gid) for path, s in about.items()} == {
        "usr/bin/su": (0o755, 0, 0),
        "home": (0o1777, 7, 8),
        "home/x": (0o666, 1000, 1001),
    }
    assert (tree / "usr/bin/su").samefile(tree / "usr/bin/two")
    assert os.readlink(tree / "bin") == "usr/bin"  # noqa: PTH115
    assert not (tree / "sda").exists()
    assert (tree / "etc/hosts").read_text().startswith("127.0.0.1\tlocalhost\n")
    assert not (tree / "etc/hosts").is_symlink()
    assert {"A=1", "B=2"} <= set(root.env)
    assert all((tree / place).is_dir() for place in ("proc", "sys", "dev", "tmp", "workspace", "run/ratchet"))
    root.close()


def test_other_users_of_this_machine_reach_no_file_of_a_tree(engine: docker.APIClient, tag: str, cache: Path) -> None:
    open_root(imported(engine, tag, member("a", mode=0o666))).close()
    assert cache.stat().st_mode & 0o077 == 0


def test_folders_that_are_links_lead_nowhere_on_the_host(engine: docker.APIClient, tag: str, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    links = [member(name, tarfile.SYMTYPE, linkname=str(tmp_path / name)) for name in ("etc", "run")]
    open_root(imported(engine, tag, *links)).close()
    assert list((tmp_path / "etc").iterdir()) == []
    assert list((tmp_path / "run").iterdir()) == []


def test_a_tree_is_unpacked_once(engine: docker.APIClient, tag: str) -> None:
    imported(engine, tag, member("a"))
    said: list[str] = []
    for _ in range(2):
        open_root(tag, say=said.append).close()
    assert len(said) == 1
    assert tag in said[0]


def test_an_image_that_is_not_there_is_an_infrastructure_error() -> None:
    with pytest.raises(SandboxDown, match="is gone"):
        open_root("ratchet-box:never-built")


def test_trees_that_nothing_has_used_for_long_are_removed_and_those_in_use_are_not(
    engine: docker.APIClient, tag: str
) -> None:
    trees = [open_root(imported(engine, tag, member(f"file-{number}"))) for number in range(3)]
    long_ago = time.time() - UNUSED_SECONDS - 60
    for tree in trees[:2]:
        os.utime(tree.tree.parent / "lock", (long_ago, long_ago))
    trees[0].close()
    open_root(imported(engine, tag, member("last"))).close()
    assert [tree.tree.exists() for tree in trees] == [False, True, True]
    assert len(list(cache_folder().iterdir())) == 3
    for tree in trees[1:]:
        tree.close()


def waits(lock: Path) -> bool:
    """Whether somebody waits for the lock on a file."""
    number = f":{lock.stat().st_ino} "
    return any("->" in line and number in line for line in Path("/proc/locks").read_text().splitlines())


def test_a_tree_that_is_removed_while_its_lock_is_awaited_is_unpacked_again(engine: docker.APIClient, tag: str) -> None:
    first = open_root(imported(engine, tag, member("a")))
    folder = first.tree.parent
    first.close()
    said: list[str] = []
    with (folder / "lock").open() as remover, ThreadPoolExecutor(1) as other:
        fcntl.flock(remover, fcntl.LOCK_EX)
        again = other.submit(open_root, tag, say=said.append)
        end = time.monotonic() + 20
        while not waits(folder / "lock") and time.monotonic() < end:
            time.sleep(0.01)
        shutil.rmtree(folder)
        fcntl.flock(remover, fcntl.LOCK_UN)
        root = again.result()
    assert len(said) == 1
    assert (root.tree / "a").exists()
    with (folder / "lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    root.close()


def test_what_a_killed_process_left_of_a_tree_it_removed_is_removed(
    engine: docker.APIClient, tag: str, cache: Path
) -> None:
    half = cache / ".old-x"
    (half / "root" / "etc").mkdir(parents=True)
    (half / "lock").touch()
    os.utime(half / "lock", (1, 1))
    root = open_root(imported(engine, tag, member("a")))
    assert list(cache.iterdir()) == [root.tree.parent]
    root.close()
