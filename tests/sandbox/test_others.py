"""Whose processor time counts as other programs': real processes on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sandbox.others import Others

SPIN = "while True: pass"
SERVER = """
import os, socket, sys
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
client = door.accept()
if os.fork() == 0:
    while True: pass
while True: pass
"""


@contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, *argv], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def spent(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()  # noqa: PTH123, SIM115
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counted(process: subprocess.Popen[str], others: Others) -> bool:
    """Whether at least half of what a process spends is counted; what else runs here can only add to it."""
    before, start = others.seconds(), spent(process.pid)
    while spent(process.pid) < start + 0.5:
        time.sleep(0.05)
    return others.seconds() - before > 0.4


def knows(process: subprocess.Popen[str], others: Others) -> bool | None:
    """How a process was classified at the last look."""
    return next((counts for (pid, _), counts in others._known.items() if pid == process.pid), None)


@pytest.fixture
def others() -> Others:
    return Others(lambda _user: False)


def test_another_program_counts(others: Others) -> None:
    with running("-c", SPIN) as process:
        assert counted(process, others)
        assert knows(process, others) is True


def test_a_program_that_ends_does_not_take_its_time_back(others: Others) -> None:
    looks = [others.seconds()]
    with running("-c", SPIN) as process:
        assert counted(process, others)
        looks.append(others.seconds())
    looks += [others.seconds(), others.seconds()]
    assert looks == sorted(looks)


def test_children_that_begin_and_end_between_two_looks_count_with_their_parent(others: Others) -> None:
    many = (
        f"import subprocess, sys\nwhile True: subprocess.run([sys.executable, '-c', {'for _ in range(10**6): pass'!r}])"
    )
    with running("-c", many):
        time.sleep(0.5)
        before = others.seconds()
        deadline = time.monotonic() + 60
        while others.seconds() < before + 0.3 and time.monotonic() < deadline:
            time.sleep(0.3)
        assert others.seconds() >= before + 0.3


def test_our_own_process_and_children_that_run_our_code_do_not_count(others: Others) -> None:
    with running("-c", SPIN, "-m", "agent.models.providers.embedded") as process:
        others.seconds()
        assert knows(process, others) is False
        assert others._known[next(key for key in others._known if key[0] == os.getpid())] is False


def test_a_local_server_that_we_talk_to_does_not_count_nor_do_its_children(others: Others) -> None:
    with running("-c", SERVER) as process:
        others.seconds()
        assert knows(process, others) is True
        assert process.stdout is not None
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))):
            time.sleep(0.3)
            others.seconds()
            assert knows(process, others) is False
        children = [key for key in others._known if str(process.pid) == parent(key[0])]
        assert [others._known[key] for key in children] == [False]
        others.seconds()
        assert knows(process, others) is False  # also once the connection is gone


def parent(pid: int) -> str:
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]  # noqa: PTH123
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("ours", "containers", "expected"),
    [
        (lambda user: user == 4321, True, False),
        (lambda _user: False, True, True),
        (lambda _user: False, False, False),
    ],
)
def test_a_process_in_a_container_counts_unless_it_is_a_box_of_ours(
    ours: Callable[[int], bool], containers: bool, expected: bool
) -> None:
    if os.geteuid():
        pytest.skip("a PID namespace takes root")
    inner = f"import os\nos.setuid(4321)\n{SPIN}"
    with running("-c", f"import subprocess; subprocess.run(['unshare', '-pf', '{sys.executable}', '-c', {inner!r}])"):
        others = Others(ours, containers=containers)
        deadline = time.monotonic() + 30
        while not (found := nested()) and time.monotonic() < deadline:
            time.sleep(0.1)
        others.seconds()
        assert [others._known[key] for key in others._known if key[0] in found] == [expected]
        for pid in found:
            os.kill(pid, 9)
        while nested() and time.monotonic() < deadline:  # the next test must not find them
            time.sleep(0.05)


def nested() -> list[int]:
    """The process of user 4321 in a PID namespace of its own."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208
        try:
            status = open(f"/proc/{entry}/status").read() if entry.isdecimal() else ""  # noqa: PTH123, SIM115
        except OSError:
            continue
        if "\nUid:\t4321\t" in status and len(status.partition("NSpid:")[2].split("\n")[0].split()) > 1:
            found.append(int(entry))
    return found
