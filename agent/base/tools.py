"""What the box of a proposal may ask of the kernel besides models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Clock(Protocol):
    """A box's own time: it stands still while others delay the box."""

    def stand(self) -> None:
        """Something delays the box from now on."""

    def run(self) -> None:
        """It delays the box no more."""


class Tools(Protocol):
    """What a proposal's box may ask of the kernel besides models: `POST /ratchet/<name>` at the gateway's address."""

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:
        """The answer, to be sent as JSON.

        Raises:
            CandidateFault: the box asked in a wrong way, or for what it may not have.
            InfrastructureError: nothing came of it.
        """
