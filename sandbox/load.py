"""How much of the processor time that boxes ask for other programs on this machine withhold.

A trial on a starved machine measures the machine: programs with a clock inside score lower. So every window of a
second in which the processors are busy gets a figure from 0 to 1, the same for all boxes:

    withheld = (1 - share) * blame

* share: what a box gets of the time that it asks for. A box of our own, in which no candidate runs, computes for
  40 ms of processor time; if that takes 100 ms, the share is .4.
* blame: which part of the machine's busy time was used by programs that no box can set to work (see
  `sandbox.others`), or taken by the hypervisor (steal).

The sum over a run, in seconds, is `RunResult.pressure`; `agent.trials.grading` holds it against a bound.

Why no box can bring this about: `withheld` is never more than `blame`, and boxes, whatever they compute, fork, print
or send, use time that is not blamed. A box that is busy lowers the blame. What a box needs or gets is not part of the
figure, so a candidate cannot make its own trial look starved where others' do not. It can stay longer and meet load
that comes later; the mean over the whole run is what counts.

Not covered: what `sandbox.others` leaves out, memory and disk pressure, and the limits of a container around all of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import RatchetError
from agent.base.machine import cores
from agent.base.types import Box, Ending
from sandbox.others import Others

PERIOD = 1.0
KEPT = 20_000
"""Windows that are kept: more than five hours of constant load. Windows without load take no room."""

LATE = 5.0
"""Seconds for which the last figure may stand for what is not measured yet."""

IDLE_ENOUGH = 0.15
"""With this part of the processors idle, no program waits for long."""

LITTLE = 0.2
"""Below this part of the busy time others starve no box, so the probe, which takes time itself, is spared."""

BURST = 0.04
PROBE = f"""
import time
wall, used = time.monotonic(), time.process_time()
while time.process_time() - used < {BURST}: pass
print({BURST} / (time.monotonic() - wall))
"""
PROBE_SECONDS = 30.0
HEAVY = 0.5
"""Part of a minute with programs waiting from which the load is called heavy."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Seconds of processor time since the machine's start: spent by programs, stolen by the hypervisor, idle."""

    busy: float
    stolen: float
    idle: float

    def __sub__(self, other: Ticks) -> Ticks:
        return Ticks(self.busy - other.busy, self.stolen - other.stolen, self.idle - other.idle)

    @property
    def contended(self) -> bool:
        """Whether programs had to wait for a processor, seen over all of them."""
        return self.idle < IDLE_ENOUGH * (self.busy + self.stolen + self.idle)


@dataclass(slots=True)
class _Window:
    start: float
    end: float
    withheld: float | None


def ticks(stat: str | None = None) -> Ticks:
    """The first line of /proc/stat; time in interrupts is left out, since it belongs to no program."""
    line = (stat or Path("/proc/stat").read_text(encoding="ascii")).split("\n", 1)[0].split()[1:]
    user, nice, system, idle, waiting, _, _, stolen = (int(field) / os.sysconf("SC_CLK_TCK") for field in line[:8])
    return Ticks(busy=user + nice + system, stolen=stolen, idle=idle + waiting)


class Monitor:
    """Watches the machine while a sandbox is open.

    Args:
        probe: makes the box that computes; asked for once others keep the machine busy, and kept.
        others: adds up the processor time of other programs.
    """

    def __init__(self, probe: Callable[[], Awaitable[Box]], others: Others) -> None:
        self._make, self._others = probe, others
        self._windows: deque[_Window] = deque(maxlen=KEPT)
        self._making: asyncio.Task[Box] | None = None
        self._blamed: float | None = None
        self._seen = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch; needs a running loop."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Watch no longer, and close the probe."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._drop_probe()

    def withheld(self, start: float, end: float) -> float:
        """Seconds between two times of the monotonic clock that others withheld.

        A window without a figure (the probe was being made) counts as the next one that has one, or else as the one
        before. So does what has passed since the last look, if the processors were busy then.
        """
        windows = list(self._windows)
        if windows and windows[-1].end == self._seen:
            windows.append(_Window(self._seen, min(end, self._seen + LATE), None))
        total, known = 0.0, next((w.withheld for w in reversed(windows) if w.withheld is not None), 0.0)
        for window in reversed(windows):
            known = known if window.withheld is None else window.withheld
            total += known * max(0.0, min(window.end, end) - max(window.start, start))
        return total

    async def _watch(self) -> None:
        before, self._seen = ticks(), time.monotonic()
        while True:
            await asyncio.sleep(PERIOD)
            try:
                now, end = ticks(), time.monotonic()
                passed = now - before
                figure = await self._measure(passed) if passed.contended else None
            except OSError:  # no descriptor is free; the next look is about this time as well
                continue
            if passed.contended:
                self._windows.append(_Window(self._seen, end, figure))
            else:
                self._blamed = None
            before, self._seen = now, end

    async def _measure(self, passed: Ticks) -> float | None:
        """The figure of a busy window; None while that cannot be said."""
        before, self._blamed = self._blamed, await asyncio.to_thread(self._others.seconds)
        total = passed.busy + passed.stolen
        if before is None or total <= 0:
            return None
        blame = min(1.0, (max(0.0, self._blamed - before) + passed.stolen) / total)
        if blame < LITTLE:
            return 0.0
        share = await self._share()
        return None if share is None else (1 - share) * blame

    async def _share(self) -> float | None:
        if self._making is None:
            self._making = asyncio.ensure_future(self._make())
        if not self._making.done():
            return None
        try:
            run = await self._making.result().run(["python3", "-I", "-S", "-c", PROBE], env={}, timeout=PROBE_SECONDS)
        except RatchetError:
            run = None
        if run is None or run.ending is not Ending.EXITED or run.exit_code:
            await self._drop_probe()
            return None
        return min(1.0, float(run.output))

    async def _drop_probe(self) -> None:
        making, self._making = self._making, None
        if making is not None:
            with suppress(RatchetError, OSError):
                await (await making).close()


@dataclass(frozen=True, kw_only=True, slots=True)
class HostLoad:
    """How busy this machine is. `waiting` is the part of the last minute in which a program waited for a processor."""

    cores: int
    average: float
    waiting: float | None

    @property
    def heavy(self) -> bool:
        """Whether trials that start now may be starved."""
        return self.average > 2 * self.cores and (self.waiting is None or self.waiting > HEAVY)

    @property
    def line(self) -> str:
        """One line for people."""
        waited = "" if self.waiting is None else f", programs waited for one in {self.waiting:.0%} of the last minute"
        return f"load {self.average:.1f} on {self.cores} processors{waited}"


def host_load() -> HostLoad:
    """The load of this machine now; cheap, needs no engine."""
    return HostLoad(cores=cores(), average=os.getloadavg()[0], waiting=_pressure())


def _pressure() -> float | None:
    """The average over 60 s of pressure stall information; None where the kernel does not measure it."""
    with suppress(OSError, ValueError, IndexError):
        some = Path("/proc/pressure/cpu").read_text(encoding="ascii").split("\n", 1)[0]
        return float(some.partition("avg60=")[2].split()[0]) / 100
    return None
