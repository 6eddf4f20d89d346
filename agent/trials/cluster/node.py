"""What runs on a node: one process a node, which solves and grades on the node's own engine."""

from __future__ import annotations

import asyncio
import os
import platform
import stat
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agent.base.errors import RatchetError, UserError
from agent.base.trust import trusted_hash
from agent.base.types import Files, Grade, Trial
from agent.trials.cluster import reaper
from agent.trials.cluster.desk import Address
from agent.trials.cluster.link import Link
from agent.trials.cluster.parcels import Image, Parcel, Shelf, lacking, load
from agent.trials.evaluator import Visit, evaluator_of
from agent.trials.executor import Job, Orders
from agent.trials.heartbeat import unstopped
from sandbox.architecture import foreign_images
from sandbox.docker_sandbox import DockerSandbox

T = TypeVar("T")

READY_PER_CORE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What a node says of itself when it can work: its host, the hash of its trusted code, images that do not fit."""

    host: str
    kernel: str
    foreign: list[str]


Answer = tuple[Any, RatchetError | None]
"""What came of a piece of work: a value, or an error of ours."""

HandedIn = tuple[Files, Grade]


class Seen:
    """A watcher that keeps what a trial hands in and the verdict, for the one who looks on at the head."""

    def __init__(self) -> None:
        self.last: HandedIn | None = None

    def started(self) -> None:
        """The head knows."""

    def printed(self, chunk: bytes) -> None:
        """The transcript has it."""

    def voided(self, reason: str) -> None:
        """The head retries, and tells."""

    def graded(self, submission: Files, grade: Grade) -> None:
        """Keep both."""
        self.last = dict(submission), grade


def private(folder: Path) -> Path:
    """A folder with a name that others can guess, made if it is missing; it holds hidden tests and sockets.

    Raises:
        UserError: it is not this user's, or others could write in it.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"{folder} is not a folder that this user alone can change"
        raise UserError("TMPDIR", problem, "Remove it, or set TMPDIR to a folder of your own before `ray start`")
    folder.chmod(0o700)
    return folder


class Node:
    """The process of one node, for one run of a campaign. `seats` is how many boxes it may have at a time."""

    def __init__(self, orders: Orders, address: Address, seats: int) -> None:
        self._shelf, self._link = Shelf(), Link(address)
        folder = private(Path(tempfile.gettempdir()) / f"ratchet-node-{os.geteuid()}") / orders.campaign
        self._reaper = reaper.start(folder / "boxes")
        ready = min(seats, READY_PER_CORE * (os.cpu_count() or 1))
        self._sandbox = DockerSandbox(orders.run, orders.campaign, folder, ready=ready, runtime=orders.runtime)
        self._visit = Visit(self._sandbox, self._link, orders.spec, orders.command)
        self._evaluator = evaluator_of(orders, self._sandbox, self._visit)

    async def up(self) -> Answer:
        """That this process runs."""
        return None, None

    async def lacking(self, images: tuple[Image, ...]) -> Answer:
        """Which images this node's engine does not have."""
        return await answered(asyncio.to_thread(lacking, images))

    async def load(self, image: Image, parts: list[Any]) -> Answer:
        """Give an image to this node's engine."""
        return await answered(asyncio.to_thread(load, image, parts))

    async def open(self, images: tuple[Image, ...]) -> Answer:
        """Get ready, once all images are there. The value is a Ready."""
        return await answered(self._open({image.tag for image in images}))

    async def _open(self, images: set[str]) -> Ready:
        await self._sandbox.__aenter__()
        foreign = await asyncio.to_thread(foreign_images, images)
        return Ready(host=platform.node(), kernel=trusted_hash(), foreign=foreign)

    async def look(self) -> Answer:
        """Whether this node's engine answers; removes what dead runs left there."""
        return await answered(self._sandbox.reap())

    async def trial(self, scaffold: Parcel, facts: dict[str, Any], task: Parcel, *, watched: bool) -> Answer:
        """One trial; `facts` are the job without its task. The value is a Trial, and a HandedIn if it is watched."""
        return await answered(self._trial(scaffold, facts, task, watched=watched))

    async def _trial(
        self, scaffold: Parcel, facts: dict[str, Any], task: Parcel, *, watched: bool
    ) -> tuple[Trial, HandedIn | None]:
        seen = Seen()
        job = Job(task=await self._shelf.get(task), watcher=seen if watched else None, **facts)
        return await self._evaluator.run(job, await self._shelf.get(scaffold)), seen.last

    async def build(self, scaffold: Parcel) -> Answer:
        """What `scaffold.prepare` makes of a scaffold. The value is Files."""
        return await answered(self._with(scaffold, self._evaluator.build))

    async def seen(self, scaffold: Parcel) -> Answer:
        """What a box sees of a scaffold. The value is a digest by path."""
        return await answered(self._with(scaffold, self._evaluator.seen))

    async def visit(self, scaffold: Parcel, arguments: dict[str, Any]) -> Answer:
        """One visit. The value is a Visited."""
        return await answered(self._with(scaffold, lambda files: self._visit(scaffold=files, **arguments)))

    async def _with(self, scaffold: Parcel, work: Callable[[Files], Awaitable[T]]) -> T:
        return await work(await self._shelf.get(scaffold))

    async def close(self) -> None:
        """Leave nothing on this node."""
        await self._sandbox.__aexit__(None, None, None)
        await self._link.close()
        os.close(self._reaper)


async def answered(work: Awaitable[Any]) -> Answer:
    """The value of some work, or its error: other exceptions arrive as Ray wraps them."""
    try:
        async with unstopped():
            return await work, None
    except RatchetError as error:
        return None, error
