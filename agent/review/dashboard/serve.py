"""The dashboard's server: listen at an address, serve until interrupted."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import closing, suppress

import uvicorn

from agent.base.errors import UserError
from agent.review.dashboard.app import MAX_STREAMS, Dashboard


class _Server(uvicorn.Server):
    """Closes the dashboard's streams at shutdown; uvicorn alone would wait for them for ever."""

    def __init__(self, dashboard: Dashboard) -> None:
        super().__init__(
            uvicorn.Config(
                dashboard.app, lifespan="off", ws="none", log_level="warning", access_log=False, server_header=False,
                proxy_headers=False, timeout_graceful_shutdown=3, h11_max_incomplete_event_size=32 << 10,
                limit_concurrency=4 * MAX_STREAMS,
            )
        )  # fmt: skip
        self._dashboard = dashboard

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._dashboard.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at one address. Raises UserError."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UserError("--host", f"{host[:80]} is not an address of this machine", "Use 127.0.0.1.") from error
    listening = socket.socket(family, kind, proto)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        problem = f"cannot listen at {host} port {port} ({error.strerror})"
        raise UserError("--port", problem, "Choose another port; 0 takes any that is free.") from error
    return listening


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can connect."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_interrupted(dashboard: Dashboard, listening: socket.socket) -> None:
    """Serve until Ctrl-C."""
    with closing(listening), suppress(KeyboardInterrupt):
        _Server(dashboard).run(sockets=[listening])
