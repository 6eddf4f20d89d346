"""The link between a node and the head: the gateway of the head, as a box of the node sees it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent.base.errors import InfrastructureError, ProviderDown
from agent.base.tools import Clock
from agent.base.types import CallScope, Caps
from agent.config.models import ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.session import BoxSession
from agent.models.ports import Blame, Json, Question, Trouble
from agent.models.providers.scripted import ScriptedProvider
from bench.scale.work import script

asyncssh = pytest.importorskip("asyncssh")

from agent.trials.cluster.desk import Desk, read_scope, told_scope  # noqa: E402 - need the extra `ray`
from agent.trials.cluster.link import Link  # noqa: E402

SCOPE = CallScope(trial="t1", models={"ratchet": "solver"}, answer_scope="pair 1", caps=Caps(calls=3))


class Down(ScriptedProvider):
    """A provider whose every answer is an outage of its own."""

    async def ask(self, question: Question) -> Json:  # noqa: ARG002
        raise Trouble("the machine room is dark", blame=Blame.FINAL)


@asynccontextmanager
async def linked(
    folder: Path, provider: ScriptedProvider | None = None, kind: type[GatewayServer] = GatewayServer
) -> AsyncIterator[tuple[Link, Desk, Path]]:
    """A head with a gateway, and a node; and where the socket of the node's box goes."""
    described = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}
    models = ModelsConfig.model_validate({"solver": described})
    providers = {"solver": provider or ScriptedProvider(script())}
    async with (
        kind(models, MemoryRecord(), providers=providers) as gateway,
        Desk(gateway, "127.0.0.1") as desk,
    ):
        link = Link(desk.address)
        try:
            yield link, desk, folder / "box.sock"
        finally:
            await link.close()


async def ask(socket: Path, text: str = "even") -> httpx2.Response:
    """One call, as the runner of a box forwards it."""
    return await post(
        socket, "/v1/chat/completions", {"model": "ratchet", "messages": [{"role": "user", "content": text}]}
    )


async def post(socket: Path, path: str, body: dict[str, Any]) -> httpx2.Response:
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    async with httpx2.AsyncClient(transport=transport, base_url="http://box", timeout=30) as client:
        return await client.post(path, json=body)


async def test_a_box_of_a_node_is_answered_by_the_head_and_held_to_its_caps(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, _, socket):
        session = await link.open(socket, SCOPE)
        replies = [await ask(socket) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [200, 200, 200, 400]
        assert "return a + b" in replies[0].text
        assert await asyncio.to_thread(session.waited) >= 0
        await session.close()
        assert session.usage.calls == 3
        assert session.fault is None
        assert not socket.exists()


async def test_many_calls_of_many_boxes_share_one_connection(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, desk, _):
        sockets = [tmp_path / f"{n}.sock" for n in range(8)]
        sessions = [await link.open(path, replace(SCOPE, trial=path.name, answer_scope=path.name)) for path in sockets]
        replies = await asyncio.gather(*(ask(path) for path in sockets for _ in range(3)))
        assert {reply.status_code for reply in replies} == {200}
        assert len(desk.links) == 1
        await asyncio.gather(*(session.close() for session in sessions))
        assert [session.usage.calls for session in sessions] == [3] * 8


async def test_an_outage_at_the_head_voids_the_trial_on_the_node(tmp_path: Path) -> None:
    async with linked(tmp_path, Down(script())) as (link, _, socket):
        session = await link.open(socket, SCOPE)
        await ask(socket)
        await session.close()
        assert isinstance(session.fault, ProviderDown)
        assert session.fault.under_way == {"t1"}


class Nowhere(GatewayServer):
    """A gateway whose provider is known to be down."""

    def trouble(self, *roles: str) -> str | None:
        """Down for every role."""
        return f"{', '.join(roles)}: the machine room is dark"


async def test_a_node_is_told_that_a_provider_is_down_before_its_scaffold_runs(tmp_path: Path) -> None:
    async with linked(tmp_path, kind=Nowhere) as (link, _, socket):
        with pytest.raises(InfrastructureError, match="solver: the machine room is dark"):
            await link.open(socket, SCOPE)
        assert not socket.exists()


class Refusing(GatewayServer):
    """A gateway that cannot open the session of some trials."""

    async def open(self, socket: Path, scope: CallScope) -> BoxSession:
        """Refuse those that are named after what stops them."""
        if scope.trial == "socket":
            raise InfrastructureError("the socket cannot be made")
        return await super().open(socket, scope)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (replace(SCOPE, trial="socket"), "the socket cannot be made"),
        (replace(SCOPE, models={"ratchet": "nobody"}), "nobody"),
    ],
)
async def test_a_session_that_the_head_refuses_leaves_the_others_of_its_node_alone(
    refused: CallScope, why: str, tmp_path: Path
) -> None:
    async with linked(tmp_path, kind=Refusing) as (link, desk, socket):
        session = await link.open(socket, SCOPE)
        with pytest.raises(InfrastructureError, match=why):
            await link.open(tmp_path / "other.sock", refused)
        assert (await ask(socket)).status_code == 200
        await session.close()
        assert (session.fault, session.usage.calls) == (None, 1)
        assert len(desk.links) == 1


