"""What a sandbox asks of whatever starts its containers: an engine behind an API, or a runtime on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.base.errors import RatchetError, SandboxDown
from agent.base.types import BoxSpec
from sandbox.areas import Areas
from sandbox.wire import Wire

SETTLE_SECONDS = 10.0
MARK_SECONDS = 2.0
SIGKILLED = 137

Thread = Callable[..., Awaitable[Any]]
"""Runs blocking work, with its arguments, in a thread."""


class Unshared(Exception):
    """The engine does not share our folders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What container to start. `folder` is what it sees of this machine, None gives it a volume of the engine.

    `campaign` is a label for people. With `probe` the runner says whether a socket in the folder can be reached.
    """

    name: str
    spec: BoxSpec
    folder: Path | None
    campaign: str
    probe: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A container whose runner was started, and the pipe to it. `user` is the id that was chosen."""

    id: str
    wire: Wire
    user: int


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A container, alive or ended. `code` of one that ended: the exit code of PID 1, 128 and the signal that ended it.

    `out_of_memory`: the kernel has ended a process of it for want of memory.
    """

    running: bool
    code: int
    out_of_memory: bool


class Engine(Protocol):
    """Starts and removes containers. Every method raises SandboxDown where the engine fails."""

    users: range
    """The user ids that it gives to boxes; known after `open`."""

    marks_memory: bool
    """Whether `state` tells a box that was out of memory from one that was killed; known after `open`."""

    @property
    def shares(self) -> bool | None:
        """Whether it shares our folders; None if its first box has to find out."""
        ...

    async def open(self) -> None:
        """Get ready. Raises UserError if the configuration asks for what it cannot do."""
        ...

    async def close(self) -> None:
        """Remove the containers that could not be removed when their boxes closed."""
        ...

    async def reap(self) -> int:
        """Remove the containers of dead owners; how many."""
        ...

    async def start(self, order: Order) -> Started:
        """Start a container.

        Raises:
            UserError: the configuration asks for what the engine cannot do.
            Unshared: with a probe, if the engine does not see the folder.
        """
        ...

    def areas(self, container: str, folder: Path | None) -> Areas:
        """The read-only areas of a container that was started with a folder."""
        ...

    async def state(self, container: str) -> State:
        """What it is now. Raises SandboxDown also if it was removed."""
        ...

    async def remove(self, container: str, user: int) -> None:
        """Kill and remove; its user id is free for another."""
        ...

    async def never_ready(self, order: Order, started: Started, error: Exception) -> RatchetError:
        """Why a box that was started did not say that it is ready."""
        ...


async def settled(look: Callable[[], Awaitable[State]], box: str) -> State:
    """The state of a container after its end; the engine may write the out-of-memory mark a little later.

    Args:
        look: asks the engine.
        box: the box's name, for the error.

    Raises:
        SandboxDown: it has not ended, or the engine does not say.
    """
    start = time.monotonic()
    while True:
        state, waited = await look(), time.monotonic() - start
        if state.running and waited > SETTLE_SECONDS:
            raise SandboxDown(f"the engine dropped its connection to box {box}")
        unclear = state.code == SIGKILLED and not state.out_of_memory and waited < MARK_SECONDS
        if not state.running and not unclear:
            return state
        await asyncio.sleep(0.05)
