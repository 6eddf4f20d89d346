"""What differs between the systems on which Ratchet's own process runs: Linux and macOS; boxes are Linux everywhere."""

from __future__ import annotations

import calendar
import os
import subprocess
import time
from pathlib import Path

PROC = Path("/proc")
_STARTED = 19  # field of /proc/<pid>/stat after the name that holds the start time in ticks
_PS_SECONDS = 10


def cores() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def has_proc() -> bool:
    """Whether this system shows its processes as files."""
    return (PROC / "self" / "stat").exists()


def started(pid: int) -> int | None:
    """When a running process started, in a unit of the system's own; None if there is none that we may see."""
    return _started_by_proc(pid) if has_proc() else started_by_ps(pid)


def boot() -> str:
    """A text that is another one after the next boot; empty if the system does not tell."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _said("sysctl", "-n", "kern.bootsessionuuid")


def started_by_ps(pid: int) -> int | None:
    """The same for systems without /proc, in Unix seconds."""
    state, _, when = _said("ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)).strip().partition(" ")
    if not when or state.startswith("Z"):
        return None
    return calendar.timegm(time.strptime(" ".join(when.split()), "%a %b %d %H:%M:%S %Y"))


def _started_by_proc(pid: int) -> int | None:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[_STARTED])


def _said(*command: str) -> str:
    """What a program of the system prints; empty if it fails."""
    plain = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False, timeout=_PS_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
