"""One flush to the disk for all who wait for one: group commit, away from the event loop.

DeWitt et al., "Implementation Techniques for Main Memory Database Systems" (1984).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from agent.base.errors import RecordBroken


def to_disk(path: Path) -> None:
    """Flush what any process has written to a file. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Flush:
    """Flushes a file that others write. What was written before `done` is called is on the disk when it returns."""

    def __init__(self, path: Path, flush: Callable[[Path], None] = to_disk) -> None:
        self._path, self._flush = path, flush
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def done(self) -> None:
        """Wait for a flush that begins after this moment. Raises RecordBroken."""
        if self._next is None or self._next.done():  # done: its event loop ended before it began
            self._next = asyncio.create_task(self._after(self._running))
        await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None and not running.done():
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        try:
            await asyncio.to_thread(self._flush, self._path)
        except OSError as fault:
            raise RecordBroken(f"{self._path}: {fault.strerror}") from fault
