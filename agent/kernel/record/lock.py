"""One campaign, one process: a lock file that also names who holds it."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from agent.base.errors import UserError

LOCK, HOLDER = "lock", "pid"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a campaign's folder.

    Raises:
        UserError: the folder cannot be written, or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Processes that only ask who holds the lock share it for a moment.
        lock = FileLock(folder / LOCK, timeout=1.0)
        lock.acquire()
    except Timeout as error:
        fix = "Wait for it, or `ratchet stop`."
        raise UserError("name", f"{named(holder(folder))} is running this campaign", fix) from error
    except OSError as error:
        problem = f"{folder} cannot be written ({error.strerror})"
        raise UserError("runs", problem, "Name a folder that you may write.") from error
    try:
        (folder / HOLDER).unlink(missing_ok=True)  # of a process that was killed: nobody should signal that number now
        (folder / HOLDER).write_text(str(os.getpid()), encoding="ascii")
        try:
            yield
        except UserError:  # refused in order: only a process that was killed leaves its id behind
            (folder / HOLDER).unlink(missing_ok=True)
            raise
        (folder / HOLDER).unlink(missing_ok=True)
    finally:
        lock.release()


def holder(folder: Path) -> int | None:
    """The process that runs the campaign, or None; 0 if there is one that has not written its id yet.

    A stale pid file does not count: the lock decides. Who asks makes nothing, not even a folder that was just removed.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        # Shared: two processes that ask at a time must not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(folder) or 0
    else:
        return None
    finally:
        os.close(descriptor)


def named(pid: int | None) -> str:
    """A holder in words."""
    return f"process {pid}" if pid else "another process"


def signal_holder(folder: Path) -> int:
    """Ask the process that runs the campaign to finish what is in flight and end; returns its id.

    Raises:
        UserError: no process runs it, or it may not be signalled.
    """
    pid = holder(folder)
    if pid is None:
        raise UserError("name", _nobody(folder), "`ratchet status` shows how it stands, `ratchet run` resumes it.")
    if pid == 0:
        problem = f"the campaign in {folder} is just starting"
        raise UserError("name", problem, "Try again in a moment.")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError as error:
        raise UserError("name", f"process {pid} has just ended", "There is nothing left to stop.") from error
    except PermissionError as error:
        problem = f"process {pid} belongs to another user"
        raise UserError("name", problem, "Run `ratchet stop` as the user who started it.") from error
    return pid


def _nobody(folder: Path) -> str:
    gone = _written(folder)
    killed = f" (process {gone} was, and did not end in order: killed, or the machine went down)" if gone else ""
    return f"no process is running the campaign in {folder}{killed}"


def _written(folder: Path) -> int | None:
    """The process that the pid file names."""
    try:
        text = (folder / HOLDER).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None
