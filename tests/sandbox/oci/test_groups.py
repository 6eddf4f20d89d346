"""Control groups of both versions: those of this machine in real boxes elsewhere, the others as files in a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.base.errors import SandboxDown
from sandbox.oci.groups import NEEDED, SPARE, Groups


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """What the kernel shows of version 2, as far as we look."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    return tmp_path


def test_version_2_has_the_limit_and_the_count_in_our_group_around_the_box(v2: Path) -> None:
    groups = Groups("/ratchet/tests", v2)
    groups.check()
    group = groups.make("b", 64 << 20)
    assert group is not None
    around = v2 / "ratchet" / "tests" / "b"
    assert (around / "memory.max").read_text() == str(64 << 20)
    assert (around / "memory.swap.max").read_text() == "0"
    for folder in (v2, v2 / "ratchet", v2 / "ratchet" / "tests", around):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert (groups.path("b"), groups.inner_limit(64 << 20)) == ("/ratchet/tests/b/box", 64 << 20)
    assert not group.out_of_memory()
    (around / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n")
    assert not group.out_of_memory()
    (around / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n")
    assert group.out_of_memory()


def test_version_2_finds_the_processes_of_a_box_in_the_runtimes_group(v2: Path) -> None:
    groups = Groups("/ratchet", v2)
    groups.make("b", 1 << 20)
    assert groups.pids("b") == []
    (v2 / "ratchet" / "b" / "box").mkdir()
    (v2 / "ratchet" / "b" / "box" / "cgroup.procs").write_text("12\n34\n")
    assert groups.pids("b") == [12, 34]


@pytest.mark.parametrize("missing", NEEDED)
def test_a_machine_without_a_controller_is_refused(v2: Path, missing: str) -> None:
    (v2 / "cgroup.controllers").write_text(" ".join(name for name in NEEDED if name != missing))
    with pytest.raises(SandboxDown, match=f"has no controller {missing}"):
        Groups("/ratchet", v2).check()


def test_version_1_may_have_two_controllers_in_one_hierarchy(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct", "memory", "pids"):
        (tmp_path / name).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    Groups("/ratchet", tmp_path).check()
    (tmp_path / "pids").rmdir()
    with pytest.raises(SandboxDown, match="has no controller pids"):
        Groups("/ratchet", tmp_path).check()


def test_a_group_that_cannot_be_made_is_an_infrastructure_error(v2: Path) -> None:
    (v2 / "ratchet").write_text("a file")
    with pytest.raises(SandboxDown, match="control group"):
        Groups("/ratchet", v2).make("b", 1 << 20)


@pytest.fixture
def real() -> Groups:
    """Groups of this machine."""
    groups = Groups(f"/ratchet-test-{os.getpid()}")
    if os.geteuid() or not os.access("/sys/fs/cgroup", os.W_OK):
        pytest.skip("making control groups takes root")
    groups.check()
    return groups


def test_a_name_is_given_once_and_nothing_is_left(real: Groups) -> None:
    group = real.make("b", 64 << 20)
    assert group is not None
    assert real.make("b", 64 << 20) is None
    assert not group.out_of_memory()
    group.close()
    real.remove("b")
    assert not list(Path("/sys/fs/cgroup").glob(f"**/ratchet-test-{os.getpid()}/b"))
    again = real.make("b", 64 << 20)
    assert again is not None
    again.close()
    real.remove("b")


def test_a_group_whose_limit_the_kernel_refuses_is_not_left(real: Groups) -> None:
    for _ in range(2):
        with pytest.raises(SandboxDown, match="control group"):
            real.make("refused", -2)
    assert not list(Path("/sys/fs/cgroup").glob(f"**/ratchet-test-{os.getpid()}/refused"))


HOG = """
import os, pathlib, sys
for place in sys.argv[1:]: pathlib.Path(place, "cgroup.procs").write_text(str(os.getpid()))
x = bytearray(200 << 20)
"""


def test_a_process_in_the_box_that_is_ended_for_memory_is_told_in_the_group_around_it(real: Groups) -> None:
    group = real.make("hog", 32 << 20)
    assert group is not None
    hierarchy = Path("/sys/fs/cgroup") if real.unified else Path("/sys/fs/cgroup/memory")
    inner = hierarchy / real.path("hog").strip("/")
    inner.mkdir()
    name = "memory.max" if real.unified else "memory.limit_in_bytes"
    (inner / name).write_text(str(real.inner_limit(32 << 20)))
    assert not group.out_of_memory()
    done = subprocess.run(["python3", "-c", HOG, str(inner)], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert group.out_of_memory()
    real.remove("hog")
    group.close()
    assert group.out_of_memory()


def test_version_1_leaves_the_inner_group_more_than_the_kernel_charges_at_a_time() -> None:
    assert Groups("/ratchet", Path("/nowhere")).inner_limit(5 << 20) == (5 << 20) + SPARE
