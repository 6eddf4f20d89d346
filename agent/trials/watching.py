"""Who looks on while a trial runs. Nothing that a watcher does reaches the box or the score."""

from __future__ import annotations

from typing import Protocol

from agent.base.types import Files, Grade


class Watcher(Protocol):
    """One trial as it happens."""

    def started(self) -> None:
        """The trial has its slot, and a box is made for it."""
        ...

    def printed(self, chunk: bytes) -> None:
        """The agent printed something. The end of a very long output comes only when the command has ended."""
        ...

    def voided(self, reason: str) -> None:
        """An infrastructure error ended the trial without a score; it is retried. `reason` says what failed."""
        ...

    def graded(self, submission: Files, grade: Grade) -> None:
        """What the agent handed in, and the verdict on it."""
        ...
