"""A Docker engine apart from the machine's own, on a small disk, to be killed and filled at will. Takes root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from sandbox.engine import connect, engine_status

DISK_MB = 1200


def possible() -> bool:
    """Whether a second engine can be started here."""
    return os.geteuid() == 0 and shutil.which("dockerd") is not None and shutil.which("unshare") is not None


@contextmanager
def second_engine(
    image: str | None,
    source: docker.APIClient | None,
    runtimes: dict[str, dict[str, object]] | None = None,
    *,
    kind: type[Engine] | None = None,
) -> Iterator[Engine]:
    """A running engine that holds `image`, if one is named; DOCKER_HOST leads to it, here and in processes started
    meanwhile.

    `runtimes` are further ones, as daemon.json names them. `kind` is a class of engine of the caller's own.
    """
    # A socket's path may have 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", home], check=True)
    before, made = os.environ.get("DOCKER_HOST"), (kind or Engine)(home, runtimes or {})
    os.environ["DOCKER_HOST"] = f"unix://{made.socket}"
    try:
        made.start()
        if image is not None and source is not None:
            connect(timeout=300).load_image(source.get_image(image))  # type: ignore[no-untyped-call]
        yield made
    finally:
        for process in made.processes():
            if process.poll() is None:
                process.terminate()
                process.wait(60)
        if before is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = before
        subprocess.run(["umount", "--recursive", "--lazy", home], check=False)
        home.rmdir()


class Engine:
    """A dockerd of our own, on a small disk of its own, without a network of its own."""

    def __init__(self, home: Path, runtimes: dict[str, dict[str, object]]) -> None:
        self.home, self.socket = home, home / "d.sock"
        self.process: subprocess.Popen[bytes] | None = None
        config = home / "containerd.toml"
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self.daemon = home / "daemon.json"
        self.daemon.write_text(json.dumps({"runtimes": runtimes}))
        self.containerd = self._run(
            "containerd",
            f"--config={config}",
            f"--root={home}/c-data",
            f"--state={home}/c-state",
            f"--address={home}/c.sock",
        )

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as log:
            # Ctrl-C is for us, and we end it in order.
            return subprocess.Popen(command, stdout=log, stderr=log, process_group=0)

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        # In a network namespace of its own: a dockerd with `--bridge=none` deletes the bridge of the other one.
        self.process = self._run(
            "unshare",
            "--net",
            "dockerd",
            f"--config-file={self.daemon}",
            f"--containerd={self.home}/c.sock",
            f"--data-root={self.home}/data",
            f"--exec-root={self.home}/exec",
            f"--pidfile={self.home}/pid",
            f"--host=unix://{self.socket}",
            "--bridge=none",
            "--iptables=false",
        )
        until = time.monotonic() + 60
        while not engine_status().ok:
            if time.monotonic() > until:
                raise TimeoutError((self.home / "log").read_text()[-2000:])
            time.sleep(0.2)

    def stop(self, number: int) -> None:
        """End dockerd by a signal: in order by SIGTERM, at once by SIGKILL."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)

    def processes(self) -> list[subprocess.Popen[bytes]]:
        """What has to end with it, in this order."""
        return [self.containerd] if self.process is None else [self.process, self.containerd]

    def fill(self) -> Path:
        """Fill the engine's disk, again where boxes that ended left room; removing the file returned frees it."""
        return fill(self.home)


def fill(folder: Path) -> Path:
    """Make a file longer until the disk below `folder` is full."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * (1 << 16))
        except OSError:
            return filler
