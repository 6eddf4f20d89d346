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
from docker.errors import DockerException, create_api_error_from_http_exception
from requests.exceptions import HTTPError, RequestException

from agent.base.errors import SandboxDown, UserError
from sandbox.endpoint import DEFAULT_HOST, endpoint

ENGINE_ERRORS = (DockerException, RequestException, OSError)
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


def connect(*, timeout: float = CLIENT_SECONDS, pool: int = 16) -> docker.APIClient:
    """A client of the engine; speaks the newest API version that both sides know.

    Raises:
        SandboxDown: no engine answers.
        UserError: the engine's address is not one that can be used.
    """
    engine = endpoint()
    try:
        return engine.client(timeout, pool)
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"no container engine answers at {engine.host}: {brief(error)}{engine.trouble()}") from error


def unpack(client: docker.APIClient, container: str, path: str, archive: bytes) -> None:
    """Unpack an archive in a container, with the owners that the archive names.

    Raises one of `ENGINE_ERRORS`.
    """
    answer = client.put(
        f"{client.base_url}/v{client.api_version}/containers/{container}/archive",
        params={"path": path, "copyUIDGID": "false"},  # Podman would give the files to the container's user
        data=archive,
        timeout=client.timeout,
    )
    try:
        answer.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)


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
    except UserError as error:
        return EngineStatus(ok=False, line=f"{error.field}: {error.problem}", fix=error.fix)
    except (SandboxDown, *ENGINE_ERRORS) as error:
        return EngineStatus(ok=False, line=brief(error), fix=_fix(endpoint().host))
    host = endpoint().host
    where = "" if host == DEFAULT_HOST else f", at {host}"
    line = f"{engine_name(version)} {version['Version']}, API {version['ApiVersion']}{where}"
    return EngineStatus(ok=True, line=line)


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
    if (named := endpoint()).host != DEFAULT_HOST:
        raise UserError(named.source, status.line, "Start that engine, or name another one")
    if not _can_install():
        raise UserError("docker", status.line, HOW)
    if shutil.which("dockerd") is None:
        say("engine: installing docker.io")
        apt_install("docker.io")
    say(f"engine: starting dockerd, log in {LOG}")
    _launch()
    return _await_engine()


def _fix(host: str) -> str:
    """What helps if no engine answers at an address."""
    if host.startswith("ssh://"):
        return f"Make `docker -H {host} version` work without a question, or set DOCKER_HOST to another engine"
    return "ratchet doctor --fix" if _can_install() and host == DEFAULT_HOST else HOW


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
