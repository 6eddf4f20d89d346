"""A client in a real box: its image, and one visit that ends at the gateway or at a scripted provider."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from uvicorn import Config, Server

from agent.base.gateway import Gateway
from agent.base.types import BoxSpec, CallScope, Caps, Files
from agent.base.usage import Usage
from agent.config.layers import Layers
from agent.trials.evaluator import MODEL_ALIAS, Visit
from agent.trials.executor import Visited
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image
from tests.clients.recipes import Recipe
from tests.clients.server import Scripted

SECONDS = 300.0
TASK = "Write a file solution.py that holds the line `x = 1`."


@dataclass
class Tap:
    """A session of the scripted provider, in the place of the gateway's."""

    server: Server
    task: asyncio.Task[None]
    usage: Usage = field(default_factory=Usage)
    fault: None = None
    out_of_budget: bool = False

    def waited(self) -> float:
        return 0.0

    async def close(self) -> None:
        self.server.should_exit = True
        await self.task


class TapGateway:
    """Puts the scripted provider at a box's socket, so that it sees what the client sends before the gateway does."""

    def __init__(self, scripted: Scripted) -> None:
        self._scripted = scripted

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sessions are closed by those who opened them."""

    async def open(self, socket: Path, scope: CallScope) -> Tap:  # noqa: ARG002 - any client may come
        server = Server(Config(self._scripted.app(), uds=str(socket), log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        await asyncio.to_thread(socket.chmod, 0o666)
        return Tap(server, task)

    def trouble(self, *_: str) -> None:
        return None

    async def ready(self) -> None:
        """Always."""


def image(recipe: Recipe) -> str:
    """The image of a recipe, built once for its content."""
    return ensure_image(layers=Layers(lines=recipe.layers))


async def visit(
    sandbox: DockerSandbox,
    gateway: Gateway,
    recipe: Recipe,
    *,
    workspace: Files | None = None,
    task: str = TASK,
    context: Files | None = None,
    trial: str = "t",
    command: tuple[str, ...] | None = None,
    seconds: float = SECONDS,
    caps: Caps = Caps(),  # noqa: B008 - frozen
    answers: str | None = None,
) -> Visited:
    """Run a recipe's scaffold on a task; the workspace's files are taken out. `answers`: what shares model answers."""
    tag = await asyncio.to_thread(image, recipe)
    memory = int((recipe.data.get("boxes") or {}).get("memory_mb", 512))
    spec = BoxSpec(image=tag, gateway=True, memory_mb=memory)
    run = Visit(sandbox, gateway, spec, command or recipe.command)
    return await run(
        scope=CallScope(trial=trial, models={MODEL_ALIAS: "solver"}, caps=caps, answer_scope=answers),
        scaffold=recipe.files,
        task={"instruction.md": task.encode(), **{f"context/{path}": text for path, text in (context or {}).items()}},
        workspace=workspace or {},
        take=["**"],
        timeout=seconds,
        seed=1,
        env={},
    )
