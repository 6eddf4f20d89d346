"""One Unix socket per box, one ASGI app for all: uvicorn's HTTP/1.1 protocol without uvicorn's server.

Covered: connections of a box and of all boxes together, header and body size, slow senders, a box that goes away
during a call.
Not covered: a box that floods its own session gets refusals and wastes its own time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from agent.base.errors import InfrastructureError
from agent.models.gateway.connections import Connections, bound, raise_limit
from agent.models.gateway.session import BoxSession
from agent.models.gateway.web import app
from agent.models.ports import Calls

HEADER_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 120
MAX_HEADER_BYTES = 32 << 10
_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001 - outside the tree, so nobody's setting


class _BoxProtocol(H11Protocol):
    """uvicorn's protocol, with a bound on connections and on how long a request may take to arrive."""

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, config: Config, state: ServerState, session: BoxSession, all_open: Connections) -> None:
        super().__init__(config, state, {"session": session})
        self._session, self._all_open = session, all_open
        # A box that sends nonsense must not fill the host's log; defects are logged by the app itself.
        self.logger = self.access_logger = _SILENT
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all_open.opened(self._session, self)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and not self.busy():
            self._await_request()
        super().data_received(data)
        self._all_open.used(self._session, self)
        if self._deadline is not None and self.busy():
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._all_open.closed(self._session, self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)


@dataclass(frozen=True, slots=True)
class _Open:
    path: Path
    server: asyncio.Server
    state: ServerState


class Listener:
    """Opens and closes sockets; the socket is the box's identity."""

    def __init__(self, gateway: Calls[BoxSession]) -> None:
        self._config = Config(
            app(gateway),
            http=_BoxProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        self._config.load()
        self._all_open = Connections(bound(raise_limit()))
        self._open: dict[BoxSession, _Open] = {}

    async def open(self, path: Path, session: BoxSession) -> None:
        """Listen for one box. Any user may connect: what protects the socket is the directory it lies in.

        Raises:
            InfrastructureError: the socket cannot be made.
        """
        state = ServerState()

        def protocol() -> _BoxProtocol:
            return _BoxProtocol(self._config, state, session, self._all_open)

        try:
            _remove(path)
            server = await asyncio.get_running_loop().create_unix_server(protocol, str(path), backlog=64)
            _let_everybody_in(path)
        except OSError as error:
            raise InfrastructureError(f"the gateway cannot listen at {path}: {error}") from error
        self._open[session] = _Open(path, server, state)

    async def close(self, session: BoxSession) -> None:
        """Cancel what is in flight and take the socket away."""
        opened = self._open.pop(session, None)
        if opened is None:
            return
        opened.server.close()
        tasks = list(opened.state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(opened.state.connections):
            connection.transport.abort()
        with contextlib.suppress(OSError):
            _remove(opened.path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _let_everybody_in(path: Path) -> None:
    """The box's uid must be able to connect."""
    path.chmod(0o666)