async def test_a_session_whose_socket_cannot_be_made_on_the_node_ends_at_the_head(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, desk, _):
        with pytest.raises(InfrastructureError, match="link to the head"):
            await link.open(tmp_path / "nowhere/box.sock", SCOPE)
        async with asyncio.timeout(20):
            while desk.sessions:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_the_sockets_of_a_killed_head_are_removed_at_the_next_start(tmp_path: Path) -> None:
    left = await asyncio.to_thread(leave)
    assert await asyncio.to_thread(left.is_dir)
    async with linked(tmp_path) as (_, desk, _):
        assert not await asyncio.to_thread(left.exists)
        assert await asyncio.to_thread(desk.folder.is_dir)
    assert not await asyncio.to_thread(desk.folder.exists)


def leave() -> Path:
    """The folder of a head that died."""
    code = "from agent.trials.cluster.desk import Desk; print(Desk(None, '127.0.0.1').folder, end='')"
    return Path(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


class Echo:
    """Tools that send back what they are asked."""

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:  # noqa: ARG002
        """Its name and the request."""
        return {"name": name, "body": body.decode()}


async def test_a_box_of_a_node_asks_the_tools_that_stayed_at_the_head_and_only_those_of_its_trial(
    tmp_path: Path,
) -> None:
    async with linked(tmp_path) as (link, desk, socket):
        desk.tools["t1"] = Echo()
        session = await link.open(socket, SCOPE)
        reply = await post(socket, "/ratchet/check", {"a": 1})
        assert reply.json() == {"name": "check", "body": '{"a":1}'}
        await session.close()
        other = await link.open(socket, replace(SCOPE, trial="t2"))
        assert (await post(socket, "/ratchet/check", {"a": 1})).status_code == 404
        await other.close()


async def test_a_link_that_breaks_voids_what_it_carried_and_is_made_again_for_the_next_box(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, desk, socket):
        session = await link.open(socket, SCOPE)
        for connection in list(desk.links):
            connection.abort()
        await session.close()
        assert isinstance(session.fault, InfrastructureError)
        again = await link.open(socket, replace(SCOPE, trial="t2"))
        assert (await ask(socket)).status_code == 200
        await again.close()
        assert again.fault is None


async def test_a_stranger_without_the_runs_key_does_not_get_in(tmp_path: Path) -> None:
    async with linked(tmp_path) as (_, desk, socket):
        strange = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        for address in (replace(desk.address, key=strange), replace(desk.address, host_key=public(strange))):
            stranger = Link(address)
            with pytest.raises(InfrastructureError, match="link to the head"):
                await stranger.open(socket, SCOPE)
            await stranger.close()


def public(key: str) -> str:
    return str(asyncssh.import_private_key(key).export_public_key().decode())


async def test_a_node_can_connect_to_the_sockets_of_open_sessions_only(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, _, socket):
        other = tmp_path / "other.sock"
        server = await asyncio.start_unix_server(lambda _reader, writer: writer.write(b"secret"), other)
        session = await link.open(socket, SCOPE)
        assert link.connection is not None
        with pytest.raises(InfrastructureError, match="link to the head"):
            await link.run(link.connection.open_unix_connection(str(other)), 10)
        await session.close()
        server.close()


def test_a_scope_keeps_its_meaning_on_another_machines_clock() -> None:
    there = read_scope(told_scope(replace(SCOPE, deadline=time.monotonic() + 100, tools=Echo())))
    assert replace(there, deadline=None) == SCOPE
    assert 99 < (there.deadline or 0) - time.monotonic() <= 100
