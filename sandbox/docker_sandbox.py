"""Boxes as Docker containers: creation, hardening, the pool, and the removal of what dead runs left behind."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from agent.base.errors import SandboxDown, UserError
from agent.base.owner import owner_label
from agent.base.types import BoxSpec
from sandbox import frames
from sandbox.box import DockerBox, make_folder, remove_folder
from sandbox.engine import ENGINE_ERRORS, brief, connect, engine_name
from sandbox.folders import BOX_NAME, RunFolder, reap_folders
from sandbox.install import INTERPRETER
from sandbox.limits import limits
from sandbox.load import Monitor
from sandbox.others import Others
from sandbox.pool import Pool
from sandbox.reap import reap
from sandbox.users import IN_USE, MAPPED, OWN, TRIES, any_user, container_name, ours, users_of
from sandbox.wire import Lost, Wire, own_socket

RUNNER = (INTERPRETER, "-E", "-s", "-S", "/usr/lib/ratchet/__main__.py")
READY_SECONDS = 60.0
BOX_LIFE_SECONDS = 6 * 3600
CONFLICT = 409
PROBE_MEMORY_MB, PROBE_PROCESSES = 128, 16
REMOVE_PAUSES = (0.2, 1.0, 0.0)
ENV = {
    "HOME": "/tmp",  # noqa: S108 - a tmpfs of the box, not of this machine
    # The user id of a box has no entry in the image's /etc/passwd.
    "USER": "box",
    "LOGNAME": "box",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "RATCHET_BOX": "1",
}


class DockerSandbox:
    """Use-once boxes from a ready pool.

    Args:
        run_id: this run of the campaign; a label of its boxes.
        campaign: the campaign's name; a label of its boxes, for people. It decides nothing: what a process owns is
            known by the process, so that runs of one name leave each other alone.
        folder: the campaign's folder; `boxes/` below it holds the host's side of every box.
        ready: boxes to keep ready for each kind that was asked for lately.
        parallel: boxes to create at a time; None is one a core.
        runtime: the engine's runtime, as `runsc` for gVisor; None is the engine's default.
    """

    def __init__(
        self,
        run_id: str,
        campaign: str,
        folder: Path,
        *,
        ready: int = 2,
        parallel: int | None = None,
        runtime: str | None = None,
    ) -> None:
        self._run_id, self._campaign, self._runtime = run_id, campaign, runtime
        parallel = parallel or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(parallel + 4, thread_name_prefix="ratchet-engine")
        self._pool: Pool[DockerBox] = Pool(self._make, ready=ready, parallel=parallel)
        self._boxes, self._token = folder / "boxes", secrets.token_hex(6)
        self._folder: RunFolder | None = None
        self._client: docker.APIClient | None = None
        self._cpus, self._podman, self._users = 1.0, False, OWN
        self._monitor: Monitor | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._client = await self._thread(connect)
        await self._know_engine()
        await self.reap()
        self._folder = await self._thread(RunFolder, self._boxes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._pool.close()
            if self._monitor is not None:
                await self._monitor.stop()
        finally:
            await self._clear()

    async def _clear(self) -> None:
        """Leave nothing: no box, no folder, no thread."""
        await self.settle()
        if self._folder is not None:
            await self._thread(self._folder.remove)
        if self._client is not None:
            await self._thread(_sweep, self._client, self._token)
            self._client.close()
        self._threads.shutdown(wait=False)

    async def open(self, spec: BoxSpec) -> DockerBox:
        """A fresh box, from the pool if one waits there.

        Raises:
            SandboxDown: the engine failed, or the image is gone.
            UserError: the engine does not know the runtime.
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
        """Remove the boxes and folders that dead runs left behind; how many boxes."""
        try:
            count: int = await self._thread(reap, self._engine())
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"leftover boxes cannot be removed: {brief(error)}") from error
        await self._thread(reap_folders, self._boxes)
        return count

    async def _know_engine(self) -> None:
        try:
            info = await self._call("info")
            self._cpus, self._users = float(info["NCPU"]), users_of(info)
            self._podman = "Podman" in engine_name(await self._call("version"))
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"the engine does not answer: {brief(error)}") from error
        if self._podman and self._runtime:
            # It would ignore it: the box would be weaker than was asked for.
            problem = f"Podman cannot be told to use {self._runtime} from here"
            raise UserError("boxes.runtime", problem, "Name it in its containers.conf, and leave it out here")

    def _engine(self) -> docker.APIClient:
        if self._client is None:
            raise SandboxDown("the sandbox is not open")
        return self._client

    async def _thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    async def _call(self, method: str, *args: Any) -> Any:
        """One call of the engine, in a thread."""
        return await self._thread(getattr(self._engine(), method), *args)

    async def _make(self, spec: BoxSpec) -> DockerBox:
        """One box for the pool; from the first one on the machine's load is watched."""
        if self._monitor is None:
            probe = BoxSpec(image=spec.image, gateway=False, memory_mb=PROBE_MEMORY_MB, pids=PROBE_PROCESSES)
            others = Others(ours, containers=self._users is not MAPPED)
            self._monitor = Monitor(partial(self._box, probe, "load probe"), others)
            self._monitor.start()
        return await self._box(spec, self._campaign)

    async def _box(self, spec: BoxSpec, campaign: str) -> DockerBox:
        """Create, attach, start, and wait until the runner is ready. Shielded: a box half made is a box lost."""
        name = secrets.token_hex(BOX_NAME // 2)
        folder = await self._thread(self._new_folder, name)
        container, attached, spec = await self._thread(self._start, name, spec, folder, campaign)
        wire = await Wire.over(attached)
        box = DockerBox(
            name,
            spec,
            folder,
            container=container,
            wire=wire,
            engine=self._call,
            withheld=self._monitor.withheld if self._monitor else None,
            marks_memory=not self._podman,
        )
        box.on_close = self._let_go
        try:
            async with asyncio.timeout(READY_SECONDS):
                kind, _ = await wire.receive(frames.CHUNK)
        except (Lost, TimeoutError, frames.Malformed) as error:
            await box.close()
            said = " ".join(wire.stderr.decode(errors="replace").split())[-200:]
            raise SandboxDown(f"a box did not become ready: {said or error or 'no answer'}") from error
        if kind != frames.READY:
            await box.close()
            raise SandboxDown("a box did not become ready: the image does not hold our runner")
        return box

    def _new_folder(self, name: str) -> Path:
        """The host's side of a box, made. Raises SandboxDown."""
        if self._folder is None:
            raise SandboxDown("the sandbox is not open")
        folder = self._folder.for_box(name)
        make_folder(folder)
        return folder

    def _start(self, name: str, spec: BoxSpec, folder: Path, campaign: str) -> tuple[str, socket.socket, BoxSpec]:
        """A started container, the pipe to its runner, and what was asked for with the user that was chosen."""
        client, container, chosen = self._engine(), None, spec
        try:
            container, chosen = self._create(client, name, spec, folder, campaign)
            IN_USE[chosen.user or 0] += 1  # before anything runs in it: see sandbox.others
            how = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = own_socket(client.attach_socket(container, params=how))
            client.start(container)
        except ENGINE_ERRORS as error:
            if container is not None:
                _remove(client, container)
                IN_USE[chosen.user or 0] -= 1
            remove_folder(folder)
            raise _blame(error, spec, self._runtime, folder) from error
        return container, attached, chosen

    def _create(
        self, client: docker.APIClient, name: str, spec: BoxSpec, folder: Path, campaign: str
    ) -> tuple[str, BoxSpec]:
        """Create the container. A user id whose name is in use belongs to another box: try another."""
        for _ in range(TRIES):
            chosen = replace(spec, user=spec.user or any_user(self._users))
            title = f"ratchet-{name}" if spec.user else container_name(chosen.user or 0)
            settings = self._settings(client, chosen, folder, campaign)
            try:
                return str(client.create_container(name=title, **settings)["Id"]), chosen
            except APIError as error:
                if error.status_code != CONFLICT or spec.user:
                    raise
        raise SandboxDown("every user id that was tried belongs to another box")

    def _settings(self, client: docker.APIClient, spec: BoxSpec, folder: Path, campaign: str) -> dict[str, Any]:
        """Everything that makes the container a box."""
        return {
            "image": spec.image,
            "entrypoint": list(RUNNER),
            "command": ["--gateway"] if spec.gateway else [],
            "user": f"{spec.user}:{spec.user}",
            "working_dir": "/workspace",
            "environment": ENV,
            "hostname": "box",
            "stdin_open": True,
            # A namespace with loopback and nothing else; Docker then spares itself what it makes for mode `none`.
            "network_disabled": not self._podman,
            # The runner does not handle SIGTERM: an engine that stops must not wait for it.
            "stop_signal": "SIGKILL",
            "labels": self._labels(campaign),
            "host_config": {
                **client.create_host_config(
                    **limits(spec, folder, cpus=self._cpus, podman=self._podman),
                    runtime=self._runtime,
                ),
                "LogConfig": {"Type": "none"},
            },
        } | {"healthcheck": {"test": ["NONE"]}}

    def _labels(self, campaign: str) -> Mapping[str, str]:
        return {
            "ratchet.campaign": campaign,
            "ratchet.run": self._run_id,
            "ratchet.sandbox": self._token,
            "ratchet.owner": owner_label(os.getpid()),
            "ratchet.pid": ".".join(owner_label(os.getpid()).split(".")[:2]),  # what earlier versions look at
            "ratchet.deadline": str(int(time.time()) + BOX_LIFE_SECONDS),
        }

    async def _let_go(self, box: DockerBox) -> None:
        """Remove a closed box in the background."""
        task = asyncio.create_task(self._thread_remove(box))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _thread_remove(self, box: DockerBox) -> None:
        await self._thread(_remove, self._engine(), box.container)
        IN_USE[box.user] -= 1
        await self._thread(remove_folder, box.folder)


def _sweep(client: docker.APIClient, token: str) -> None:
    """Remove the boxes of one sandbox that could not be removed when they closed, because the engine was down."""
    with suppress(*ENGINE_ERRORS):
        for left in client.containers(all=True, filters={"label": f"ratchet.sandbox={token}"}):
            _remove(client, left["Id"])


def _remove(client: docker.APIClient, container: str) -> None:
    """Kill and remove. Podman refuses while a box is just ending, so try again; the next start reaps what is left."""
    for pause in REMOVE_PAUSES:
        try:
            client.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError:
            time.sleep(pause)
        except ENGINE_ERRORS:
            return
        else:
            return


def _blame(error: Exception, spec: BoxSpec, runtime: str | None, folder: Path) -> Exception:
    """The right kind of error for a box that could not be started."""
    if isinstance(error, (ImageNotFound, NotFound)):
        return SandboxDown(f"image {spec.image} is gone")
    said = brief(error)
    if "bind source path does not exist" in said:
        problem = f"the engine does not see {folder.parent}"
        return UserError("DOCKER_HOST", problem, "Keep `runs` and TMPDIR in folders that the engine sees too.")
    if runtime and "runtime" in said:
        return UserError("boxes.runtime", f"the engine cannot use {runtime} ({said})", "Install it, or leave it out")
    return SandboxDown(f"no box could be started: {said}")
