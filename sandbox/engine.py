"""The container engine of this machine: is it there, can it be brought up, and a client for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from agent.base.errors import SandboxDown, UserError

ENGINE_ERRORS = (DockerException, RequestException, OSError)
DEFAULT_HOST = "unix:///var/run/docker.sock"
CLIENT_SECONDS = 60
START_SECONDS = 60
LOG = Path("/var/log/ratchet-dockerd.log")
SYSTEMD = Path("/run/systemd/system")
HOW = "Install Docker, start it, and let this user reach its socket (DOCKER_HOST)"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineStatus:
    """Whether an engine answers; `line` says it in words, `fix` is the command that helps, if one is known."""

    ok: bool
    line: str
    fix: str = ""


def engine_host() -> str:
    """Where the engine listens.

    Raises:
        UserError: DOCKER_HOST is not a Unix socket; a box shares a folder with this machine.
    """
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    if not host.startswith("unix://"):
        raise UserError("DOCKER_HOST", f"{host} is not a Unix socket", "Use an engine on this machine, as unix:///path")
    return host


def connect(*, timeout: float = CLIENT_SECONDS, pool: int = 16) -> docker.APIClient:
    """A client of the engine; speaks the newest API version that both sides know.

    Raises:
        SandboxDown: no engine answers.
    """
    try:
        return docker.APIClient(base_url=engine_host(), version="auto", timeout=int(timeout), max_pool_size=pool)
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"no container engine answers at {engine_host()}: {brief(error)}") from error


def brief(error: BaseException) -> str:
    """The last, telling part of an engine's error in one line."""
    explanation = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return " ".join(str(explanation).split())[-300:]


def engine_status() -> EngineStatus:
    """Ask the engine for its version; quick, changes nothing."""
    try:
        client = connect(timeout=10)
        version = client.version()
        client.close()
    except (SandboxDown, *ENGINE_ERRORS) as error:
        fix = "ratchet doctor --fix" if _can_install() else HOW
        return EngineStatus(ok=False, line=brief(error), fix=fix)
    return EngineStatus(ok=True, line=f"{engine_name(version)} {version['Version']}, API {version['ApiVersion']}")


def engine_name(version: Mapping[str, Any]) -> str:
    """What an engine's `version` answer calls it: `engine` for Docker's own, `Podman Engine`."""
    names = [part["Name"] for part in version.get("Components") or ()]
    return next((name for name in names if "Podman" in name), "engine")


def start_engine(say: Callable[[str], None] = print) -> EngineStatus:
    """Bring an engine up where none answers: package docker.io if absent, then dockerd, then wait for it.

    Raises:
        UserError: that takes root on Debian or Ubuntu, or DOCKER_HOST names another engine.
        SandboxDown: it was started and does not answer.
    """
    status = engine_status()
    if status.ok:
        return status
    if os.environ.get("DOCKER_HOST"):
        raise UserError("DOCKER_HOST", status.line, "Start that engine, or unset DOCKER_HOST")
    if not _can_install():
        raise UserError("docker", status.line, HOW)
    if shutil.which("dockerd") is None:
        say("engine: installing docker.io")
        apt_install("docker.io")
    say(f"engine: starting dockerd, log in {LOG}")
    _launch()
    return _await_engine()


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(*packages: str) -> None:
    """Install Debian packages as root.

    Raises:
        UserError: this user cannot, or apt failed.
    """
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    fix = "As root: apt-get update && " + " ".join(command)
    if not _can_install():
        raise UserError(packages[0], "not installed", fix)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if not SYSTEMD.exists():
        # Then the package's own start-up script must not race with the engine that is started below.
        quiet["RUNLEVEL"] = "1"
    for step in (["apt-get", "update"], command):
        done = subprocess.run(step, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode and step is command:
            raise UserError(packages[0], f"cannot be installed: {done.stderr.strip()[-200:]}", fix)


def _launch() -> None:
    """Start dockerd as a service, or else as its own session, so that it outlives this process."""
    if SYSTEMD.exists():
        subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
        return
    with LOG.open("ab") as log:
        subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _await_engine() -> EngineStatus:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        status = engine_status()
        if status.ok:
            return status
        time.sleep(0.3)
    said = LOG.read_text(errors="replace") if LOG.exists() else ""
    tail = said.strip().splitlines()[-1:] or ["no log; try: journalctl -u docker"]
    raise SandboxDown(f"dockerd was started and does not answer in {START_SECONDS} s: {tail[0][:300]}")
