"""Pauses after infrastructure errors: how long to wait, and until what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agent.base.errors import InfrastructureError
from agent.kernel.loop.parts import Parts

FIRST_WAIT, LONGEST_WAIT = 2.0, 120.0
"""Seconds of back-off after an infrastructure error: the first, and the most."""

LOAD_WAIT = 5.0
"""The most after a starved trial: fewer run at a time already, and load often passes soon."""

QUIETER = "the machine is starved: stop other programs, use a quieter machine, or raise `boxes.starved`"
"""Why a campaign pauses after starved trials, whose own events have the figures."""

TICK = 1.0
"""Seconds between two looks at requests, providers and the watchdog while nothing ends by itself."""


class Pauses:
    """One campaign's pauses. `trouble` is why it pauses now, or None; `meanwhile` runs every `TICK`."""

    def __init__(self, parts: Parts, say: Callable[[str, str], None], meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.gateway, self._say, self._meanwhile = parts.gateway, say, meanwhile
        self._patience = parts.config.boxes.patience_minutes * 60
        self._woken = asyncio.Event()
        self._waited = 0.0
        self.trouble: str | None = None
        self.first_wait = self.wait = FIRST_WAIT

    def wake(self) -> None:
        """End the pause, and every later one, at once."""
        self._woken.set()

    def works_again(self) -> None:
        """A step has ended well: the next error counts as the first one."""
        if self.trouble is not None:
            self.trouble, self.wait, self._waited = None, self.first_wait, 0.0
            self._say("resumed", "the infrastructure works again")

    async def pause(self, reason: str, longest: float = LONGEST_WAIT) -> None:
        """Back off after an infrastructure error; after an outage of a provider, until it is back.

        `longest` is the most seconds to wait for anything but a provider.

        Raises:
            InfrastructureError: patience is at an end, or waiting cannot help; the campaign can be resumed.
        """
        if self._waited > self._patience:
            raise InfrastructureError(f"gave up after {self._waited / 60:.0f} minutes: {reason}")
        again, self.trouble = self.trouble == reason == QUIETER, reason
        down = self.gateway.trouble() is not None
        wait = max(self._patience - self._waited, FIRST_WAIT) if down else min(self.wait, longest)
        when = "resumes when the provider answers again" if down else f"next try in {wait:.0f} s"
        if not again:  # every starved trial has an event of its own
            self._say("paused", f"{reason} ({when})")
        started = time.monotonic()
        await self._rest(wait)
        self._waited += time.monotonic() - started
        self.wait = min(2 * self.wait, longest)

    async def _rest(self, seconds: float) -> None:
        """Wait, but no longer than until somebody stops the campaign or the providers that are down are back."""
        end = time.monotonic() + seconds
        wakers: set[asyncio.Task[Any]] = {asyncio.create_task(self._woken.wait())}
        if self.gateway.trouble() is not None:
            wakers.add(asyncio.create_task(self.gateway.ready()))
        try:
            awake: set[asyncio.Task[Any]] = set()
            while not awake and (left := end - time.monotonic()) > 0:
                await self._meanwhile()
                awake, _ = await asyncio.wait(wakers, timeout=min(TICK, left), return_when=asyncio.FIRST_COMPLETED)
            for task in awake:
                task.result()
        finally:
            await cancel([*wakers])


async def cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; the one that asks for it is left out."""
    others = [task for task in tasks if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
