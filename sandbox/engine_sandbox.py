"""Boxes of any engine: the pool, the first box that finds out what the engine shares, and the end.

Files reach the read-only areas of a box, and its model calls reach the gateway, in one of two ways. Where the engine
shares our folders, both go through a folder that the box has mounted, with a Unix socket in it. Elsewhere (a remote
engine, Docker Desktop, Colima, Docker in Docker) files go through the engine's archive API and calls through the pipe
to the runner. The first box of a sandbox finds out which.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.base.errors import SandboxDown
from agent.base.types import BoxSpec
from sandbox import frames
from sandbox.box import DockerBox, make_folder, remove_folder
from sandbox.contract import Engine, Order, Started, Thread, Unshared
from sandbox.folders import BOX_NAME, RunFolder, reap_folders
from sandbox.load import Monitor
from sandbox.others import Others
from sandbox.pool import Pool
from sandbox.users import MAPPED, ours
from sandbox.wire import Lost

READY_SECONDS, MACHINE_SECONDS = 60.0, 600.0
"""How long a box may take to become ready; one with a machine copies its image first."""

PROBE_MEMORY_MB, PROBE_PROCESSES = 128, 16
PROBE_SOCKET = "probe.sock"


class EngineSandbox:
    """Use-once boxes from a ready pool.

    Args:
        engine: makes what starts the containers, given what runs blocking work in a thread.
        campaign: the campaign's name; a label of its boxes, for people. It decides nothing: what a process owns is
            known by the process, so that runs of one name leave each other alone.
        folder: the campaign's folder; `boxes/` below it holds the host's side of every box.
        ready: boxes to keep ready for each kind that was asked for lately.
        parallel: boxes to create at a time; None is one a core.
        stream: send files and calls through the engine's API even where the engine shares our folders.

    `shared` says whether the engine shares our folders; None until the first box was started.
    """

    def __init__(
        self,
        engine: Callable[[Thread], Engine],
        campaign: str,
        folder: Path,
        *,
        ready: int,
        parallel: int | None,
        stream: bool = False,
    ) -> None:
        self._campaign, self._boxes = campaign, folder / "boxes"
        parallel = parallel or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(parallel + 4, thread_name_prefix="ratchet-engine")
        self._engine = engine(self._thread)
        self._pool: Pool[DockerBox] = Pool(self._make, ready=ready, parallel=parallel)
        self._folder: RunFolder | None = None
        self._monitor: Monitor | None = None
        self.shared = False if stream else self._engine.shares
        self._finding_out = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._engine.open()
        await self.reap()
        self._folder = await self._thread(RunFolder, self._boxes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._pool.close()
            await self._stop_watching()
        finally:
            await self._clear()

    async def _clear(self) -> None:
        """Leave nothing: no box, no folder, no thread."""
        await self.settle()
        if self._folder is not None:
            await self._thread(self._folder.remove)
        await self._engine.close()
        self._threads.shutdown(wait=False)

    async def open(self, spec: BoxSpec) -> DockerBox:
        """A fresh box, from the pool if one waits there.

        Raises:
            SandboxDown: the engine failed, or the image is gone.
            UserError: the engine does not know the runtime, or the image is for another processor.
        """
        return await self._pool.get(spec)

    def prewarm(self, spec: BoxSpec, count: int) -> None:
        """Begin to keep `count` boxes of this kind ready; returns at once."""
        self._pool.prewarm(spec, count)

    def expect(self, spec: BoxSpec) -> AbstractContextManager[None]:
        """While this is entered, a box of this kind is made ahead for an `open` that follows."""
        return self._pool.expect(spec)

    async def settle(self) -> None:
        """Wait until every closed box is removed."""
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def reap(self) -> int:
        """Remove the boxes and folders that are leftovers of dead runs; how many boxes."""
        count = await self._engine.reap()
        await self._thread(reap_folders, self._boxes)
        return count

    async def _thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    async def _make(self, spec: BoxSpec) -> DockerBox:
        """One box for the pool."""
        if self.shared is None:
            async with self._finding_out:
                if self.shared is None:
                    return await self._first(spec)
        self._watch_load(spec)
        return await self._box(spec, self._campaign)

    async def _first(self, spec: BoxSpec) -> DockerBox:
        """A box that also finds out whether the engine shares our folders, and with them our sockets."""
        self._watch_load(spec)
        box = None
        with suppress(Unshared):
            box = await self._box(spec, self._campaign, probe=True)
        self.shared = box is not None
        if not self.shared:
            await self._stop_watching()
        return box or await self._box(spec, self._campaign)

    def _watch_load(self, spec: BoxSpec) -> None:
        """From the first box on, watch the machine's load, if this is the machine of the boxes."""
        if self._monitor is None and self.shared is not False:
            probe = BoxSpec(image=spec.image, gateway=False, memory_mb=PROBE_MEMORY_MB, pids=PROBE_PROCESSES)
            others = Others(ours, containers=self._engine.users is not MAPPED)
            self._monitor = Monitor(partial(self._box, probe, "load probe"), others)
            self._monitor.start()

    async def _stop_watching(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            await monitor.stop()

    def _withheld(self, start: float, end: float) -> float:
        return self._monitor.withheld(start, end) if self._monitor is not None else 0.0

    async def _box(self, spec: BoxSpec, campaign: str, *, probe: bool = False) -> DockerBox:
        """Start a box, and wait until its runner is ready. Shielded: a box half made is a box lost.

        Raises:
            Unshared: with `probe`, if the box cannot reach a socket in the folder that it should have mounted.
        """
        name = secrets.token_hex(BOX_NAME // 2)
        folder = await self._thread(self._new_folder, name)
        mounted = None if self.shared is False else folder
        order = Order(name=name, spec=spec, folder=mounted, campaign=campaign, probe=probe)
        async with _listening(folder / PROBE_SOCKET if probe else None):
            try:
                started = await self._engine.start(order)
            except BaseException:
                await self._thread(remove_folder, folder)
                raise
            box = self._wrap(order, folder, started)
            said = await self._ready(box, started, order)
        if probe and not said:
            await box.close()
            raise Unshared
        return box

    def _wrap(self, order: Order, folder: Path, started: Started) -> DockerBox:
        box = DockerBox(
            order.name,
            order.spec,
            folder,
            container=started.id,
            user=started.user,
            wire=started.wire,
            areas=self._engine.areas(started.id, order.folder),
            state=partial(self._engine.state, started.id),
            withheld=self._withheld,
            marks_memory=self._engine.marks_memory,
        )
        box.on_close = self._let_go
        if box.socket is not None and order.folder is None:
            started.wire.relay(box.socket)
        return box

    async def _ready(self, box: DockerBox, started: Started, order: Order) -> bytes:
        """What the runner says when it is ready."""
        try:
            async with asyncio.timeout(MACHINE_SECONDS if order.spec.machine else READY_SECONDS):
                kind, said = await started.wire.receive(frames.CHUNK)
        except (Lost, TimeoutError, frames.Malformed) as error:
            try:
                why = await self._engine.never_ready(order, started, error)
            finally:
                await box.close()
            raise why from error
        if kind != frames.READY:
            await box.close()
            raise SandboxDown("a box did not become ready: the image does not hold our runner")
        return said

    def _new_folder(self, name: str) -> Path:
        """The host's side of a box, made. Raises SandboxDown."""
        if self._folder is None:
            raise SandboxDown("the sandbox is not open")
        folder = self._folder.for_box(name)
        make_folder(folder)
        return folder

    async def _let_go(self, box: DockerBox) -> None:
        """Remove a closed box in the background."""
        task = asyncio.create_task(self._remove(box))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _remove(self, box: DockerBox) -> None:
        await self._engine.remove(box.container, box.user)
        await self._thread(remove_folder, box.folder)


@asynccontextmanager
async def _listening(path: Path | None) -> AsyncIterator[None]:
    """Meanwhile, a box that sees this socket can connect to it. Raises SandboxDown."""
    if path is None:
        yield
        return
    try:
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
        await asyncio.to_thread(path.chmod, 0o666)
    except OSError as error:
        raise SandboxDown(f"cannot listen at {path}: {error.strerror}") from error
    try:
        yield
    finally:
        server.close()
        await asyncio.to_thread(path.unlink, missing_ok=True)
