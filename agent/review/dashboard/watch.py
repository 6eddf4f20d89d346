"""Polls the campaigns of a runs folder once for all readers.

Reading opens nothing for writing, and its transactions are single short queries: the campaign never waits for a reader.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeVar

from agent.base.errors import RecordBroken
from agent.base.types import Fate
from agent.kernel.loop.approval import Acceptance, Approvals
from agent.kernel.record.ledger import EventRow, Ledger
from agent.live.status import Doing, Now, Recorded, activity, recorded

RECORD: Final = "ledger.sqlite"
TICK_SECONDS: Final = 0.2
SHOWN_EVENTS: Final = 14
REPORT_SHARE: Final = 0.2
"""Share of the time that drawing the report may take: a record that takes 2 s to read is redrawn every 10 s."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")

Result = TypeVar("Result")
State = Doing | Literal["not begun", "gone", "broken"]


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A campaign at one moment. `why` explains the state; `version` changes with the record."""

    name: str
    doing: State
    why: str = ""
    pid: int | None = None
    now: Now | None = None
    version: tuple[int, ...] = ()
    champion: int = 0
    proposals: int = 0
    accepted: int = 0
    rejected: int = 0
    trials: int = 0
    subjects: Mapping[int, str] | None = None
    waiting: tuple[Acceptance, ...] = ()
    events: tuple[EventRow, ...] = ()

    def subject(self, candidate: int) -> str:
        """What a candidate's author calls it."""
        return (self.subjects or {}).get(candidate, "")


class Record:
    """One campaign's folder, read repeatedly; a ledger file that was replaced is reopened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ledger: Ledger | None = None
        self._file: tuple[int, int] | None = None
        self._opened = 0
        self._known: tuple[int, View, Recorded] | None = None
        self._in_use = threading.Lock()  # a reading whose reader has left may still be running

    def view(self) -> View:
        """The campaign at this moment; cheap while nothing has changed."""
        with self._in_use:
            return self._view()

    def close(self) -> None:
        """Close the file."""
        with self._in_use:
            self._close()

    def _view(self) -> View:
        name = self.folder.name
        try:
            if not self._open():
                gone = self._opened > 0
                why = "the campaign's record was removed" if gone else "`ratchet run` begins it"
                return View(name=name, doing="gone" if gone else "not begun", why=why)
            return self._with_activity(*self._facts())
        except RecordBroken as error:
            self._close()
            return View(name=name, doing="broken", why=str(error))

    def _close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = self._file = self._known = None

    def _open(self) -> bool:
        path = self.folder / RECORD
        try:
            found = path.stat()
        except OSError:
            self._close()
            return False
        if (found.st_dev, found.st_ino) != self._file:
            self._close()
            self._ledger = Ledger(path, read_only=True)
            self._file = (found.st_dev, found.st_ino)
            self._opened += 1
        return True

    def _facts(self) -> tuple[View, Recorded]:
        """What the ledger says, reread only after a write."""
        ledger = self._ledger
        if ledger is None:
            raise RecordBroken(f"{self.folder / RECORD} is not open")
        changes = ledger.changes()
        if self._known is not None and self._known[0] == changes:
            return self._known[1:]
        with ledger.snapshot():
            view, record = self._read(ledger), recorded(ledger)
        self._known = (changes, view, record)
        return view, record

    def _read(self, ledger: Ledger) -> View:
        stamp = _stamp(self.folder)
        candidates, champion = ledger.candidates(), ledger.champion()
        trials, events = ledger.count_trials(), tuple(ledger.events(last=SHOWN_EVENTS))
        fates = [candidate.fate for candidate in candidates[1:]]
        return View(
            name=self.folder.name,
            doing="stopped",
            version=(*stamp, trials, events[-1].id if events else 0),
            champion=champion,
            proposals=len(fates),
            accepted=fates.count(Fate.CHAMPION),
            rejected=fates.count(Fate.REJECTED) + fates.count(Fate.REFUSED),
            trials=trials,
            subjects={candidate.id: candidate.subject for candidate in candidates},
            waiting=tuple(Approvals(ledger).waiting(champion)),
            events=events,
        )

    def _with_activity(self, facts: View, record: Recorded) -> View:
        """The ledger's facts together with what the campaign is doing at this moment."""
        doing = activity(self.folder, record)
        return replace(facts, doing=doing.doing, why=doing.why, pid=doing.pid, now=doing.now)


