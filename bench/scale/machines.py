"""A Ray cluster on one machine whose nodes share nothing but the kernel: each with a network namespace and an engine.

Takes root, dockerd, `ip` and the extra `ray`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker

from agent.base.owner import owner_lives
from bench.faults.engine import Engine, possible, second_engine

NET = "10.231.77"
PORT = 6391
FORWARD = ("FORWARD", "-i", "rbench", "-o", "rbench", "-j", "ACCEPT")
"""Docker's rules would drop what nodes say to each other."""

RAY = str(Path(sys.executable).parent / "ray")
QUIET = {
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "240",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def available() -> bool:
    """Whether such a cluster can be made here."""
    return possible() and shutil.which("ip") is not None and Path(RAY).exists()


@dataclass
class Machine:
    """One node: its Ray process, its engine's socket, its address."""

    name: str
    process: subprocess.Popen[bytes]
    socket: Path
    address: str

    def kill(self) -> None:
        """Kill every process of its Ray at once, as when the power fails; the engine is left, to look at."""
        inside = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        for pid in inside.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.process.wait(30)

    def containers(self) -> int:
        """How many containers its engine has."""
        return len(self._owners())

    def orphans(self) -> int:
        """How many of them belong to a process that is gone."""
        return sum(not owner_lives(owner) for owner in self._owners())

    def _owners(self) -> list[str]:
        client = docker.APIClient(base_url=f"unix://{self.socket}")
        try:
            return [(found["Labels"] or {}).get("ratchet.owner", "") for found in client.containers(all=True)]
        finally:
            client.close()


@dataclass
class Machines:
    """A head without room for boxes, at `address`, and its nodes; `join` starts one more."""

    address: str
    nodes: list[Machine]
    join: Callable[[], None]


@contextmanager
def machines(count: int, cpus: int) -> Iterator[Machines]:
    """A cluster of a head and `count` nodes, each with `cpus` processors to give, and nothing on their engines."""
    with ExitStack() as stack:
        stack.enter_context(_bridge())
        head = f"{NET}.1"
        folder = Path(tempfile.mkdtemp(prefix="rr-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        start = [RAY, "start", "--block", "--disable-usage-stats", "--object-store-memory=400000000"]
        log = stack.enter_context((folder / "log").open("wb"))
        stack.enter_context(
            _process(
                [
                    *start,
                    "--head",
                    f"--node-ip-address={head}",
                    f"--port={PORT}",
                    "--num-cpus=0",
                    "--include-dashboard=false",
                    f"--temp-dir={folder / 'head'}",
                ],
                log,
                {},
            )
        )
        _await(f"{head}:{PORT}")
        nodes = list[Machine]()

        def join() -> None:
            number = len(nodes) + 1
            # Nodes that start in one folder at the same time may take the same socket.
            own = [*start, f"--temp-dir={folder / str(number)}"]
            nodes.append(stack.enter_context(_machine(number, cpus, own, log)))

        for _ in range(count):
            join()
        yield Machines(f"{head}:{PORT}", nodes, join)


@contextmanager
def _bridge() -> Iterator[None]:
    # The leftover of a killed run.
    subprocess.run(["ip", "link", "del", "rbench"], check=False, stderr=subprocess.DEVNULL)
    _ip("link", "add", "rbench", "type", "bridge")
    try:
        _ip("addr", "add", f"{NET}.1/24", "dev", "rbench")
        _ip("link", "set", "rbench", "up")
        subprocess.run(["iptables", "-I", *FORWARD], check=False)
        yield
    finally:
        subprocess.run(["iptables", "-D", *FORWARD], check=False)
        _ip("link", "del", "rbench")


@contextmanager
def _machine(number: int, cpus: int, start: list[str], log: IO[bytes]) -> Iterator[Machine]:
    name, address = f"rbench{number}", f"{NET}.{10 + number}"
    with ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        # The kernel removes it with the namespace, but only some time later.
        stack.callback(subprocess.run, ["ip", "link", "del", name], check=False, stderr=subprocess.DEVNULL)
        _ip("link", "set", name, "master", "rbench", "up")
        for command in (
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
        ):
            _ip("-n", name, *command)
        engine = stack.enter_context(_engine())
        command = [
            "ip",
            "netns",
            "exec",
            name,
            *start,
            f"--address={NET}.1:{PORT}",
            f"--node-ip-address={address}",
            f"--num-cpus={cpus}",
        ]
        process = stack.enter_context(_process(command, log, {"DOCKER_HOST": f"unix://{engine.socket}"}))
        yield Machine(name, process, engine.socket, address)


@contextmanager
def _engine() -> Iterator[Engine]:
    """An engine that only its node knows: the head keeps its own."""
    before = os.environ.get("DOCKER_HOST")
    with second_engine(None, None) as engine:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        yield engine


@contextmanager
def _process(command: list[str], log: IO[bytes], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=log,
        env={**os.environ, **QUIET, **env},
        process_group=0,  # Ctrl-C is for us: a cluster that ends at once would take its driver with it
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


def _await(address: str) -> None:
    until = time.monotonic() + 120
    while subprocess.run(
        [RAY, "health-check", f"--address={address}"], capture_output=True, check=False, env={**os.environ, **QUIET}
    ).returncode:
        if time.monotonic() > until:
            raise TimeoutError("the head of the Ray cluster does not answer")
        time.sleep(1)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
