"""The two kinds of boxes that a task can run in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol


class Profile(StrEnum):
    """What kind of box a task runs in: a writable workspace, or a whole machine that may be changed."""

    STRICT = "strict"
    MACHINE = "machine"


SNAPSHOT = "machine.tgz"
"""The one file of a submission that is a whole machine: what the solving box changed (see `sandbox.snapshot`)."""


class Machine(Protocol):
    """What else can be done with a box of profile `machine`."""

    async def hide(self, tests: Mapping[str, bytes], *, sealed: bool) -> None:
        """Put hidden tests into `/tests` of a machine, over what is there; nothing can change them if they are sealed.

        Raises CandidateFault.
        """

    async def freeze(self, *, most: int) -> bytes:
        """What differs in a machine from its image, in at most `most` bytes: see `sandbox.snapshot`.

        Raises CandidateFault.
        """

    async def thaw(self, snapshot: bytes) -> None:
        """Make the same changes in another machine of the same image. Raises CandidateFault."""
