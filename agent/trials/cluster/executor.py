"""An Executor and a Visitor that hand their work to the nodes of a Ray cluster. Needs the extra `ray`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from agent.base.tools import Clock, Tools
from agent.base.types import Files, Trial
from agent.trials.cluster.desk import Desk
from agent.trials.cluster.node import HandedIn
from agent.trials.cluster.nodes import Nodes, Say, connect, disconnect
from agent.trials.cluster.parcels import Parcels, pack_images
from agent.trials.cluster.seats import Need
from agent.trials.evaluator import new_name
from agent.trials.executor import Job, Orders, Sessions, Visited, Visitor
from agent.trials.heartbeat import unstopped
from agent.trials.slots import Slots

FACTS = ("tree", "purpose", "seed", "answer_scope", "caps")
"""What a node is told of a job besides its name, task and scaffold."""

PLACE: ContextVar[str | None] = ContextVar("PLACE", default=None)
"""The node of the proposal whose box asks for what is being done."""


@dataclass(frozen=True, slots=True)
class PlacedTools:
    """The tools of a proposal: a trial that its box asks for takes the seat that is kept for it on the same node.

    If such trials had to find a seat, proposals could hold all of them while each waits for one more.
    """

    tools: Tools
    node: str

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:
        """As the tools; see there."""
        token = PLACE.set(self.node)
        try:
            return await self.tools.use(name, body, clock)
        finally:
            PLACE.reset(token)


class RayExecutor:
    """Trials on nodes; `slots` bounds how many run at a time, and the nodes' resources do.

    A seat is taken before a slot, always: a trial that waits for a slot holds a seat, never the other way round.
    """

    def __init__(self, nodes: Nodes, desk: Desk, scaffolds: Mapping[str, Files], parallel: int) -> None:
        self._nodes, self._desk, self._scaffolds, self._parcels = nodes, desk, scaffolds, Parcels()
        self.slots = Slots(parallel)

    @asynccontextmanager
    async def pair(self) -> AsyncIterator[str | None]:
        """Two seats on one node, whose name it gives. Raises InfrastructureError."""
        async with self._nodes.seats.take(2) as node:
            yield node

    async def trial(self, job: Job, begins: Callable[[], object] = lambda: None) -> Trial:
        """Run one trial on the node of its pair, or on any; `begins` is called when its turn has come.

        A watcher hears what the agent printed when the trial has ended.

        Raises:
            InfrastructureError: the trial is void; NodeLost if its node is gone.
        """
        watcher = job.watcher
        async with self._seat(job.place or PLACE.get()) as node, self.slots, unstopped():
            begins()
            if watcher is not None:
                watcher.started()
            facts = {"name": job.name or new_name(), **{name: getattr(job, name) for name in FACTS}}
            task, scaffold = self._parcels.of(job.task), self._parcels.of(dict(self._scaffolds[job.tree]))
            done: tuple[Trial, HandedIn | None]
            done = await self._nodes.ask(node, "trial", facts, task, scaffold, watched=watcher is not None)
            trial, handed_in = done
            if watcher is not None and handed_in is not None:
                watcher.printed(trial.transcript.encode())
                watcher.graded(*handed_in)
        return trial

    def _seat(self, place: str | None) -> AbstractAsyncContextManager[str]:
        return self._nodes.seats.take() if place is None else nullcontext(place)

    async def visit(self, *, scaffold: Files, **arguments: Any) -> Visited:
        """A Visitor: one visit, on any node. Raises InfrastructureError."""
        scope = arguments["scope"]
        arguments["scope"] = replace(scope, models=dict(scope.models), tools=None)
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in arguments.items()}
        async with self._nodes.seats.take(1 if scope.tools is None else 2) as node:
            with self._answering(scope.trial, scope.tools, node):
                visited: Visited = await self._nodes.ask(node, "visit", self._parcels.of(dict(scaffold)), plain)
        return visited

    @contextmanager
    def _answering(self, trial: str, tools: Tools | None, node: str) -> Iterator[None]:
        if tools is not None:
            self._desk.tools[trial] = PlacedTools(tools, node)
        try:
            yield
        finally:
            self._desk.tools.pop(trial, None)


@asynccontextmanager
async def cluster(
    orders: Orders,
    *,
    address: str,
    need: Need,
    gateway: Sessions,
    scaffolds: Mapping[str, Files],
    parallel: int,
    say: Say,
) -> AsyncIterator[tuple[RayExecutor, Visitor]]:
    """The cluster at an address, ready: at least one node can run boxes.

    Raises:
        UserError: there is no such cluster, or none of its nodes can run a box.
        SandboxDown: the images cannot be read from this machine's engine.
    """
    say(f"executor: joining the Ray cluster at {address}")
    host = await asyncio.to_thread(connect, address)
    try:
        images = await asyncio.to_thread(pack_images, (orders.spec.image, *orders.images.values()))
        async with (
            Desk(gateway, host) as desk,
            Nodes(orders, desk.address, images, need, wanted=parallel, say=say) as nodes,
        ):
            executor = RayExecutor(nodes, desk, scaffolds, parallel)
            yield executor, executor.visit
    finally:
        await asyncio.to_thread(disconnect)
