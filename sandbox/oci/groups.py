"""The control groups of boxes, of version 1 and 2.

The runtime makes the group of a box, and removes it when the box ends; with it goes the count of processes that the
kernel has ended for want of memory. So the group lies in one that is ours, which limits memory and keeps the count:
`<parent>/<box>/box`. Version 1 counts only in the group of the process. There, an event tells us that our group was out
of memory, and the inner one has a limit that is a little higher, so that it is always ours that is met.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from agent.base.errors import SandboxDown

SYSTEM = Path("/sys/fs/cgroup")
PARENT = "/ratchet"
LEAF = "box"
NEEDED = ("memory", "pids", "cpu")
LIMITS_V1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
"""Memory, then memory and swap together; a kernel that does not count swap lacks the second."""

SPARE = 1 << 20
"""Bytes between the limits of version 1: more than the kernel charges at a time."""

BUSY_SECONDS, PAUSE = 2.0, 0.02


class Groups:
    """Makes and finds the groups of boxes.

    Args:
        parent: the group for all boxes, as a path from the root of every hierarchy.
        system: where control groups are mounted.
    """

    def __init__(self, parent: str = PARENT, system: Path = SYSTEM) -> None:
        self._parent, self._system = parent.strip("/"), system
        self.unified = (system / "cgroup.controllers").exists()

    def check(self) -> None:
        """Raises SandboxDown if this machine has not the controllers that the limits of a box need."""
        if self.unified:
            there = set((self._system / "cgroup.controllers").read_text().split())
        else:
            there = {name for path in self._hierarchies for name in path.name.split(",")}
        if missing := [name for name in NEEDED if name not in there]:
            raise SandboxDown(f"control groups: {self._system} has no controller {', '.join(missing)}")

    def path(self, box: str) -> str:
        """The group that the runtime makes for a box."""
        return f"/{self._parent}/{box}/{LEAF}"

    def inner_limit(self, memory: int) -> int:
        """The limit on memory, in bytes, of the group that the runtime makes."""
        return memory if self.unified else memory + SPARE

    def make(self, box: str, memory: int) -> Group | None:
        """The group around a box, with its limit in bytes of memory and no swap; None if there is one of its name.

        Raises:
            SandboxDown: it cannot be made.
        """
        try:
            around = self._around(box)
            try:
                around.mkdir()
            except FileExistsError:
                return None
            try:
                return (_limited_v2 if self.unified else _limited_v1)(around, memory)
            except BaseException:
                _removed(around)  # takes no file descriptor: there may be none left
                raise
        except OSError as error:
            raise SandboxDown(f"a control group cannot be made below {self._system}: {error}") from error

    def _around(self, box: str) -> Path:
        """Where our group of a box goes; the one for all boxes is made. Raises OSError."""
        if self.unified:
            folder = self._system
            for part in self._parent.split("/"):
                _pass_on(folder)
                folder /= part
                folder.mkdir(exist_ok=True)
            _pass_on(folder)
            return folder / box
        folder = self._system / "memory" / self._parent
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "memory.use_hierarchy").write_text("1")
        return folder / box

    def pids(self, box: str) -> list[int]:
        """The processes of a box."""
        hierarchy = self._system if self.unified else self._system / "memory"
        try:
            text = (hierarchy / self._parent / box / LEAF / "cgroup.procs").read_text()
        except OSError:
            return []
        return [int(line) for line in text.split()]

    def kill(self, box: str) -> None:
        """Kill every process of a box. Raises SandboxDown if one does not end."""
        end = time.monotonic() + BUSY_SECONDS
        while pids := self.pids(box):
            if time.monotonic() > end:
                raise SandboxDown(f"processes of box {box} do not end: {pids}")
            for pid in pids:
                self._kill(box, pid)
            time.sleep(PAUSE)

    def _kill(self, box: str, pid: int) -> None:
        """Kill a process that is still in the box once we hold it: a pid may be used again."""
        with suppress(ProcessLookupError):
            held = os.pidfd_open(pid)
            try:
                if pid in self.pids(box):
                    signal.pidfd_send_signal(held, signal.SIGKILL)
            finally:
                os.close(held)

    def remove(self, box: str) -> None:
        """Remove the groups of a box that has ended, in every hierarchy."""
        end = time.monotonic() + BUSY_SECONDS
        for hierarchy in self._hierarchies:
            folder = f"{hierarchy}/{self._parent}/{box}"
            # Mostly the runtime has removed the inner one.
            while not _removed(folder) and not (_removed(f"{folder}/{LEAF}") and _removed(folder)):
                if time.monotonic() > end:
                    break
                time.sleep(PAUSE)

    @cached_property
    def _hierarchies(self) -> list[Path]:
        """Where groups can be: the one mount of version 2, or each of version 1."""
        if self.unified:
            return [self._system]
        return [path for path in self._system.iterdir() if path.is_dir() and not path.is_symlink()]


class Group:
    """The group around one box.

    Args:
        counts: the file with the number of processes ended for want of memory.
        event: with version 1, tells that the group was out of memory.
    """

    def __init__(self, counts: Path, event: int | None) -> None:
        self._counts, self._event, self._seen = counts, event, False

    def out_of_memory(self) -> bool:
        """Whether the kernel has ended a process of the box for want of memory."""
        self._seen = self._seen or self._counted() or self._told()
        return self._seen

    def _counted(self) -> bool:
        with suppress(OSError):
            fields = [line.split() for line in self._counts.read_text().splitlines()]
            return any(name == "oom_kill" and int(count) > 0 for name, count in fields)
        return False

    def _told(self) -> bool:
        if self._event is not None:
            with suppress(BlockingIOError):
                return os.eventfd_read(self._event) > 0
        return False

    def close(self) -> None:
        """Let go of it; the answer of `out_of_memory` stays."""
        self.out_of_memory()
        event, self._event = self._event, None
        if event is not None:
            os.close(event)


def _pass_on(folder: Path) -> None:
    """Let the groups below a group of version 2 have limits."""
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in NEEDED))


def _limited_v2(folder: Path, memory: int) -> Group:
    _pass_on(folder)
    (folder / "memory.max").write_text(str(memory))
    with suppress(FileNotFoundError):  # a kernel that does not count swap
        (folder / "memory.swap.max").write_text("0")
    return Group(folder / "memory.events", event=None)


def _limited_v1(folder: Path, memory: int) -> Group:
    for name in LIMITS_V1:
        with suppress(FileNotFoundError):
            (folder / name).write_text(str(memory))
    return Group(folder / "memory.oom_control", event=_event(folder))


def _event(folder: Path) -> int:
    """What tells that a group of version 1 was out of memory."""
    event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        with (folder / "memory.oom_control").open("rb") as control:
            (folder / "cgroup.event_control").write_text(f"{event} {control.fileno()}")
    except OSError:
        os.close(event)
        raise
    return event


def _removed(folder: Path | str) -> bool:
    try:
        os.rmdir(folder)  # noqa: PTH106 - a box has some thirty of them
    except FileNotFoundError:
        return True
    except OSError:  # a process is still ending in it
        return False
    return True
