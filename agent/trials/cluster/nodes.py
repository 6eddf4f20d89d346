"""The nodes of a Ray cluster: one process of ours on each, which holds the resources that its boxes take.

Nodes may join and leave at any time. One that fails is left out, and tried again a little later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self

import ray
from ray.autoscaler import sdk
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from agent.base.children import with_our_code
from agent.base.errors import InfrastructureError, SandboxDown, UserError
from agent.base.trust import trusted_hash
from agent.base.types import BoxSpec
from agent.config.campaign import ExecutorConfig
from agent.trials.cluster.desk import Address
from agent.trials.cluster.node import Answer, Node, Ready
from agent.trials.cluster.parcels import Images
from agent.trials.cluster.seats import Need, Seats, room
from agent.trials.executor import NodeLost, Orders

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
START_SECONDS = 600.0
REST_SECONDS = 20.0
CLOSE_SECONDS = 60.0
CALLS_AT_ONCE = 1000
ROOM_SECONDS = 30.0
"""Ray starts a node's process once nobody else holds what it takes there; a wait longer than this is told."""

STEP_SECONDS = 300.0
"""For one step of bringing a node up, but for sending images."""

Say = Callable[[str], None]

members: Callable[[], list[dict[str, Any]]] = ray.nodes


def connect(address: str) -> str:
    """Join the cluster as its driver; returns this machine's address in it.

    Raises:
        UserError: there is no cluster at the address.
    """
    try:
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        fix = "Start one with `ray start --head` on this machine, or name it: executor.address"
        raise UserError("executor.address", f"no Ray cluster answers at {address} ({said})", fix) from error
    own = ray.get_runtime_context().get_node_id()
    return next(str(node["NodeManagerAddress"]) for node in members() if node["NodeID"] == own)


def survey(where: ExecutorConfig, kinds: Collection[BoxSpec], own: BoxSpec) -> list[int]:
    """How many boxes each node of a cluster could hold at a time; `kinds` and `own` are those of `seats.room`.

    Raises:
        UserError: there is no such cluster, or no node has room for both sides of a pair.
    """
    connect(where.address)
    try:
        return room([node["Resources"] for node in members() if node["Alive"]], Need.of(kinds, where.resources), own)
    finally:
        disconnect()


def disconnect() -> None:
    """Leave the cluster, which then ends what is left of this run there."""
    ray.shutdown()


