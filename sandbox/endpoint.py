"""Where the container engine listens, and which way leads there: DOCKER_HOST, else the current Docker context.

`unix://` is an engine on this machine, or in a virtual machine that shows its socket here (Docker Desktop, Colima).
`tcp://` is plain, or TLS with the files that DOCKER_CERT_PATH or the context names. `ssh://[user@]host[:port][/socket]`
goes through the user's own ssh, see `sandbox.tunnel`.
"""

from __future__ import annotations

import os
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from agent.base.errors import UserError
from sandbox.tunnel import tunnel

DEFAULT_HOST = "unix:///var/run/docker.sock"
SCHEMES = ("unix", "tcp", "ssh")
_PORTS = {False: 2375, True: 2376}


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """An engine's address. `host` is as it was named, `source` is who named it."""

    host: str
    source: str
    tls: TLSConfig | None = None

    @property
    def may_share(self) -> bool:
        """Whether the engine can be on this machine, and so may share folders and Unix sockets with us."""
        return sys.platform == "linux" and self.host.startswith("unix://")

    @property
    def plain(self) -> bool:
        """Whether the way there is neither encrypted nor proves who asks."""
        return self.host.startswith("tcp://") and self.tls is None

    def url(self) -> str:
        """What a client connects to; for ssh a socket of this machine. Raises SandboxDown, UserError."""
        return f"unix://{tunnel(self.host).socket()}" if self.host.startswith("ssh://") else self.host

    def client(self, timeout: float, pool: int) -> docker.APIClient:
        """A client that speaks the newest API version that both sides know."""
        return _Client(
            base_url=self.url(), version="auto", timeout=int(timeout), max_pool_size=pool, tls=self.tls or False
        )

    def trouble(self) -> str:
        """What ssh last said about the way there, if it leads over ssh; in parentheses, or empty."""
        said = tunnel(self.host).said() if self.host.startswith("ssh://") else ""
        return said and f" (ssh: {said})"

    def address(self) -> tuple[str, int]:
        """Host name and port of a `tcp://` engine."""
        parts = urlsplit(self.host)
        return parts.hostname or "127.0.0.1", parts.port or _PORTS[self.tls is not None]

    def ssl(self) -> ssl.SSLContext | None:
        """For connections beside the client's."""
        if self.tls is None:
            return None
        context = ssl.create_default_context(cafile=self.tls.ca_cert if self.tls.verify else None)
        if not self.tls.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.tls.cert:
            context.load_cert_chain(*self.tls.cert)
        return context


class _Client(docker.APIClient):
    """Without the proxies of the environment: a connection that is attached to a container cannot go through one."""

    def merge_environment_settings(self, *args: Any, **more: Any) -> Any:
        self.trust_env = False
        return super().merge_environment_settings(*args, **more)


def endpoint() -> Endpoint:
    """The engine that the environment names.

    Raises:
        UserError: no client can reach such an address, or its certificates are missing.
    """
    try:
        found = _named()
    except DockerException as error:
        fix = "Correct the files, or unset DOCKER_CERT_PATH and DOCKER_TLS_VERIFY."
        raise UserError("DOCKER_CERT_PATH", f"the certificates cannot be used ({error})", fix) from error
    scheme, _, rest = found.host.partition("://")
    if scheme not in SCHEMES or not rest:
        fix = "Use unix:///path, tcp://host:port or ssh://user@host."
        raise UserError(found.source, f"no engine can be reached at {found.host}", fix)
    return found


def _named() -> Endpoint:
    if host := os.environ.get("DOCKER_HOST"):
        tls = kwargs_from_env().get("tls") if host.startswith("tcp://") else None
        return Endpoint(host=host, source="DOCKER_HOST", tls=tls)
    name, host, tls = _context()
    return (
        Endpoint(host=host, source=f"Docker context `{name}`", tls=tls)
        if name
        else Endpoint(host=DEFAULT_HOST, source="DOCKER_HOST")
    )


def _context() -> tuple[str, str, TLSConfig | None]:
    """The current Docker context, its engine's address and TLS files; an empty name for the default one."""
    try:
        found = ContextAPI.get_current_context()
    except Exception as error:  # the SDK raises bare exceptions for a damaged file
        fix = "Repair it with `docker context`, or set DOCKER_HOST."
        raise UserError("Docker context", f"cannot be read ({error})", fix) from error
    if found is None or found.name == "default" or not found.Host:
        return "", DEFAULT_HOST, None
    tls = found.TLSConfig
    return found.name, found.Host, tls if isinstance(tls, TLSConfig) and found.Host.startswith("tcp://") else None


def socket_path(url: str) -> Path:
    """The path of a `unix://` address."""
    return Path(url.removeprefix("unix://"))
