"""A node's end of its link: a gateway to the boxes of this node, which passes their bytes on to the head's.

The connection lives in a thread of its own, so that a box whose time is up can ask how long it waited at the head
without stopping the others.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from agent.base import errors
from agent.base.errors import InfrastructureError
from agent.base.types import CallScope
from agent.base.usage import Usage
from agent.trials.cluster.desk import CIPHERS, KEEPALIVE_SECONDS, KEEPALIVES, USER, Address, told_scope

T = TypeVar("T")
ANSWERS = {"waited": "waited", "close": "usage"}
"""Question to the head -> a key of its answer."""

ASK_SECONDS = 10.0
CONNECT_SECONDS = 30.0
OPEN_SECONDS = 60.0
CLOSE_SECONDS = 120.0
BROKEN = (asyncssh.Error, OSError, ValueError, EOFError)


class Link:
    """A Sessions for this node; connects at the first session, and again after it was lost."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ratchet-link", daemon=True)
        self._thread.start()
        self.connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()

    async def open(self, socket: Path, scope: CallScope) -> RemoteSession:
        """Listen at `socket` for one box of this node. Raises InfrastructureError."""
        return await self.run(self._session(socket, scope), OPEN_SECONDS)

    def trouble(self, *_roles: str) -> None:
        """None: what is known of the providers is known at the head, which says so when a session is opened."""

    async def close(self) -> None:
        """Let go of the head, which then closes what is still open."""
        if self.connection is not None:
            self._loop.call_soon_threadsafe(self.connection.abort)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)

    async def run(self, work: Awaitable[T], seconds: float) -> T:
        """Carry something out in the link's thread. Raises InfrastructureError."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_in_time(work, seconds), self._loop))

    def ask(self, work: Awaitable[T]) -> T:
        """The same, waiting here for a few milliseconds."""
        return asyncio.run_coroutine_threadsafe(_in_time(work, ASK_SECONDS), self._loop).result()

    async def _session(self, socket: Path, scope: CallScope) -> RemoteSession:
        connection = await self._connected()
        process = await connection.create_process(encoding="utf-8")
        with ExitStack() as undo:
            undo.callback(process.close)
            process.stdin.write(json.dumps(told_scope(scope)) + "\n")
            said = json.loads(await process.stdout.readline())
            if "trouble" in said:
                raise InfrastructureError(said["trouble"])
            listener = await connection.forward_local_path(str(socket), said["path"])
            undo.callback(listener.close)
            # Any user may connect: what protects the socket is the folder that it lies in.
            await asyncio.to_thread(socket.chmod, 0o666)
            undo.pop_all()
        return RemoteSession(self, process, listener, socket)

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:
            if self.connection is None or self.connection.is_closed():
                self.connection = await self._connect()
            return self.connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        to = self._address
        return await asyncssh.connect(
            to.host,
            to.port,
            config=None,
            username=USER,
            client_keys=[asyncssh.import_private_key(to.key)],
            known_hosts=([asyncssh.import_public_key(to.host_key)], [], []),
            agent_path=None,
            encryption_algs=CIPHERS,
            compression_algs=None,
            connect_timeout=CONNECT_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=KEEPALIVES,
        )


async def _in_time(work: Awaitable[T], seconds: float) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except (*BROKEN, TimeoutError) as error:
        raise InfrastructureError(f"the link to the head failed: {error or type(error).__name__}") from error


class RemoteSession:
    """A Session of the head's gateway, for a box of this node."""

    def __init__(
        self, link: Link, process: asyncssh.SSHClientProcess[str], listener: asyncssh.SSHListener, socket: Path
    ) -> None:
        self._link, self._process, self._listener, self._socket = link, process, listener, socket
        self._waited, self._closed = 0.0, False
        self.usage, self.out_of_budget = Usage(), False
        self.fault: Exception | None = None

    def waited(self) -> float:
        """Seconds for which others delayed this box at the head, as of now."""
        try:
            self._waited = max(self._waited, float(self._link.ask(self._told("waited"))["waited"]))
        except InfrastructureError as error:
            self.fault = self.fault or error
        return self._waited

    async def close(self) -> None:
        """End the session at the head, and learn what became of it; more than once is fine."""
        if self._closed:
            return
        self._closed = True
        try:
            self._know(await self._link.run(self._end(), CLOSE_SECONDS))
        except InfrastructureError as error:
            self.fault = self.fault or error

    def _know(self, said: dict[str, Any]) -> None:
        self.usage, self.out_of_budget = Usage(**said["usage"]), bool(said["out_of_budget"])
        self.fault = self.fault or _fault(said["fault"])

    async def _end(self) -> dict[str, Any]:
        self._listener.close()
        await asyncio.to_thread(self._socket.unlink, missing_ok=True)
        try:
            return await self._told("close")
        finally:
            self._process.close()

    async def _told(self, what: str) -> dict[str, Any]:
        """Ask the head, and its answer; one to an earlier question that was given up may come first."""
        self._process.stdin.write(what + "\n")
        while line := await self._process.stdout.readline():
            said: dict[str, Any] = json.loads(line)
            if ANSWERS[what] in said:
                return said
        raise EOFError("it was cut")


def _fault(told: dict[str, Any] | None) -> InfrastructureError | None:
    """The error that the session met at the head, of the same class here."""
    if told is None:
        return None
    kind: Callable[[str], InfrastructureError] = getattr(errors, told["kind"])
    fault = kind(told["text"])
    fault.under_way = frozenset(told["under_way"])
    return fault