class Nodes:
    """Every node of the cluster that can hold a box; `wanted` is how many boxes the campaign could use at a time."""

    def __init__(self, orders: Orders, address: Address, images: Images, need: Need, *, wanted: int, say: Say) -> None:
        self._orders, self._address, self._images, self._need, self._say = orders, address, images, need, say
        self._wanted = wanted
        self.seats = Seats(remedy=need.remedy(orders.spec))
        self._actors: dict[str, Any] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._resting: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._trouble, self._told = "", set[str]()
        self._up, self._starting = set[str](), set[str]()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(sdk.request_resources, bundles=[self._need.bundle()] * self._wanted)
        self._watching = asyncio.create_task(self._watch())
        try:
            await self._first()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
        tasks = [*self._tasks.values(), *self._resting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *map(self._close, self._actors), return_exceptions=True)
        with contextlib.suppress(RayError):
            await asyncio.to_thread(sdk.request_resources, num_cpus=0)

    async def ask(self, name: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Have a node do something, and its answer. Cancelling this cancels the work there.

        Raises:
            InfrastructureError: of the work; NodeLost if the node is gone.
        """
        actor = self._actors.get(name)
        if actor is None:
            raise NodeLost(f"node {name[:8]} is gone")
        reference = getattr(actor, method).remote(*arguments, **options)
        try:
            return _value(await reference)
        except asyncio.CancelledError:
            ray.cancel(reference)
            raise
        except RayTaskError:
            raise
        except SandboxDown as error:
            self._rest(name, _reason(error))
            raise
        except RayError as error:
            self._lose(name, _reason(error))
            raise NodeLost(f"node {name[:8]} was lost: {_reason(error)}") from error

    async def _first(self) -> None:
        """Wait until a node is ready: nodes may be on their way, and images take long to send."""
        until = time.monotonic() + START_SECONDS
        while not self.seats.total:
            await asyncio.sleep(LOOK_SECONDS / 10)
            if time.monotonic() > until and not self._starting:
                problem = f"no node of the cluster can run a box ({self._trouble or 'there is none'})"
                raise UserError("executor", problem, "Fix that node, or add one")

    async def _watch(self) -> None:
        while True:
            try:
                self._look({node["NodeID"]: node for node in await asyncio.to_thread(members) if node["Alive"]})
            except Exception as error:  # noqa: BLE001 - else no node would join or leave any more
                self._tell(f"the nodes of the cluster cannot be listed: {_reason(error)}")
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Let go of nodes that left, and begin to use those that are new and have room."""
        for name in self._actors.keys() - found.keys():
            self._lose(name, "it left the cluster")
        seats = {name: self._need.fits(node["Resources"]) for name, node in found.items()}
        for name in found.keys() - self._tasks.keys():
            if seats[name]:
                self._tasks[name] = asyncio.create_task(self._begin(name, seats[name]))
        for name, node in found.items() if not any(seats.values()) else ():
            self._tell(f"node {name[:8]} has no room for a box: {self._need.lack(node['Resources'])}")

    async def _begin(self, name: str, seats: int) -> None:
        """Bring a node up; one that fails is tried again after a rest."""
        try:
            ready, loaded = await self._opened(name, seats)
        except Exception as error:  # noqa: BLE001 - whatever it is: this task is what says so, and tries again
            if not isinstance(error, NodeLost):  # that has been told
                self._tell(f"node {name[:8]} is not used: {_reason(error)}")
            self._lose(name, _reason(error))
            await asyncio.sleep(REST_SECONDS)
            self._tasks.pop(name, None)
            return
        sent = f", {loaded} images sent" if loaded else ""
        self._say(f"node {name[:8]} on {ready.host}: {seats} boxes at a time{sent}")
        for line in ready.foreign:
            self._say(f"node {name[:8]} on {ready.host}: {line}")
        self._use(name, seats)

    def _use(self, name: str, seats: int) -> None:
        """Give a node work; what is wrong with it later is news."""
        self._told = {text for text in self._told if not text.startswith(f"node {name[:8]} ")}
        self.seats.add(name, seats)

    async def _opened(self, name: str, seats: int) -> tuple[Ready, int]:
        """A node that is ready, and how many images it was sent."""
        self._starting.add(name)
        try:
            self._actors[name] = self._actor(name, seats)
            await self._placed(name)
            lacking = await self._step(name, "lacking", self._images.all)
            for image in lacking:
                await self.ask(name, "load", image, list(await asyncio.to_thread(self._images.parts, image)))
            ready: Ready = await self._step(name, "open", self._images.all)
        finally:
            self._starting.discard(name)
        _check_version(ready)
        return ready, len(lacking)

    async def _placed(self, name: str) -> None:
        """Wait until a node's process runs; while another run holds the node, it does not count as starting."""
        late = asyncio.get_running_loop().call_later(ROOM_SECONDS, self._wait_for_room, name)
        try:
            await self.ask(name, "up")
        finally:
            late.cancel()
        self._up.add(name)
        self._starting.add(name)

    def _wait_for_room(self, name: str) -> None:
        self._starting.discard(name)
        self._tell(f"waiting for room on node {name[:8]}: its process has not started, another run may hold the node")

    async def _step(self, name: str, method: str, *arguments: Any) -> Any:
        """As `ask`, for a limited time. Raises InfrastructureError."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                return await self.ask(name, method, *arguments)
        except TimeoutError as error:
            raise InfrastructureError(f"`{method}` took longer than {STEP_SECONDS:.0f} s there") from error

    def _actor(self, name: str, seats: int) -> Any:
        bundle = self._need.bundle(seats)
        options: dict[str, Any] = {
            "num_cpus": bundle.pop("CPU"),
            "memory": bundle.pop("memory"),
            "resources": bundle,
            "max_concurrency": CALLS_AT_ONCE,
            "max_restarts": 0,
            # Ray unpickles our classes there: it has to find them, in a wheel as in a checkout.
            "runtime_env": {"env_vars": {"PYTHONPATH": with_our_code(os.environ)["PYTHONPATH"]}},
            "scheduling_strategy": NodeAffinitySchedulingStrategy(name, soft=False),
        }
        return ray.remote(Node).options(**options).remote(self._orders, self._address, seats)

    def _lose(self, name: str, why: str) -> None:
        """Use a node no more; what runs there is void, and it is tried again if it is still a member."""
        actor = self._actors.pop(name, None)
        if actor is None:
            return
        self._up.discard(name)
        self.seats.remove(name)
        self._tell(f"node {name[:8]} is not used: {why}")
        with contextlib.suppress(RayError):
            ray.kill(actor)
        task = self._tasks.get(name)
        if task is not None and task.done():
            self._tasks.pop(name)

    def _rest(self, name: str, why: str) -> None:
        """A node whose engine fails would draw every trial, as it always has room: leave it out until it recovers."""
        if size := self.seats.remove(name):
            self._tell(f"node {name[:8]} rests: {why}")
            self._resting[name] = asyncio.create_task(self._recovered(name, size))

    async def _recovered(self, name: str, size: int) -> None:
        while name in self._actors:
            await asyncio.sleep(REST_SECONDS)
            try:
                await self._step(name, "look")
            except Exception as error:  # noqa: BLE001 - else the node would rest for the whole run
                if name in self._actors:
                    self._tell(f"node {name[:8]} rests: {_reason(error)}")
                continue
            self._use(name, size)
            self._say(f"node {name[:8]} is used again")
            return

    def _tell(self, trouble: str) -> None:
        """Say what is wrong, once."""
        self._trouble = trouble
        if trouble not in self._told:
            self._told.add(trouble)
            self._say(trouble)

    async def _close(self, name: str) -> None:
        actor = self._actors[name]
        try:
            if name in self._up:  # one that waits for room would answer when it has that
                async with asyncio.timeout(CLOSE_SECONDS):
                    await actor.close.remote()
        finally:
            ray.kill(actor)


def _check_version(ready: Ready) -> None:
    if ready.kernel != trusted_hash():
        raise UserError("executor", f"{ready.host} runs another version of Ratchet", "Install this one there.")


def _value(answer: Answer) -> Any:
    value, error = answer
    if error is not None:
        raise error
    return value


def _reason(error: BaseException) -> str:
    """What an error says, in one line: the last one where Ray puts the traceback of the node before it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    traced = isinstance(error, RayTaskError) or getattr(error, "actor_init_failed", False)
    return lines[-1 if traced else 0].strip()[:200]
