"""Progress of work that takes a while: one live line on a terminal, plain lines elsewhere, never silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

PLAIN_SECONDS = 15.0
"""Off a terminal, a line comes at least so often."""


class Counter:
    """How much of some work is done. `note` says what else there is to know, in a few words."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done, self.note = what, total, 0, ""
        self._started, self._said = time.monotonic(), time.monotonic()

    def advance(self) -> None:
        """One more is done."""
        self.done += 1

    @property
    def line(self) -> str:
        """All of it in one line."""
        note = f", {self.note}" if self.note else ""
        return f"{self.what}: {self.done} of {self.total}, {time.monotonic() - self._started:.0f} s{note}"

    def due(self) -> bool:
        """Whether nothing was said for so long that a line is due; it counts as said then."""
        if time.monotonic() - self._said < PLAIN_SECONDS:
            return False
        self._said = time.monotonic()
        return True

    def said(self) -> None:
        """Something else was printed: the next line is not due yet."""
        self._said = time.monotonic()


@asynccontextmanager
async def progress(console: Console, what: str, total: int) -> AsyncIterator[Counter]:
    """Show a counter while the work inside runs."""
    counter = Counter(what, total)
    task = asyncio.create_task(_bar(counter, console) if console.is_terminal else _lines(counter, console))
    try:
        yield counter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _bar(counter: Counter, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=console, transient=True) as bar:
        line = bar.add_task(counter.what, total=counter.total, note="")
        while True:
            bar.update(line, completed=counter.done, note=counter.note)
            await asyncio.sleep(0.1)


async def _lines(counter: Counter, console: Console) -> None:
    console.print(Text(counter.line), soft_wrap=True)
    while True:
        await asyncio.sleep(0.5)
        if counter.due():
            console.print(Text(counter.line), soft_wrap=True)
