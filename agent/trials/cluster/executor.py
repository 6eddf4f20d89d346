"""An Executor and a Visitor that hand their work to the nodes of a Ray cluster. Needs the extra `ray`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

from agent.base.types import Files, Trial
from agent.trials.cluster.desk import Desk
from agent.trials.cluster.nodes import Nodes, Say, connect, disconnect
from agent.trials.cluster.parcels import Parcels, pack_images
from agent.trials.cluster.seats import Need
from agent.trials.evaluator import new_name
from agent.trials.executor import Job, Orders, Sessions, Visited, Visitor
from agent.trials.heartbeat import unstopped
from agent.trials.slots import Slots


class RayExecutor:
    """Trials on nodes; `slots` bounds how many run at a time, and the nodes' resources do.

    A seat is taken before a slot, always: a trial that waits for a slot holds a seat, never the other way round.
    """

    def __init__(self, nodes: Nodes, scaffolds: Mapping[str, Files], parallel: int) -> None:
        self._nodes, self._scaffolds, self._parcels = nodes, scaffolds, Parcels()
        self.slots = Slots(parallel)

    @asynccontextmanager
    async def pair(self) -> AsyncIterator[str | None]:
        """Two seats on one node, whose name it gives. Raises InfrastructureError."""
        async with self._nodes.seats.take(2) as node:
            yield node

    async def trial(self, job: Job) -> Trial:
        """Run one trial on the node of its pair, or on any.

        Raises:
            InfrastructureError: the trial is void; NodeLost if its node is gone.
        """
        async with self._seat(job.place) as node, self.slots, unstopped():
            facts = {name: getattr(job, name) for name in ("tree", "purpose", "seed", "answer_scope")}
            task, scaffold = self._parcels.of(job.task), self._parcels.of(dict(self._scaffolds[job.tree]))
            facts["name"] = job.name or new_name()
            trial: Trial = await self._nodes.ask(node, "trial", facts, task, scaffold)
        return trial

    def _seat(self, place: str | None) -> AbstractAsyncContextManager[str]:
        return self._nodes.seats.take() if place is None else nullcontext(place)

    async def visit(self, *, scaffold: Files, **arguments: Any) -> Visited:
        """A Visitor: one visit, on any node. Raises InfrastructureError."""
        arguments["scope"] = replace(arguments["scope"], models=dict(arguments["scope"].models))
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in arguments.items()}
        async with self._nodes.seats.take() as node:
            visited: Visited = await self._nodes.ask(node, "visit", self._parcels.of(dict(scaffold)), plain)
        return visited


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
            executor = RayExecutor(nodes, scaffolds, parallel)
            yield executor, executor.visit
    finally:
        await asyncio.to_thread(disconnect)
