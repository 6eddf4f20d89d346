"""What the engine says of a box's container, alive or ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from docker.errors import NotFound

from agent.base.errors import SandboxDown
from sandbox.engine import ENGINE_ERRORS, brief

SETTLE_SECONDS = 10.0
MARK_SECONDS = 2.0
SIGKILLED = 137

Call = Callable[..., Awaitable[Any]]


class ContainerState:
    """Asks the engine about one container; `name` is the box's."""

    def __init__(self, name: str, container: str, engine: Call) -> None:
        self._name, self._container, self._engine = name, container, engine

    async def settled(self) -> dict[str, Any]:
        """The container's state after its end; the engine may write the out-of-memory mark a little later."""
        start = time.monotonic()
        while True:
            state, waited = await self.state(), time.monotonic() - start
            if state["Running"] and waited > SETTLE_SECONDS:
                raise SandboxDown(f"the engine dropped its connection to box {self._name}")
            unclear = state["ExitCode"] == SIGKILLED and not state["OOMKilled"] and waited < MARK_SECONDS
            if not state["Running"] and not unclear:
                return state
            await asyncio.sleep(0.05)

    async def state(self) -> dict[str, Any]:
        """What it is now. Raises SandboxDown if the engine or the container is gone."""
        try:
            found: dict[str, Any] = (await self._engine("inspect_container", self._container))["State"]
        except NotFound as error:
            raise SandboxDown(f"box {self._name} was removed from outside") from error
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"the engine does not answer: {brief(error)}") from error
        return found
