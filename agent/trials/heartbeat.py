"""Notices that the campaign's process was stopped while a trial ran.

That is SIGSTOP, a freezer, or a suspended laptop. The clocks of its boxes may have run on and nobody answered their
calls, so what was in flight is void.

Covered: time in which the process did not run and did not want to. Not covered: time in which it was busy, such as
parsing what a box sent, or in which others' load kept it from running. A box could provoke that, and what a box can
provoke must never void its trial.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import FileIO

from agent.base.errors import InfrastructureError

BEAT_SECONDS = 0.5
LATE_SECONDS = 5.0
"""A beat that comes later than this means that the process was stopped."""

Clock = Callable[[], float]
_SCHEDSTAT = "/proc/thread-self/schedstat"


class Stopped(InfrastructureError):
    """The campaign's process was stopped while a trial ran."""


def boottime() -> float:
    """Seconds that also pass while the machine is suspended; on Linux the monotonic clock stands still then."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def worked() -> float:
    """Seconds in which this process, and its children that have ended, computed; or this thread waited for a CPU."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system + _THREAD.queued()


class _Thread(threading.local):
    """What the kernel tells of the thread that asks. The file stays open: to open it costs more than to read."""

    def __init__(self) -> None:
        try:
            self._file: FileIO | None = FileIO(_SCHEDSTAT)
        except OSError:
            self._file = None

    def queued(self) -> float:
        """Seconds in which this thread could run and other load kept it from a CPU; Linux alone tells."""
        try:
            return 0.0 if self._file is None else int(os.pread(self._file.fileno(), 64, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0


_THREAD = _Thread()


class Heartbeat:
    """Knows the longest time in which the process did nothing, since it was made. Clocks are in seconds."""

    def __init__(self, *, clock: Clock = boottime, busy: Clock = worked) -> None:
        self._clock, self._busy = clock, busy
        self._last = clock(), busy()
        self.idle = 0.0

    def beat(self) -> None:
        """Look at the clocks; to be called every `BEAT_SECONDS`, and once at the end."""
        now = self._clock(), self._busy()
        gap, spent = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        # A process that computed, or wanted to, for half of the time was not stopped.
        if spent < gap / 2:
            self.idle = max(self.idle, gap - BEAT_SECONDS)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.beat()


@asynccontextmanager
async def unstopped(*, late: float = LATE_SECONDS) -> AsyncIterator[None]:
    """Watch over a trial.

    Raises:
        Stopped: the process was stopped for more than `late` seconds at a time; the trial is void.
    """
    heart = Heartbeat()
    beating = asyncio.create_task(heart.run())
    try:
        yield
    finally:
        beating.cancel()
    heart.beat()
    if heart.idle > late:
        raise Stopped(f"this process was stopped for {heart.idle:.0f} s while a trial ran")
