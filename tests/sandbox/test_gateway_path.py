"""The way from loopback inside a box to the Unix socket that the gateway serves for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.base.types import BoxSpec
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.forward import MAX_LINKS, Forwarder, listen

BIG = 3 << 20


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers like a small HTTP server: echoes the body, in upper case."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
    answer = body.upper()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    await writer.drain()
    writer.close()


@pytest_asyncio.fixture(loop_scope="session")
async def linked(docker_sandbox: DockerSandbox, image: str) -> AsyncIterator[DockerBox]:
    box = await docker_sandbox.open(BoxSpec(image=image, gateway=True))
    assert box.socket is not None
    server = await asyncio.start_unix_server(serve, box.socket)
    box.socket.chmod(0o666)
    yield box
    server.close()
    await box.close()


POST = """
import sys, urllib.request
size = int(sys.argv[1])
request = urllib.request.Request("http://127.0.0.1:8080/v1/x", data=b"a" * size)
print(urllib.request.urlopen(request, timeout=20).read() == b"A" * size)
"""


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_a_box_reaches_its_gateway_and_nothing_else(linked: DockerBox) -> None:
    for size in ("10", str(BIG)):
        result = await linked.run(["python3", "-c", POST, size], env={}, timeout=30)
        assert result.output == b"True\n"
    outside = "import socket; socket.create_connection(('10.0.0.1', 80), 1)"
    assert (await linked.run(["python3", "-c", outside], env={}, timeout=10)).exit_code == 1


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_killing_the_forwarder_cuts_only_the_candidates_own_calls(linked: DockerBox) -> None:
    kill = "import os, time\nos.kill(os.getpid() - 1, 9)\ntime.sleep(.3)\n" + POST
    result = await linked.run(["python3", "-c", kill, "5"], env={}, timeout=30)
    assert result.output == b"True\n"
    assert result.orphans == 0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[int, socket.socket]]:
    """A forwarder in a thread: its port, and the server that it leads to."""
    upstream = socket.socket(socket.AF_UNIX)
    upstream.bind(str(tmp_path / "up.sock"))
    upstream.listen()
    upstream.settimeout(10)
    listener = listen(0)
    port = listener.getsockname()[1]
    forwarder = Forwarder(listener, str(tmp_path / "up.sock"))

    def run() -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            forwarder.run()

    threading.Thread(target=run, daemon=True).start()
    yield port, upstream
    upstream.close()


def test_one_side_may_end_while_the_other_still_speaks(pair: tuple[int, socket.socket]) -> None:
    port, upstream = pair
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        server, _ = upstream.accept()
        with server:
            assert server.recv(100) == b"question"
            assert server.recv(100) == b""
            server.sendall(b"answer" * 100_000)
        answer = b""
        while part := client.recv(1 << 16):
            answer += part
    assert answer == b"answer" * 100_000


def test_a_client_that_vanishes_does_not_stop_the_others(pair: tuple[int, socket.socket]) -> None:
    port, upstream = pair
    for _ in range(5):
        rude = socket.create_connection(("127.0.0.1", port), 10)
        rude.sendall(b"x" * 1000)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.close()
        upstream.accept()[0].close()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"hi")
        server, _ = upstream.accept()
        with server:
            assert server.recv(10) == b"hi"


def test_without_a_gateway_a_connection_is_closed_at_once(tmp_path: Path) -> None:
    listener = listen(0)
    port = listener.getsockname()[1]
    forwarder = Forwarder(listener, str(tmp_path / "nobody.sock"))

    def run() -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            forwarder.run()

    threading.Thread(target=run, daemon=True).start()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        assert client.recv(10) == b""


def test_links_over_the_limit_wait_until_one_ends_and_take_no_descriptor_meanwhile(
    pair: tuple[int, socket.socket],
) -> None:
    port, upstream = pair
    upstream.listen(2 * MAX_LINKS)
    upstream.settimeout(2)
    clients = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(MAX_LINKS + 1)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    servers = [upstream.accept()[0] for _ in range(MAX_LINKS)]
    with pytest.raises(TimeoutError):
        upstream.accept()
    clients[0].close()
    servers[0].close()
    upstream.settimeout(10)
    servers[0] = upstream.accept()[0]
    assert servers[0].recv(10) == b"%d" % MAX_LINKS
    for end in (*clients, *servers):
        end.close()
