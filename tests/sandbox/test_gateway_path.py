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

from agent.base.types import BoxSpec, Ending
from sandbox.box import DockerBox
from sandbox.engine_sandbox import EngineSandbox
from sandbox.forward import MAX_LINKS, Forwarder, listen

BIG = 3 << 20


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers like a small HTTP server: echoes the body, in upper case."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    if length > BIG:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
    body = await reader.readexactly(length)
    answer = body.upper()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    await writer.drain()
    writer.close()


@pytest_asyncio.fixture(loop_scope="session")
async def linked(either_sandbox: EngineSandbox, image: str) -> AsyncIterator[DockerBox]:
    box = await either_sandbox.open(BoxSpec(image=image, gateway=True))
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
async def test_killing_what_carries_the_calls_cuts_only_the_candidates_own(linked: DockerBox) -> None:
    # The process started before the command's is the forwarder; where PID 1 carries the calls there is none to kill.
    kill = "import os, time\ntry: os.kill(os.getpid() - 1, 9)\nexcept OSError: pass\ntime.sleep(.3)\n" + POST
    result = await linked.run(["python3", "-c", kill, "5"], env={}, timeout=30)
    assert result.output == b"True\n"
    assert result.orphans == 0


FLOOD = """
import os, socket, threading, time, urllib.request
def flood():
    s = socket.create_connection(("127.0.0.1", 8080))
    try:
        s.sendall(b"POST / HTTP/1.1\\r\\nContent-Length: 999999999999\\r\\n\\r\\n")
        while True: s.sendall(b"x" * 65536)
    except OSError: print("broken")
for _ in range(20): threading.Thread(target=flood, daemon=True).start()
time.sleep(1)
for _ in range(3): print(urllib.request.urlopen("http://127.0.0.1:8080/", timeout=50).status, flush=True)
os._exit(3)
"""


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_a_flood_on_some_connections_stops_neither_other_calls_nor_the_end_of_a_command(
    linked: DockerBox,
) -> None:
    result = await linked.run(["python3", "-c", FLOOD], env={}, timeout=120)
    assert (result.ending, result.exit_code, result.output) == (Ending.EXITED, 3, b"200\n" * 3)
    assert (await linked.run(["echo", "on"], env={}, timeout=20)).output == b"on\n"


CROWD = """
import select, socket
def ask(n):
    s = socket.create_connection(("127.0.0.1", 8080))
    s.sendall(b"POST /crowd HTTP/1.1\\r\\nContent-Length: 0\\r\\n\\r\\n")
    return s
kept = [ask(n) for n in range(100)]
select.select(kept, [], [], 20)  # one was taken
"""


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_connections_of_one_command_are_not_carried_in_the_next(
    either_sandbox: EngineSandbox, image: str
) -> None:
    """What nobody took before the end of a command is closed with it."""
    seen: list[bytes] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
        writer.close()

    box = await either_sandbox.open(BoxSpec(image=image, gateway=True))
    assert box.socket is not None
    server = await asyncio.start_unix_server(slow, box.socket)
    box.socket.chmod(0o666)
    await box.run(["python3", "-c", CROWD], env={}, timeout=30)
    await asyncio.sleep(0.3)
    first = len(seen)
    await box.run(["sleep", "1"], env={}, timeout=30)
    assert first > 0
    assert len(seen) == first
    server.close()
    await box.close()


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
