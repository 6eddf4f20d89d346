"""One campaign, one process: a lock file that also names who holds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from agent.kernel.errors import UserError

LOCK, HOLDER = "lock", "pid"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a campaign's folder.

    Raises:
        UserError: the folder cannot be written, or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        who = holder(folder)
        mend = "Wait for it, or `ratchet stop`."
        raise UserError("name", f"process {who} is running this campaign", mend) from error
    except OSError as error:
        problem = f"{folder} cannot be written ({error.strerror})"
        raise UserError("runs", problem, "Name a folder that you may write.") from error
    try:
        (folder / HOLDER).write_text(str(os.getpid()), encoding="ascii")
        yield
        (folder / HOLDER).unlink(missing_ok=True)
    finally:
        lock.release()


def holder(folder: Path) -> int | None:
    """The process that runs the campaign, or None. A stale pid file is no holder: the lock decides."""
    try:
        lock = FileLock(folder / LOCK, timeout=0)
        with lock:
            return None
    except Timeout:
        text = (folder / HOLDER).read_text(encoding="ascii") if (folder / HOLDER).exists() else ""
        return int(text) if text.isdigit() else None


def signal_holder(folder: Path) -> int:
    """Ask the process that runs the campaign to finish what is in flight and end; returns its id.

    Raises:
        UserError: nobody runs it.
    """
    pid = holder(folder) if folder.is_dir() else None
    if pid is None:
        problem = f"no process is running the campaign in {folder}"
        raise UserError("name", problem, "`ratchet status` tells how it stands.")
    os.kill(pid, signal.SIGTERM)
    return pid
