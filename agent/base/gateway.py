"""The seam between boxes and models: what a box's visit needs of the gateway."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from agent.base.types import CallScope
from agent.base.usage import Usage


class Session(Protocol):
    """The gateway as one box sees it: open while the box lives."""

    @property
    def usage(self) -> Usage:
        """What went through this session so far."""

    @property
    def fault(self) -> Exception | None:
        """The InfrastructureError that a call of this session met, or None. A trial with a fault is void."""

    @property
    def out_of_budget(self) -> bool:
        """Whether the campaign's own limits refused a call. Such a trial is void, and the campaign ends."""

    def waited(self) -> float:
        """Seconds for which others delayed this box in the gateway's queues; they do not count against its time."""

    async def close(self) -> None:
        """Refuse new calls, stop waiting for those in flight, remove the socket."""


class Gateway(Protocol):
    """The host-side server through which every model call of every box goes; sole holder of API keys."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def open(self, socket: Path, scope: CallScope) -> Session:
        """Listen at `socket` for one box."""

    def trouble(self, *roles: str) -> str | None:
        """The providers that are down and why, of these roles or of all; None if they are up."""

    async def ready(self) -> None:
        """Wait until no provider is down. Raises InfrastructureError at once if waiting cannot help (a refused key)."""
