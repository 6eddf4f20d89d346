"""Which process a thing belongs to, so that what a dead one left can be told from what a living one uses."""

from __future__ import annotations

import os
from pathlib import Path

_STARTED = 19  # field of /proc/<pid>/stat after the name that holds the start time in ticks


def owner_label(pid: int) -> str:
    """A process as pid and start time, so that a pid that is used again is not taken for its owner."""
    return f"{pid}.{_started(pid) or 0}"


def owner_lives(label: str) -> bool:
    """Whether the process that `owner_label` named still runs."""
    pid, _, started = label.partition(".")
    if not pid.isdecimal() or not started.isdecimal():
        return False
    return str(_started(int(pid))) == started


def _started(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[_STARTED])


def folder_prefix() -> str:
    """How names of this process's folders among the temporary files begin; see `sandbox.reap`."""
    return f"ratchet-{owner_label(os.getpid())}-"
