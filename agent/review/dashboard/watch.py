"""Looks at the campaigns of a runs folder again and again, so that many readers cost one look.

A look opens nothing for writing, and its transactions are single short queries: the campaign never waits for a reader.
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
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.lock import holder
from agent.live.status import Now, read_now

RECORD: Final = "ledger.sqlite"
TICK_SECONDS: Final = 0.2
SHOWN_EVENTS: Final = 14
REPORT_SHARE: Final = 0.2
"""Of the time may go into drawing the report anew; a record that takes 2 s to read is redrawn every 10 s."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")

Result = TypeVar("Result")
Doing = Literal["running", "paused", "stopping", "stopped", "not begun", "gone", "broken"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One line of the ledger's events; `at` in Unix seconds."""

    id: int
    at: float
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A campaign at one moment. `why` explains the state; `version` changes with the record."""

    name: str
    doing: Doing
    why: str = ""
    pid: int | None = None
    now: Now | None = None
    version: tuple[int, ...] = ()
    champion: int = 0
    proposals: int = 0
    accepted: int = 0
    turned_down: int = 0
    trials: int = 0
    subjects: Mapping[int, str] | None = None
    waiting: tuple[Acceptance, ...] = ()
    events: tuple[Event, ...] = ()

    def subject(self, candidate: int) -> str:
        """What a candidate's author calls it."""
        return (self.subjects or {}).get(candidate, "")


class Record:
    """One campaign's folder, read again and again; a ledger that was replaced is opened anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ledger: Ledger | None = None
        self._file: tuple[int, int] | None = None
        self._opened = 0
        self._known: tuple[int, Look] | None = None
        self._in_use = threading.Lock()  # a look whose reader has left may still be at it

    def look(self) -> Look:
        """How the campaign stands; cheap while nothing has changed."""
        with self._in_use:
            return self._look()

    def close(self) -> None:
        """Let go of the file."""
        with self._in_use:
            self._close()

    def _look(self) -> Look:
        name = self.folder.name
        try:
            if not self._open():
                gone = self._opened > 0
                why = "the campaign's record was removed" if gone else "`ratchet run` begins it"
                return Look(name=name, doing="gone" if gone else "not begun", why=why)
            return self._standing(self._facts())
        except RecordBroken as error:
            self._close()
            return Look(name=name, doing="broken", why=str(error))

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

    def _facts(self) -> Look:
        """What the ledger says, read anew only when somebody has written."""
        ledger = self._ledger
        if ledger is None:
            raise RecordBroken(f"{self.folder / RECORD} is not open")
        changes = ledger.changes()
        if self._known is not None and self._known[0] == changes:
            return self._known[1]
        with ledger.snapshot():
            look = self._read(ledger)
        self._known = (changes, look)
        return look

    def _read(self, ledger: Ledger) -> Look:
        stamp = _stamp(self.folder)
        candidates, champion = ledger.candidates(), ledger.champion()
        trials, bound = ledger.count_trials(), ledger.latest("begin", "end")
        events = tuple(Event(id=i, at=at, kind=k, text=t) for i, at, k, t in ledger.events(last=SHOWN_EVENTS))
        fates = [candidate.fate for candidate in candidates[1:]]
        return Look(
            name=self.folder.name,
            doing="stopped",
            why=_ending(bound),
            version=(*stamp, trials, events[-1].id if events else 0),
            champion=champion,
            proposals=len(fates),
            accepted=fates.count(Fate.CHAMPION),
            turned_down=fates.count(Fate.REJECTED) + fates.count(Fate.REFUSED),
            trials=trials,
            subjects={candidate.id: candidate.subject for candidate in candidates},
            waiting=tuple(Approvals(ledger).waiting(champion)),
            events=events,
        )

    def _standing(self, facts: Look) -> Look:
        """The ledger's facts together with who runs the campaign at this moment."""
        pid, now = self._holder(), read_now(self.folder)
        doing, why = facts.doing, facts.why
        if pid is not None:
            fresh = now if now is not None and now.pid == pid else None
            doing, why = _doing(fresh, facts)
        if now is not None and (pid is None or now.pid != pid):
            now = now.model_copy(update={"running": (), "boxes": 0, "paused": None, "stopping": None})
        return replace(facts, doing=doing, why=why, pid=pid, now=now)

    def _holder(self) -> int | None:
        """Who runs it; a folder in which this user may not touch the lock tells nothing."""
        with suppress(OSError):
            return holder(self.folder)
        return None


def _stamp(folder: Path) -> tuple[int, ...]:
    """The record's files as they are; another tuple after every write, the same for every reader."""
    found = list[int]()
    for path in (folder / RECORD, folder / f"{RECORD}-wal"):
        with suppress(OSError):
            state = path.stat()
            found += [state.st_ino, state.st_size, state.st_mtime_ns]
    return tuple(found)


def _ending(bound: tuple[int, float, str, str] | None) -> str:
    """Why nobody runs a campaign, by the last time that one began or ended."""
    if bound is None:
        return ""
    _, _, kind, text = bound
    return text if kind == "end" else "it did not end in order: its process was killed, or the machine went down"


def _doing(now: Now | None, facts: Look) -> tuple[Doing, str]:
    """What a campaign that runs does: by its own word, or before the first one by the ledger's last event."""
    if now is None:
        last = facts.events[-1] if facts.events else None
        return ("paused", last.text) if last is not None and last.kind == "paused" else ("running", "")
    if now.stopping:
        return "stopping", now.stopping
    return ("paused", now.paused) if now.paused else ("running", "")


def names(runs: Path) -> list[str]:
    """The campaigns of a runs folder. A link is none: it could lead anywhere."""
    try:
        found = [entry.name for entry in runs.iterdir() if not entry.is_symlink() and (entry / RECORD).is_file()]
    except OSError:
        return []
    return sorted(name for name in found if _NAME.fullmatch(name))


Draw = Callable[[Ledger], dict[str, str]]
"""Draws the report's sections out of a record: element id -> HTML."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The report's sections as they were at one version of the record, by element id."""

    version: tuple[int, ...]
    sections: Mapping[str, str]


class Watch:
    """Looks at one campaign while somebody reads it, and wakes the readers when anything changed."""

    def __init__(self, folder: Path, draw: Draw) -> None:
        self.folder = folder
        self._record, self._draw = Record(folder), draw
        self.look = Look(name=folder.name, doing="not begun")
        self.drawn: Drawn | None = None
        self.opened = False
        self.turn = 0
        self._changed = asyncio.Condition()
        self._readers, self._tasks = 0, list[asyncio.Task[None]]()
        self._looking = asyncio.Lock()
        self._drawing: asyncio.Task[float] | None = None

    async def refresh(self) -> Look:
        """Look now."""
        async with self._looking:
            look = await asyncio.to_thread(self._record.look)
        if look != self.look:
            self.look = look
            await self._tell()
        return look

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Keep looking while at least one reader is here."""
        self._readers += 1
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._looks()), asyncio.create_task(self._drawings())]
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
                task.result()  # a defect: the reader's stream ends with it, instead of standing still
        return self.turn

    async def close(self) -> None:
        """Stop looking and let go of the file; whoever still waits for a change is woken."""
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

    async def _looks(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(TICK_SECONDS)

    async def _drawings(self) -> None:
        """Draw the report anew when the record has changed, without taking more than its share of the time."""
        while True:
            seconds = await self.redraw()
            await asyncio.sleep(max(TICK_SECONDS, seconds / REPORT_SHARE))

    async def redraw(self) -> float:
        """Draw the report if it is out of date; returns the seconds that it took.

        One drawing at a time, which goes on when whoever asked for it has left.
        """
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._redraw())
        return await asyncio.shield(self._drawing)

    async def _redraw(self) -> float:
        version = self.look.version
        if not version or (self.drawn is not None and self.drawn.version == version):
            return 0.0
        started = time.monotonic()
        with suppress(RecordBroken):  # the next look says what is the matter
            self.drawn = Drawn(version, await apart(self._draw_now))
            await self._tell()
        return time.monotonic() - started

    def _draw_now(self) -> dict[str, str]:
        with Ledger(self.folder / RECORD, read_only=True) as ledger:
            return self._draw(ledger)


async def apart(work: Callable[[], Result]) -> Result:
    """Do what takes long in a thread that keeps nobody from ending: Ctrl-C does not wait for it."""
    future = Future[Result]()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
