"""An engine behind ssh: a Unix socket of this machine that the user's own `ssh` leads to the engine's socket.

So keys, agents, jump hosts and known hosts are those of `~/.ssh/config`, and no ssh library is needed. Ssh asks
nothing: a campaign runs unattended. A broken connection is restored. Ssh ends with this process, however that ends,
since it then finds its standard input closed.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from agent.base.errors import SandboxDown, UserError
from agent.base.owner import folder_prefix

REMOTE_SOCKET = "/var/run/docker.sock"
READY_SECONDS = 30.0
RETRY_SECONDS = 2.0
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ControlPath": "none",
    "ExitOnForwardFailure": "yes",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "StreamLocalBindUnlink": "yes",
}


class Tunnel:
    """One connection by ssh, kept up until the process ends.

    Args:
        host: `ssh://[user@]host[:port][/path/of/the/engine's/socket]`.
    """

    def __init__(self, host: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=folder_prefix(), dir=_short_place()))
        self._local, self._log = self._folder / "s", self._folder / "log"
        self._command = command(host, self._local)
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        atexit.register(self.close)
        threading.Thread(target=self._keep, name="ratchet-ssh", daemon=True).start()

    def socket(self) -> Path:
        """The socket, once ssh listens there. Raises SandboxDown with what ssh said."""
        until = time.monotonic() + READY_SECONDS
        while not _listens(self._local):
            if time.monotonic() > until or self._ended():
                raise SandboxDown(f"ssh does not reach the engine: {self.said() or 'no answer'}")
            time.sleep(0.05)
        return self._local

    def said(self) -> str:
        """The last line that ssh wrote since it was last started: about trouble, or a greeting."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""

    def close(self) -> None:
        """End ssh and remove the socket."""
        self._closing.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _keep(self) -> None:
        while not self._closing.is_set():
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
                )
            self._process.wait()
            self._closing.wait(RETRY_SECONDS)


@cache
def tunnel(host: str) -> Tunnel:
    """The tunnel of this process to an engine.

    Raises:
        UserError: ssh is not installed.
    """
    if shutil.which("ssh") is None:
        raise UserError("DOCKER_HOST", f"{host} needs the program `ssh`", "Install OpenSSH's client.")
    return Tunnel(host)


def command(host: str, local: Path) -> list[str]:
    """The command line that leads `local` to the engine's socket, and ends when its standard input does."""
    parts = urlsplit(host)
    options = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
    remote = parts.path if parts.path not in {"", "/"} else REMOTE_SOCKET
    port = ["-p", str(parts.port)] if parts.port else []
    user = ["-l", parts.username] if parts.username else []
    return ["ssh", "-T", *options, *port, *user, "-L", f"{local}:{remote}", "--", parts.hostname or "", "cat"]


def _short_place() -> str | None:
    """A folder in which the path of a socket has room; None is the default one."""
    return "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None  # noqa: S108 - mkdtemp makes a private one


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0
