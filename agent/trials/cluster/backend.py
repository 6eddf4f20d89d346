"""The nodes of a Ray cluster as machines that hold boxes. Needs the extra `ray`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from agent.base.tools import Clock, Tools
from agent.base.types import BoxSpec, Files, Trial
from agent.config.campaign import ExecutorConfig
from agent.trials.cluster.desk import Desk
from agent.trials.cluster.node import HandedIn
from agent.trials.cluster.nodes import Nodes, Say, connect, disconnect
from agent.trials.cluster.parcels import Images, Parcels
from agent.trials.cluster.seats import Need
from agent.trials.executor import Job, Orders, Sessions, Visited, Visitor

FACTS = ("tree", "purpose", "seed", "answer_scope", "name", "caps")
"""What a node is told of a job besides its task."""

PLACE: ContextVar[str | None] = ContextVar("PLACE", default=None)
"""The node on which what is being done has room."""


@contextmanager
def placed(node: str) -> Iterator[None]:
    """What is done inside has room on a node."""
    token = PLACE.set(node)
    try:
        yield
    finally:
        PLACE.reset(token)


@dataclass(frozen=True, slots=True)
class PlacedTools:
    """The tools of a proposal: a trial that its box asks for takes the seat that is kept for it on the same node.

    If such trials had to find a seat, proposals could hold all of them while each waits for one more.
    """

    tools: Tools
    node: str

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:
        """As the tools; see there."""
        with placed(self.node):
            return await self.tools.use(name, body, clock)


class Cluster:
    """The Backend of an executor, and a Visitor: work goes to a node with room for it."""

    def __init__(self, nodes: Nodes, desk: Desk, parcels: Parcels) -> None:
        self._nodes, self._desk, self._parcels = nodes, desk, parcels

    @asynccontextmanager
    async def room(self, boxes: int = 1) -> AsyncIterator[None]:
        """Seats of one node; inside of other room, that is used. Raises InfrastructureError."""
        if PLACE.get() is not None:
            yield
            return
        async with self._nodes.seats.take(boxes) as node:
            with placed(node):
                yield

    async def run(self, job: Job, scaffold: Files) -> Trial:
        """One trial, where there is room. A watcher hears what the agent printed when the trial has ended.

        Raises:
            InfrastructureError: the trial is void; NodeLost if its node is gone.
        """
        facts = {name: getattr(job, name) for name in FACTS}
        watcher, task = job.watcher, self._parcels.of(job.task)
        done: tuple[Trial, HandedIn | None]
        done = await self._ask("trial", scaffold, facts, task, watched=watcher is not None)
        trial, handed_in = done
        if watcher is not None and handed_in is not None:
            watcher.printed(trial.transcript.encode())
            watcher.graded(*handed_in)
        return trial

    async def build(self, scaffold: Files) -> Files:
        """See `Backend`."""
        built: Files = await self._ask("build", scaffold)
        return built

    async def seen(self, scaffold: Files) -> Mapping[str, str]:
        """See `Backend`."""
        found: Mapping[str, str] = await self._ask("seen", scaffold)
        return found

    async def visit(self, *, scaffold: Files, **arguments: Any) -> Visited:
        """A Visitor: one visit, on any node; with room for one more box if it has tools. Raises InfrastructureError."""
        scope = arguments["scope"]
        arguments["scope"] = replace(scope, models=dict(scope.models), tools=None)
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in arguments.items()}
        async with self.room(1 if scope.tools is None else 2):
            with self._answering(scope.trial, scope.tools):
                visited: Visited = await self._ask("visit", scaffold, plain)
        return visited

    async def _ask(self, what: str, scaffold: Files, *more: Any, **options: Any) -> Any:
        return await self._nodes.ask(_here(), what, self._parcels.of(dict(scaffold)), *more, **options)

    @contextmanager
    def _answering(self, trial: str, tools: Tools | None) -> Iterator[None]:
        if tools is not None:
            self._desk.tools[trial] = PlacedTools(tools, _here())
        try:
            yield
        finally:
            self._desk.tools.pop(trial, None)


def _here() -> str:
    """The node on which there is room."""
    if (node := PLACE.get()) is None:
        raise RuntimeError("work for a cluster needs room first")
    return node


@asynccontextmanager
async def cluster(
    orders: Orders, kinds: Collection[BoxSpec], where: ExecutorConfig, gateway: Sessions, *, parallel: int, say: Say
) -> AsyncIterator[tuple[Cluster, Visitor]]:
    """A cluster that is ready: at least one node can run boxes. `kinds` are all that the campaign opens.

    Raises:
        UserError: there is no such cluster, or none of its nodes can run a box.
        SandboxDown: the images cannot be read from this machine's engine.
    """
    say(f"executor: joining the Ray cluster at {where.address}")
    host = await asyncio.to_thread(connect, where.address)
    try:
        known = await asyncio.to_thread(Images, {kind.image for kind in kinds})
        async with (
            Desk(gateway, host) as desk,
            Nodes(orders, desk.address, known, Need.of(kinds, where.resources), wanted=parallel, say=say) as nodes,
        ):
            found = Cluster(nodes, desk, Parcels())
            yield found, found.visit
    finally:
        await asyncio.to_thread(disconnect)
