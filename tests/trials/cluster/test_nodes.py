"""Nodes that are busy, refuse to start, or fail in unexpected ways: a run says why, uses the others, and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.base.errors import InfrastructureError, SandboxDown, UserError
from agent.base.trust import trusted_hash
from agent.trials.cluster.seats import Need
from bench.scale.work import orders

ray = pytest.importorskip("ray")

from agent.trials.cluster import nodes as module  # noqa: E402 - needs the extra `ray`
from agent.trials.cluster.node import Answer, Ready  # noqa: E402
from agent.trials.cluster.nodes import Nodes  # noqa: E402

READY = Ready(host="there", kernel=trusted_hash(), foreign=[])
ROOMY = {"CPU": 4.0, "memory": float(8 << 30)}
Work = Callable[[], Any]


class Actor:
    """A node's process: what its methods do, by their names; the others answer at once."""

    def __init__(self, **methods: Work) -> None:
        answers = {"up": None, "lacking": [], "open": READY, "look": 0, "close": None}
        for name, value in answers.items():
            setattr(self, name, Method(methods.get(name, lambda value=value: value)))


class Method:
    """One of them, as Ray has it."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def remote(self, *_arguments: Any) -> asyncio.Future[Answer]:
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> Answer:
        found = self._work()
        return (await found if asyncio.iscoroutine(found) else found), None


class Fake(Nodes):
    """Nodes of a cluster that is not there; `make` starts the process of one."""

    make: Callable[[str], Actor]

    def _actor(self, name: str, seats: int) -> Actor:  # noqa: ARG002
        return self.make(name)


class Images:
    """No images."""

    all = ()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """The resources of the cluster's nodes, by name."""
    found: dict[str, dict[str, float]] = {}

    def members() -> list[dict[str, Any]]:
        return [{"NodeID": name, "Alive": True, "Resources": has} for name, has in found.items()]

    monkeypatch.setattr(module, "members", members)
    monkeypatch.setattr(module.sdk, "request_resources", lambda **_: None)
    monkeypatch.setattr(module.ray, "kill", lambda _: None)
    monkeypatch.setattr(module.ray, "cancel", lambda reference: reference.cancel())
    for name, seconds in {"LOOK": 0.02, "START": 60, "REST": 0.05, "ROOM": 0.1, "STEP": 60}.items():
        monkeypatch.setattr(module, f"{name}_SECONDS", seconds)
    return found


def nodes(said: list[str], make: Callable[[str], Actor]) -> Fake:
    need = Need(cpus=1, memory=1 << 30, custom={})
    found = Fake(orders("i", "one"), None, Images(), need, wanted=4, say=said.append)  # type: ignore[arg-type]
    found.make = make
    return found


def fails(error: Exception) -> Work:
    def work() -> None:
        raise error

    return work


def never() -> Any:
    return asyncio.sleep(3600)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def ends(found: Fake, start: float = 0.5) -> UserError:
    """What a start without any usable node comes to, where it waits no longer than so many seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "START_SECONDS", start)
        patch.setattr(module, "STEP_SECONDS", 0.2)
        with pytest.raises(UserError) as error:
            async with asyncio.timeout(20), found:
                pass
        return error.value


async def test_a_run_whose_nodes_are_all_held_by_others_says_so_and_ends(cluster: dict[str, Any]) -> None:
    cluster["busy"], said = ROOMY, list[str]()
    begun = time.monotonic()
    error = await ends(nodes(said, lambda _: Actor(up=never, close=never)))
    assert time.monotonic() - begun < module.CLOSE_SECONDS, "it does not wait for a process that never started"
    assert [line for line in said if "waiting for room on node busy" in line] == said
    assert len(said) == 1
    assert "waiting for room on node busy" in error.problem


async def test_a_node_that_others_held_is_used_once_they_let_go_and_another_meanwhile(cluster: dict[str, Any]) -> None:
    cluster.update(busy=ROOMY, free=ROOMY)
    said, let_go = list[str](), asyncio.Event()
    found = nodes(said, lambda name: Actor(up=let_go.wait) if name == "busy" else Actor())
    async with asyncio.timeout(20), found:
        assert found.seats.total == 4
        await until(lambda: any("waiting for room on node busy" in line for line in said))
        let_go.set()
        await until(lambda: found.seats.total == 8)


@pytest.mark.parametrize("step", ["lacking", "open"])
async def test_a_step_of_a_node_that_never_ends_is_given_up_and_told(step: str, cluster: dict[str, Any]) -> None:
    cluster["slow"], said = ROOMY, list[str]()
    error = await ends(nodes(said, lambda _: Actor(**{step: never})))
    assert f"`{step}` took longer" in error.problem


async def test_a_node_that_cannot_be_started_is_told_once_for_the_reason_it_gave_and_tried_again(
    cluster: dict[str, Any],
) -> None:
    cluster["odd"], said, tries = ROOMY, list[str](), list[str]()

    def make(name: str) -> Actor:
        tries.append(name)
        raise ValueError("Use the 'num_gpus' keyword")

    error = await ends(nodes(said, make), start=2)
    assert "num_gpus" in error.problem
    assert said == ["node odd is not used: Use the 'num_gpus' keyword"]
    assert len(tries) > 1


async def test_a_list_of_nodes_that_fails_once_is_read_again(
    cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster["node"], said, whole, failing = ROOMY, list[str](), module.members, [True]

    def members() -> list[dict[str, Any]]:
        if failing.pop() if failing else False:
            raise ConnectionError("the head of the cluster is busy")
        return whole()

    monkeypatch.setattr(module, "members", members)
    async with asyncio.timeout(20), nodes(said, lambda _: Actor()) as found:
        assert found.seats.total == 4
    assert "the head of the cluster is busy" in said[0]


async def test_a_node_that_rests_recovers_after_a_look_that_failed_in_an_unexpected_way(
    cluster: dict[str, Any],
) -> None:
    cluster["node"], said = ROOMY, list[str]()
    looks: list[Exception] = [
        ray.exceptions.RayTaskError("look", "Traceback\nKeyError: 'Id'", KeyError("Id")),
        InfrastructureError("the engine does not answer"),
    ]
    actor = Actor(look=lambda: fails(looks.pop())() if looks else 0, lacking=list)
    async with asyncio.timeout(20), nodes(said, lambda _: actor) as found:
        actor.lacking = Method(fails(SandboxDown("no engine")))  # type: ignore[attr-defined]
        with pytest.raises(SandboxDown):
            await found.ask("node", "lacking")
        assert found.seats.total == 0
        await until(lambda: found.seats.total == 4)
    assert "node node rests: KeyError: 'Id'" in said
    assert said[-1] == "node node is used again"


async def test_nodes_without_room_are_told_at_once_each_once(cluster: dict[str, Any]) -> None:
    cluster.update(head={"CPU": 0.0, "memory": float(8 << 30)}, small={"CPU": 1.0, "memory": float(1 << 29)})
    said = list[str]()
    await ends(nodes(said, lambda _: Actor()))
    assert said == [
        "node head has no room for a box: CPU: a box takes 1, it has 0",
        "node small has no room for a box: memory: a box takes 1024 MiB, it has 512 MiB",
    ]


async def test_a_head_without_processors_is_not_told_where_another_node_has_room(cluster: dict[str, Any]) -> None:
    cluster.update(head={"CPU": 0.0}, node=ROOMY)
    said = list[str]()
    async with asyncio.timeout(20), nodes(said, lambda _: Actor()):
        pass
    assert said == ["node node on there: 4 boxes at a time"]
