"""Which process a thing belongs to, so that what a dead one left can be told from what a living one uses.

A label names a process by pid, start time, boot, PID namespace and host. So a pid that is used again is not taken
for its first owner, and a process that cannot be seen from here (in another container, on another host that shares
the engine or the folder) is not taken for dead.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
from functools import cache
from pathlib import Path

from agent.base import machine

_LOCAL_FIELDS = 2  # pid and start time, the whole label of earlier versions


def owner_label(pid: int) -> str:
    """The label of a running process: `pid.start.boot.namespace.host`, at most 40 characters."""
    return _own_label(pid) if pid == os.getpid() else _label(pid)


def owner_lives(label: str) -> bool:
    """Whether the process that `owner_label` named may still run; True if that cannot be seen from here."""
    pid, started, where = _parts(label)
    if where and where != _here():
        boot, _, host = where
        own_boot, _, own_host = _here()
        return host != own_host or boot == own_boot
    if not pid.isdecimal() or not started.isdecimal():
        return False
    return str(machine.started(int(pid))) == started or _hidden(int(pid))


def owner_visible(label: str) -> bool:
    """Whether `owner_lives` can look the process up, or knows that it ended with an earlier boot."""
    where = _parts(label)[2]
    return not where or where == _here() or not owner_lives(label)


@cache
def _own_label(pid: int) -> str:
    return _label(pid)


def _label(pid: int) -> str:
    return ".".join((str(pid), str(machine.started(pid) or 0), *_here()))


def folder_prefix() -> str:
    """How names of this process's folders among the temporary files begin; see `sandbox.folders`."""
    return f"ratchet-{owner_label(os.getpid())}-"


def _parts(label: str) -> tuple[str, str, tuple[str, ...]]:
    pid, started, *where = [*label.split("."), ""][: _LOCAL_FIELDS + 3]
    return pid, started, tuple(where) if len(where) == len(_here()) else ()


def _hidden(pid: int) -> bool:
    """Whether a process runs whose /proc we may not see (`hidepid`): another user's."""
    if not machine.has_proc() or (machine.PROC / str(pid)).exists():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False


@cache
def _here() -> tuple[str, str, str]:
    """The boot, the PID namespace and the host of this process, each as a few characters."""
    host = _text("/etc/machine-id") + platform.node()
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path, but `pid:[number]`
    except OSError:
        namespace = ""
    return _short(machine.boot(), 6), _short(namespace, 4), _short(host, 6)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _short(text: str, length: int) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:length]


def login() -> str:
    """The login name of who runs this process, for the record; its user's number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}"
