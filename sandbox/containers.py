"""Containers of Docker or Podman that are boxes: their settings, their start, and what an engine's refusal means."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from agent.base.errors import RatchetError, SandboxDown, UserError
from sandbox.architecture import mismatch
from sandbox.areas import MOUNTED, Areas, SentAreas, SharedAreas
from sandbox.attach import attach
from sandbox.contract import Order, Started, State, Thread, Unshared
from sandbox.endpoint import endpoint
from sandbox.engine import ENGINE_ERRORS, brief, connect, engine_name, unpack
from sandbox.install import INTERPRETER
from sandbox.limits import limits
from sandbox.reap import labels, reap
from sandbox.users import IN_USE, MACHINES, MAPPED, OWN, TRIES, any_user, container_name, users_of

RUNNER = (INTERPRETER, "-E", "-s", "-S", "/usr/lib/ratchet/__main__.py")
CONFLICT = 409
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
MACHINE_ENV = {**ENV, "HOME": "/root", "USER": "root", "LOGNAME": "root"}
MACHINE_MARGIN_MB, BLOCK_SHARE = 64, 1.25
"""What a copy of an image takes beyond its size: files take whole pages."""


class Containers:
    """Starts and removes containers on one engine.

    Args:
        run_id: this run of the campaign, for a label.
        token: a label by which all containers of one sandbox are found.
        runtime: the engine's runtime; None is the engine's default.
        thread: runs blocking work in a thread.
    """

    def __init__(self, run_id: str, token: str, runtime: str | None, thread: Thread) -> None:
        self._run_id, self._token, self._runtime, self._thread = run_id, token, runtime, thread
        self._endpoint, self._url = endpoint(), ""
        self._client: docker.APIClient | None = None
        self._cpus, self.podman, self.users = 1.0, False, OWN
        self.marks_memory = True
        self._apparmor = False

    @property
    def shares(self) -> bool | None:
        """False if the engine cannot be on this machine; else the first box finds out."""
        return None if self._endpoint.may_share else False

    def client(self) -> docker.APIClient:
        """The engine's client. Raises SandboxDown before `open`."""
        if self._client is None:
            raise SandboxDown("the sandbox is not open")
        return self._client

    async def call(self, method: str, *args: Any) -> Any:
        """One call of the engine, in a thread."""
        return await self._thread(getattr(self.client(), method), *args)

    async def open(self) -> None:
        """Connect, and learn what the engine is.

        Raises:
            SandboxDown: it does not answer.
            UserError: it would ignore the runtime.
        """
        self._client = await self._thread(connect)
        self._url = await self._thread(self._endpoint.url)
        try:
            info = await self.call("info")
            self._cpus, self.users = float(info["NCPU"]), users_of(info)
            self._apparmor = any("name=apparmor" in str(one) for one in info.get("SecurityOptions") or ())
            self.podman = "Podman" in engine_name(await self.call("version"))
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"the engine does not answer: {brief(error)}") from error
        self.marks_memory = not self.podman
        if self.podman and self._runtime:
            # It would ignore it: the box would be weaker than was asked for.
            problem = f"Podman cannot be told to use {self._runtime} from here"
            raise UserError("boxes.runtime", problem, "Name it in its containers.conf, and leave it out here")

    async def close(self) -> None:
        """Remove the containers that could not be removed when their boxes closed, because the engine was down."""
        if self._client is not None:
            await self._thread(self._sweep, self._client)
            self._client.close()

    async def start(self, order: Order) -> Started:
        """Create, attach and start.

        Raises:
            SandboxDown, UserError: the engine did not do it.
            Unshared: with a probe, if the engine does not see the folder.
        """
        client, container, user, wire = self.client(), "", 0, None
        try:
            container, user = await self._thread(self._create, client, order)
            IN_USE[user] += 1  # before anything runs in it: see sandbox.others
            wire = await attach(self._endpoint, self._url, client.api_version, container)
            await self.call("start", container)
        except ENGINE_ERRORS as error:
            if wire is not None:
                await wire.close()
            if container:
                await self.remove(container, user)
            raise await self._thread(self._blame, error, order) from error
        return Started(id=container, wire=wire, user=user)

    def areas(self, container: str, folder: Path | None) -> Areas:
        """In the folder, or sent through the engine's API."""
        return SharedAreas(folder) if folder else SentAreas(partial(self._send, container))

    async def _send(self, container: str, archive: bytes) -> None:
        """Unpack an archive in a container's read-only areas. Raises one of `ENGINE_ERRORS`."""
        await self._thread(unpack, self.client(), container, MOUNTED, archive)

    async def state(self, container: str) -> State:
        """What the engine says of it. Raises SandboxDown if the engine or the container is gone."""
        try:
            found = (await self.call("inspect_container", container))["State"]
        except NotFound as error:
            raise SandboxDown("a box was removed from outside") from error
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"the engine does not answer: {brief(error)}") from error
        return State(running=found["Running"], code=found["ExitCode"], out_of_memory=found["OOMKilled"])

    async def reap(self) -> int:
        """Remove the boxes of dead owners; how many."""
        try:
            count: int = await self._thread(reap, self.client())
        except ENGINE_ERRORS as error:
            raise SandboxDown(f"leftover boxes cannot be removed: {brief(error)}") from error
        return count

    async def remove(self, container: str, user: int) -> None:
        """Kill and remove; its user id is free for another."""
        await self._thread(_remove, self.client(), container)
        IN_USE[user] -= 1

    def _create(self, client: docker.APIClient, order: Order) -> tuple[str, int]:
        """Create the container. A user id whose name is in use belongs to another box: try another."""
        fixed = order.spec.user
        users = self.machine_ids() if order.spec.machine else self.users
        for _ in range(TRIES):
            user = fixed or any_user(users)
            title = f"ratchet-{order.name}" if fixed else container_name(user)
            settings = self._settings(client, order, user)
            try:
                return str(client.create_container(name=title, **settings)["Id"]), user
            except APIError as error:
                if error.status_code != CONFLICT or fixed:
                    raise
        raise SandboxDown("every user id that was tried belongs to another box")

    def machine_ids(self) -> range:
        """The ids of machines. Raises UserError if the engine can give none."""
        if self.users is MAPPED:
            problem = "needs 65,536 user ids a box, and this engine has no more for all of them"
            fix = "Use an engine that runs as root, without a remapped user namespace."
            raise UserError("profile: machine", problem, fix)
        if self._runtime and "runsc" in self._runtime:
            problem = f"is not offered with boxes.runtime: {self._runtime}"
            raise UserError("profile: machine", problem, "Leave the runtime out, or the tasks of this profile.")
        return MACHINES

    def _settings(self, client: docker.APIClient, order: Order, user: int) -> dict[str, Any]:
        """Everything that makes the container a box."""
        spec = replace(order.spec, user=user)
        return {
            "image": spec.image,
            "entrypoint": list(RUNNER),
            "command": options(replace(order, spec=spec)),
            "user": "0:0" if spec.machine else f"{user}:{user}",
            "working_dir": "/" if spec.machine else "/workspace",
            "environment": MACHINE_ENV if spec.machine else ENV,
            "hostname": "box",
            "stdin_open": True,
            # A namespace with loopback and nothing else; Docker then spares itself what it makes for mode `none`.
            "network_disabled": not self.podman,
            # The runner does not handle SIGTERM: an engine that stops must not wait for it.
            "stop_signal": "SIGKILL",
            "labels": labels(order.campaign, self._run_id, self._token),
            "host_config": {
                **client.create_host_config(
                    **limits(
                        spec,
                        order.folder,
                        cpus=self._cpus,
                        podman=self.podman,
                        image_mb=_copy_mb(client, spec.image) if spec.machine else 0,
                        apparmor=self._apparmor,
                    ),
                    runtime=self._runtime,
                ),
                "LogConfig": {"Type": "none"},
            },
        } | {"healthcheck": {"test": ["NONE"]}}

    def _blame(self, error: Exception, order: Order) -> Exception:
        """The right kind of error for a box that could not be started."""
        image = order.spec.image
        if isinstance(error, (ImageNotFound, NotFound)):
            return SandboxDown(f"image {image} is gone")
        said = brief(error)
        if order.probe and "bind source path does not exist" in said:
            return Unshared()
        if ("exec format" in said or "no such file" in said) and (foreign := self._foreign(image)):
            return foreign
        if self._runtime and "runtime" in said:
            problem = f"the engine cannot use {self._runtime} ({said})"
            return UserError("boxes.runtime", problem, "Install it, or leave it out")
        if "seccomp" in said and self.podman:
            fix = "Install Ratchet below a folder that the engine's machine sees at the same path."
            return UserError("DOCKER_HOST", f"Podman reads our seccomp list from its own disk ({said})", fix)
        return SandboxDown(f"no box could be started: {said}")

    async def never_ready(self, order: Order, started: Started, error: Exception) -> RatchetError:
        """Why a box that was started did not say that it is ready."""
        foreign: UserError | None = await self._thread(self._foreign, order.spec.image)
        if foreign is not None:
            return foreign
        said = " ".join(started.wire.stderr.decode(errors="replace").split())[-200:]
        return SandboxDown(f"a box did not become ready: {said or error or 'no answer'}")

    def _foreign(self, image: str) -> UserError | None:
        """The error of an image for another processor."""
        with suppress(*ENGINE_ERRORS):
            if problem := mismatch(self.client(), image):
                fix = "Name an image for that processor, or use another engine (DOCKER_HOST)."
                return UserError("image", problem, fix)
        return None

    def _sweep(self, client: docker.APIClient) -> None:
        with suppress(*ENGINE_ERRORS):
            for left in client.containers(all=True, filters={"label": f"ratchet.sandbox={self._token}"}):
                _remove(client, left["Id"])


def options(order: Order) -> list[str]:
    """The runner's command line."""
    spec = order.spec
    way = ["--gateway", *([] if order.folder else ["--stream"])] if spec.gateway else []
    machine = ["--machine", str(spec.user), str(spec.disk_mb)] if spec.machine else []
    return [*way, *(["--probe"] if order.probe else []), *machine]


def _copy_mb(client: docker.APIClient, image: str) -> int:
    """MiB that a copy of an image's root may take."""
    size = int(client.inspect_image(image)["Size"])  # type: ignore[no-untyped-call]
    return int((size >> 20) * BLOCK_SHARE) + MACHINE_MARGIN_MB


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