def _stamp(folder: Path) -> tuple[int, ...]:
    """Identifies the state of the record's files: changes with every write, the same for every reader."""
    found = list[int]()
    for path in (folder / RECORD, folder / f"{RECORD}-wal"):
        with suppress(OSError):
            state = path.stat()
            found += [state.st_ino, state.st_size, state.st_mtime_ns]
    return tuple(found)


def names(runs: Path) -> list[str]:
    """The campaigns of a runs folder. Links are left out: they could lead anywhere."""
    try:
        found = [entry.name for entry in runs.iterdir() if not entry.is_symlink() and (entry / RECORD).is_file()]
    except OSError:
        return []
    return sorted(name for name in found if _NAME.fullmatch(name))


Draw = Callable[[Ledger], Mapping[str, str]]
"""Draws the report's sections from a record: element id -> HTML."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The report's sections as they were at one version of the record, by element id."""

    version: tuple[int, ...]
    sections: Mapping[str, str]


class Watch:
    """Polls one campaign while somebody reads it, and wakes the readers when anything changes."""

    def __init__(self, folder: Path, draw: Draw) -> None:
        self.folder = folder
        self._record, self._draw = Record(folder), draw
        self.view = View(name=folder.name, doing="not begun")
        self.drawn: Drawn | None = None
        self.opened = False
        self.turn = 0
        self._changed = asyncio.Condition()
        self._readers, self._tasks = 0, list[asyncio.Task[None]]()
        self._looking = asyncio.Lock()
        self._drawing: asyncio.Task[float] | None = None

    async def refresh(self) -> View:
        """Read now."""
        async with self._looking:
            view = await asyncio.to_thread(self._record.view)
        if view != self.view:
            self.view = view
            await self._tell()
        return view

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Keep looking while at least one reader is here."""
        self._readers += 1
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._poll()), asyncio.create_task(self._drawings())]
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                await self.close()

    async def change(self, seen: int, timeout: float) -> int:
        """Wait until `turn` has passed `seen`, `timeout` seconds at most; returns it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self.turn > seen)
        for task in self._tasks:
            if task.done():
                task.result()  # a defect ends the reader's stream instead of freezing it
        return self.turn

    async def close(self) -> None:
        """Stop polling, close the file, and wake the readers that wait for a change."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._looking:
            self._record.close()
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self.turn += 1
            self._changed.notify_all()

    async def _poll(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(TICK_SECONDS)

    async def _drawings(self) -> None:
        """Redraw the report when the record has changed, within its share of the time."""
        while True:
            seconds = await self.redraw()
            await asyncio.sleep(max(TICK_SECONDS, seconds / REPORT_SHARE))

    async def redraw(self) -> float:
        """Draw the report if it is out of date; returns the seconds that it took.

        One drawing at a time; it continues when the reader that asked for it has left.
        """
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._redraw())
        return await asyncio.shield(self._drawing)

    async def _redraw(self) -> float:
        version = self.view.version
        if not version or (self.drawn is not None and self.drawn.version == version):
            return 0.0
        started = time.monotonic()
        with suppress(RecordBroken):  # the next reading says what is wrong
            self.drawn = Drawn(version, await apart(self._draw_now))
            await self._tell()
        return time.monotonic() - started

    def _draw_now(self) -> Mapping[str, str]:
        with Ledger(self.folder / RECORD, read_only=True) as ledger:
            return self._draw(ledger)


async def apart(work: Callable[[], Result]) -> Result:
    """Run slow work in a daemon thread: Ctrl-C does not wait for it."""
    future = Future[Result]()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - passed on to the caller
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
