"""A Docker engine that shares nothing with this machine but the kernel, behind TCP on loopback and behind ssh.

It and its containers live in a mount namespace in which our temporary folders and this checkout are empty, and in a
network namespace of their own. Takes root, dockerd, unshare and nsenter; for ssh also sshd.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from bench.faults.engine import Engine, possible, second_engine

CHECKOUT = Path(__file__).parents[2]
SSHD = "/usr/sbin/sshd"
HIDE = """
set -e
mount --bind "$0" /mnt
mount -t tmpfs none /tmp
mkdir -p "$0"
mount --move /mnt "$0"
for folder in "$@"; do [ ! -d "$folder" ] || mount -t tmpfs none "$folder"; done
echo hidden
exec cat
"""
FORWARD = """
import sys
from sandbox import forward
forward.MAX_LINKS = 400
forward.Forwarder(forward.listen(int(sys.argv[1])), sys.argv[2]).run()
"""
FORWARD_TLS = """
import asyncio, ssl, sys
port, target, home = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(home + "/cert.pem", home + "/key.pem")
context.load_verify_locations(home + "/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()
async def serve(reader, writer):
    inner_reader, inner_writer = await asyncio.open_unix_connection(target)
    await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))
async def main():
    await (await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)).serve_forever()
asyncio.run(main())
"""
SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host
AuthorizedKeysFile {home}/user.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
"""


class Elsewhere(Engine):
    """An engine in a mount namespace of its own."""

    def __init__(self, home: Path, runtimes: dict[str, dict[str, object]]) -> None:
        hidden = [folder for folder in ("/var/tmp", str(CHECKOUT)) if Path(folder).is_dir()]  # noqa: S108
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", HIDE, str(home), *hidden]
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout is None or self.holder.stdout.readline() != b"hidden\n":
            raise RuntimeError("no mount namespace")
        super().__init__(home, runtimes)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        return super()._run("nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--", *command)

    def processes(self) -> list[subprocess.Popen[bytes]]:
        return [*super().processes(), self.holder]


@contextmanager
def engine_elsewhere(image: str, source: docker.APIClient) -> Iterator[Engine]:
    """Such an engine, which holds `image`; DOCKER_HOST leads to its socket."""
    with second_engine(image, source, kind=Elsewhere) as made:
        yield made


@contextmanager
def over_tcp(engine: Engine) -> Iterator[str]:
    """The engine's address on loopback; DOCKER_HOST names it meanwhile."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", FORWARD, str(port), str(engine.socket)], cwd=CHECKOUT)
    try:
        wait_for(port)
        with _named(f"tcp://127.0.0.1:{port}") as host:
            yield host
    finally:
        process.kill()
        process.wait()


@contextmanager
def over_tls(engine: Engine, home: Path) -> Iterator[str]:
    """The same behind TLS, which asks for a certificate; `home` is a folder for it, which DOCKER_CERT_PATH names."""
    certificate(home)
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", FORWARD_TLS, str(port), str(engine.socket), str(home)])
    os.environ |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(home)}
    try:
        wait_for(port)
        with _named(f"tcp://localhost:{port}") as host:
            yield host
    finally:
        del os.environ["DOCKER_TLS_VERIFY"], os.environ["DOCKER_CERT_PATH"]
        process.kill()
        process.wait()


def certificate(home: Path) -> None:
    """A self-signed certificate for `localhost` that is authority, server and client at once."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{home}/key.pem", "-out", f"{home}/cert.pem"]
    subprocess.run([*made, *names], check=True, capture_output=True)
    shutil.copy(home / "cert.pem", home / "ca.pem")


@contextmanager
def over_ssh(engine: Engine, home: Path) -> Iterator[str]:
    """The engine's address for ssh to this machine; DOCKER_HOST names it meanwhile, and `ssh` knows the key.

    `home` is a folder for keys, with a short path.
    """
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    (home / "sshd").write_text(SSHD_CONFIG.format(port=port, home=home))
    (home / "config").write_text(
        f"Host *\nIdentityFile {home}/user\nStrictHostKeyChecking no\nUserKnownHostsFile {home}/known\nLogLevel ERROR\n"
    )
    (home / "bin").mkdir()
    (home / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/config "$@"\n')
    (home / "bin" / "ssh").chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    path = os.environ["PATH"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(home / "sshd")], stderr=log)
    try:
        wait_for(port)
        os.environ["PATH"] = f"{home / 'bin'}:{path}"
        with _named(f"ssh://root@127.0.0.1:{port}{engine.socket}") as host:
            yield host
    finally:
        os.environ["PATH"] = path
        server.terminate()
        server.wait()


def ssh_possible() -> bool:
    """Whether an sshd can be started here."""
    return possible() and Path(SSHD).exists() and shutil.which("ssh-keygen") is not None


@contextmanager
def _named(host: str) -> Iterator[str]:
    before = os.environ["DOCKER_HOST"]
    os.environ["DOCKER_HOST"] = host
    try:
        yield host
    finally:
        os.environ["DOCKER_HOST"] = before


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > until:
            raise TimeoutError(f"nothing listens at {port}")
        time.sleep(0.1)
