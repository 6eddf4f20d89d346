"""What Ratchet asks the system about itself, with and without /proc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from agent.base.machine import boot, cores, started, started_by_ps

NEEDS_PS = pytest.mark.skipif(shutil.which("ps") is None, reason="needs `ps`")


def test_a_process_has_a_start_and_a_dead_one_has_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert started(child.pid) == started(child.pid) is not None
    child.kill()
    child.wait()
    assert started(child.pid) is None


@NEEDS_PS
def test_without_proc_ps_tells_when_a_process_started() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    now = time.time()
    first = started_by_ps(child.pid)
    assert first is not None
    assert abs(first - now) < 120
    child.kill()
    while started_by_ps(child.pid) is not None:  # it ends as a zombie, which counts as dead
        time.sleep(0.05)
    child.wait()
    assert started_by_ps(child.pid) is None


def test_there_is_a_processor_and_a_boot() -> None:
    assert cores() >= 1
    assert boot() == boot() != ""


def test_cores_are_known_where_the_system_does_not_tell_which_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()


WITHOUT_PROC = """
import os, pathlib, sys
for name in ("sched_getaffinity", "sched_setaffinity", "pidfd_open", "memfd_create", "setns", "unshare"):
    if hasattr(os, name): delattr(os, name)
gone = ("/proc", "/sys", "/dev/shm")
def hide(event, args):
    if event in ("open", "os.listdir", "os.scandir") and args and str(args[0]).startswith(gone):
        raise FileNotFoundError(2, "hidden", str(args[0]))
sys.addaudithook(hide)
for name in ("stat", "readlink"):
    def hidden(path, *args, _real=getattr(os, name), **more):
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(gone):
            raise FileNotFoundError(2, "hidden", str(path))
        return _real(path, *args, **more)
    setattr(os, name, hidden)
"""


@NEEDS_PS
def test_owners_are_told_apart_on_a_system_without_proc() -> None:
    program = f"""{WITHOUT_PROC}
from agent.base.owner import owner_label, owner_lives, owner_visible
import subprocess
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
label = owner_label(child.pid)
assert owner_lives(owner_label(os.getpid())) and owner_lives(label) and owner_visible(label)
child.kill(); child.wait()
assert not owner_lives(label)
from sandbox.load import host_load
from agent.models.providers.embedded import default_threads
from agent.models.gateway.connections import raise_limit
from agent.trials.heartbeat import Heartbeat
assert host_load().cores and default_threads() and raise_limit()
Heartbeat().beat()
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr[-2000:]
