"""The head's end of the links: an SSH server by which the boxes of nodes reach the gateway, and nothing else.

Covered: only a holder of the run's key gets in; it can open sessions at the gateway and connect to their sockets; a
link that breaks closes its sessions. Not covered: a node is trusted with all of that (see docs/scale.md).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh

from agent.base import errors
from agent.base.errors import RatchetError
from agent.base.gateway import Session
from agent.base.tools import Tools
from agent.base.types import CallScope, Caps
from agent.trials.executor import Sessions
from sandbox.folders import reap_temporary, temporary_folder

USER = "ratchet"
CIPHERS = ("aes128-gcm@openssh.com",)
KEEPALIVE_SECONDS, KEEPALIVES = 10, 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """All that a node needs to reach the head: keys in OpenSSH's form; nobody else has them."""

    host: str
    port: int
    host_key: str
    key: str


class Desk:
    """Serves the links of one run. `host` is the address of this machine that nodes can reach.

    `folder` holds the sockets of `sessions`, the open ones by their path.

    `tools` are what else the box of a trial may ask for, by the trial's name: they stay here, as they are no data.
    """

    def __init__(self, gateway: Sessions, host: str) -> None:
        self._gateway, self._host = gateway, host
        self.folder = temporary_folder()
        self.sessions: dict[str, Session] = {}
        self.tools: dict[str, Tools] = {}
        self.links: set[asyncssh.SSHServerConnection] = set()
        self._server: asyncssh.SSHAcceptor | None = None
        self._keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)]

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(reap_temporary)
        own, theirs = self._keys
        self._server = await asyncssh.create_server(
            lambda: _Guest(self.sessions, self.links),
            self._host,
            0,
            server_host_keys=[own],
            authorized_client_keys=asyncssh.import_authorized_keys(theirs.export_public_key().decode()),
            process_factory=self._serve,
            encryption_algs=CIPHERS,
            compression_algs=None,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=KEEPALIVES,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for link in list(self.links):
                link.abort()
            await self._server.wait_closed()
        for session in list(self.sessions.values()):
            await session.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self) -> Address:
        """What a node is told."""
        if self._server is None:
            raise ValueError("the desk is not open")
        own, theirs = self._keys
        return Address(
            host=self._host,
            port=self._server.get_port(),
            host_key=own.export_public_key().decode(),
            key=theirs.export_private_key().decode(),
        )

    async def _serve(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """One session at the gateway: its scope comes first, then questions; it ends with the channel."""
        try:
            said = await self._session(process)
        except (asyncssh.Error, OSError, ValueError):
            process.close()  # the link is gone; the node voids its trial
            return
        except Exception as error:  # noqa: BLE001 - asyncssh would close the connection, and all sessions of the node
            said = {"trouble": str(error) if isinstance(error, RatchetError) else repr(error)}
        if not process.is_closing():
            process.stdout.write(json.dumps(said) + "\n")
            process.exit(0)

    async def _session(self, process: asyncssh.SSHServerProcess[str]) -> dict[str, Any]:
        """What the node is told last. Raises what the gateway does, and what a broken channel does."""
        scope = read_scope(json.loads(await process.stdin.readline()))
        if (trouble := self._gateway.trouble(*scope.models.values())) is not None:
            return {"trouble": trouble}
        path = str(self.folder / f"{secrets.token_hex(6)}.sock")
        session = await self._gateway.open(Path(path), replace(scope, tools=self.tools.get(scope.trial)))
        self.sessions[path] = session
        try:
            process.stdout.write(json.dumps({"path": path}) + "\n")
            await self._answer(process, session)
        finally:
            try:
                await session.close()
            finally:
                del self.sessions[path]
        return report(session)

    async def _answer(self, process: asyncssh.SSHServerProcess[str], session: Session) -> None:
        while await process.stdin.readline() == "waited\n":
            process.stdout.write(json.dumps({"waited": session.waited()}) + "\n")


class _Guest(asyncssh.SSHServer):
    """A node's connection: it may connect to the sockets of open sessions."""

    def __init__(self, sockets: dict[str, Session], links: set[asyncssh.SSHServerConnection]) -> None:
        self._sockets, self._links = sockets, links
        self._link: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A node has connected."""
        self._link = conn
        self._links.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the library's signature
        """It is gone."""
        if self._link is not None:
            self._links.discard(self._link)

    def unix_connection_requested(self, dest_path: str) -> bool:
        """Whether the path is the socket of an open session."""
        return dest_path in self._sockets


def told_scope(scope: CallScope) -> dict[str, Any]:
    """A scope as it travels, without its tools: the deadline counts from now."""
    left = None if scope.deadline is None else scope.deadline - time.monotonic()
    return {**asdict(replace(scope, models={}, tools=None, deadline=left)), "models": dict(scope.models)}


def read_scope(told: dict[str, Any]) -> CallScope:
    """What `told_scope` told, on this machine's clock."""
    deadline = None if told["deadline"] is None else time.monotonic() + told["deadline"]
    return CallScope(**{**told, "caps": Caps(**told["caps"]), "deadline": deadline})


def report(session: Session) -> dict[str, Any]:
    """What is known of a session at its end."""
    fault = session.fault
    known = [kind.__name__ for kind in type(fault).__mro__ if getattr(errors, kind.__name__, None) is kind]
    told = fault and {
        "kind": (known or ["InfrastructureError"])[0],
        "text": str(fault),
        "under_way": sorted(getattr(fault, "under_way", ())),
    }
    return {"usage": asdict(session.usage), "fault": told, "out_of_budget": session.out_of_budget}
