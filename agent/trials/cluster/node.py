"""What runs on a node: one process a node, which solves and grades on the node's own engine."""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.errors import InfrastructureError, UserError
from agent.base.trust import trusted_hash
from agent.base.types import Files, Grade, Trial
from agent.trials.cluster import reaper
from agent.trials.cluster.desk import Address
from agent.trials.cluster.link import Link
from agent.trials.cluster.parcels import Image, Parcel, Shelf, unpack_images
from agent.trials.evaluator import Visit, evaluator_of
from agent.trials.executor import Job, Orders, Visited
from sandbox.docker_sandbox import DockerSandbox

READY_PER_CORE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What a node says of itself when it can work: its host, the hash of its trusted code, images that it loaded."""

    host: str
    kernel: str
    loaded: int


Answer = tuple[Any, Exception | tuple[str, str, str] | None]
"""What came of a piece of work: a value, or an infrastructure error, or the three parts of a user error."""


HandedIn = tuple[Files, Grade]


class Seen:
    """A watcher that keeps what a trial hands in and the verdict, for the one who looks on at the head."""

    def __init__(self) -> None:
        self.last: HandedIn | None = None

    def started(self) -> None:
        """The head knows."""

    def printed(self, chunk: bytes) -> None:
        """The transcript has it."""

    def graded(self, submission: Files, grade: Grade) -> None:
        """Keep both."""
        self.last = dict(submission), grade


class Node:
    """The process of one node, for one run of a campaign. `seats` is how many boxes it may have at a time."""

    def __init__(self, orders: Orders, address: Address, seats: int) -> None:
        self._shelf, self._link, self._trees = Shelf(), Link(address), dict[str, Files]()
        folder = Path(tempfile.gettempdir()) / f"ratchet-node-{os.geteuid()}" / orders.campaign
        self._reaper = reaper.start(folder / "boxes")
        ready = min(seats, READY_PER_CORE * (os.cpu_count() or 1))
        self._sandbox = DockerSandbox(orders.run, orders.campaign, folder, ready=ready, runtime=orders.runtime)
        self._visit = Visit(self._sandbox, self._link, orders.spec, orders.command)
        self._evaluator = evaluator_of(orders, self._sandbox, self._visit, self._trees, seats)

    async def open(self, images: tuple[Image, ...]) -> Answer:
        """Load the images that this node's engine lacks, and make it ready. The value is a Ready."""
        return await answered(self._open(images))

    async def _open(self, images: tuple[Image, ...]) -> Ready:
        loaded = await asyncio.to_thread(unpack_images, images)
        await self._sandbox.__aenter__()
        return Ready(host=platform.node(), kernel=trusted_hash(), loaded=loaded)

    async def look(self) -> Answer:
        """Whether this node's engine answers; removes what dead runs left there."""
        return await answered(self._sandbox.reap())

    async def trial(self, facts: dict[str, Any], task: Parcel, scaffold: Parcel, *, watched: bool) -> Answer:
        """One trial; `facts` are the job without its task. The value is a Trial, and a HandedIn if it is watched."""
        return await answered(self._trial(facts, task, scaffold, watched=watched))

    async def _trial(
        self, facts: dict[str, Any], task: Parcel, scaffold: Parcel, *, watched: bool
    ) -> tuple[Trial, HandedIn | None]:
        seen = Seen()
        job = Job(task=await self._shelf.get(task), watcher=seen if watched else None, **facts)
        self._trees[job.tree] = await self._shelf.get(scaffold)
        return await self._evaluator.trial(job), seen.last

    async def visit(self, scaffold: Parcel, arguments: dict[str, Any]) -> Answer:
        """One visit. The value is a Visited."""
        return await answered(self._visited(scaffold, arguments))

    async def _visited(self, scaffold: Parcel, arguments: dict[str, Any]) -> Visited:
        return await self._visit(scaffold=await self._shelf.get(scaffold), **arguments)

    async def close(self) -> None:
        """Leave nothing on this node."""
        await self._sandbox.__aexit__(None, None, None)
        await self._link.close()
        os.close(self._reaper)


async def answered(work: Awaitable[Any]) -> Answer:
    """The value of some work, or its error in a form that travels."""
    try:
        return await work, None
    except UserError as error:
        return None, (error.field, error.problem, error.fix)
    except InfrastructureError as error:
        return None, error
