"""Connections of a box over the pipe to its runner: both ends against one another, and the host's end against a box."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from sandbox import channels, frames
from sandbox.carry import Carrier
from sandbox.forward import MAX_LINKS, listen
from sandbox.relay import Relay
from sandbox.wire import UNSENT_MAX, Lost, Wire

LIMIT = 1 << 16
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def stdout(frame: bytes) -> bytes:
    """A frame as the engine passes on what a container writes."""
    return b"\1\0\0\0" + len(frame).to_bytes(4, "big") + frame


class Runner:
    """PID 1's part of it, in a thread: a carrier, and control frames beside it."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe, self._decoder = pipe, frames.Decoder()
        listener = listen(0)
        self.port = listener.getsockname()[1]
        self.carrier = Carrier(listener, self.send)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for the thread, which ends when the other side has closed the pipe, and close this side.

        Closed earlier, the descriptor's number could go to a pipe of a later child while the thread still polls it.
        That poll would keep the pipe open, and who waits for the child's output would wait for ever.
        """
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._pipe.close()

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self._pipe.sendall(stdout(frames.frame(kind, payload)))

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        self.carrier.start(poll)
        with contextlib.suppress(OSError):
            while True:
                for end, events in poll.poll():
                    if end != self._pipe.fileno():
                        self.carrier.event(end, events)
                        continue
                    if not (data := self._pipe.recv(frames.CHUNK)):
                        return
                    self._decoder.feed(data)
                    while got := self._decoder.next(LIMIT):
                        self._take(*got)

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == frames.RUN:  # here: a command has ended
            self.carrier.stop()
            self.send(frames.DONE)
        else:
            self.carrier.frame(kind, payload)


@pytest_asyncio.fixture
async def pipe() -> AsyncIterator[tuple[Wire, Runner]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    wire = Wire(*await asyncio.open_connection(sock=ours))
    runner = Runner(theirs)
    yield wire, runner
    await wire.close()
    await asyncio.to_thread(runner.end)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "g.sock"


@contextlib.asynccontextmanager
async def gateway(wire: Wire, target: Path, serve: Serve) -> AsyncIterator[asyncio.Queue[bytes]]:
    """Serves the box's connections; gives the kinds of the control frames that come meanwhile."""
    server = await asyncio.start_unix_server(serve, target)
    wire.relay(target)
    control: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive() -> None:
        with contextlib.suppress(Lost):
            while True:
                control.put_nowait((await wire.receive(LIMIT))[0])

    receiving = asyncio.create_task(receive())
    yield control
    receiving.cancel()
    server.close()


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers when the client has said all."""
    writer.write((await reader.read(-1)).upper())
    await writer.drain()
    writer.close()


async def asked(port: int, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(question)
    writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    return answer


@pytest.mark.parametrize("size", [0, 1, channels.PIECE, channels.WINDOW, channels.WINDOW + 1, 3 << 20])
async def test_any_number_of_bytes_goes_there_and_back(pipe: tuple[Wire, Runner], target: Path, size: int) -> None:
    wire, runner = pipe
    async with gateway(wire, target, upper):
        assert await asked(runner.port, b"a" * size) == b"A" * size


async def test_many_connections_at_a_time_keep_their_bytes_apart(pipe: tuple[Wire, Runner], target: Path) -> None:
    wire, runner = pipe
    questions = [b"%d-" % number * 20_000 for number in range(2 * MAX_LINKS)]
    async with gateway(wire, target, upper):
        assert await asyncio.gather(*(asked(runner.port, one) for one in questions)) == questions


async def test_neither_a_gateway_nor_a_client_that_reads_nothing_holds_up_others(
    pipe: tuple[Wire, Runner], target: Path
) -> None:
    wire, runner = pipe
    stuck = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readexactly(1)) == b"!":
            writer.write(b"x" * (8 << 20))
            await stuck.wait()
        await upper(reader, writer)

    async with gateway(wire, target, serve) as control:
        floods = [await asyncio.open_connection("127.0.0.1", runner.port) for _ in range(5)]
        for _, writer in floods:
            writer.write(b"!" + b"y" * (8 << 20))
        await asyncio.sleep(0.5)
        assert await asyncio.wait_for(asked(runner.port, b" please"), 10) == b"PLEASE"
        await asyncio.to_thread(runner.send, frames.OUT, b"still here")
        assert await asyncio.wait_for(control.get(), 10) == frames.OUT
        stuck.set()
        for _, writer in floods:
            writer.close()


async def test_the_end_of_a_command_is_the_end_of_its_connections(pipe: tuple[Wire, Runner], target: Path) -> None:
    wire, runner = pipe
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        with contextlib.suppress(OSError):
            await reader.read(-1)
        ended.set()
        writer.close()

    async with gateway(wire, target, serve) as control:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
        assert await reader.readexactly(5) == b"hello"
        await wire.send(frames.RUN)
        assert await asyncio.wait_for(control.get(), 10) == frames.DONE
        assert await reader.read(-1) == b""
        await asyncio.wait_for(ended.wait(), 10)
        writer.close()


async def test_without_a_gateway_a_connection_is_closed_at_once(pipe: tuple[Wire, Runner], target: Path) -> None:
    wire, runner = pipe
    wire.relay(target)
    receiving = asyncio.create_task(wire.receive(LIMIT))
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    assert await asyncio.wait_for(reader.read(-1), 10) == b""
    writer.close()
    receiving.cancel()


async def test_a_client_that_vanishes_frees_its_place(pipe: tuple[Wire, Runner], target: Path) -> None:
    wire, runner = pipe
    async with gateway(wire, target, upper):
        for _ in range(3 * MAX_LINKS):
            rude = socket.create_connection(("127.0.0.1", runner.port), 10)
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            rude.send(b"x")
            rude.close()
        assert await asyncio.wait_for(asked(runner.port, b"please"), 10) == b"PLEASE"


async def test_an_answer_arrives_whole_though_the_gateway_does_not_read_the_question(
    pipe: tuple[Wire, Runner], target: Path
) -> None:
    wire, runner = pipe

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"too long" * 1000)
        writer.write_eof()
        await asyncio.sleep(0.2)
        writer.close()

    async with gateway(wire, target, refuse):
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
        writer.write(b"y" * 1000)
        assert await asyncio.wait_for(reader.read(-1), 10) == b"too long" * 1000
        writer.close()


# ------------------------------------------------------------------ a box that keeps to nothing


class Sent:
    """What a relay sends to its box."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bytes]] = []

    def __call__(self, kind: bytes, payload: bytes) -> None:
        self.frames.append((kind, payload))


@pytest_asyncio.fixture
async def relay(target: Path) -> AsyncIterator[Relay]:
    """Leads to a gateway that accepts and reads nothing."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(target))
    listener.listen(100)
    made = Relay(target, Sent())
    yield made
    made.close()
    listener.close()


def opened(relay: Relay, number: int) -> None:
    relay.frame(channels.OPEN, channels.payload(number))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (channels.OPEN, b""),
        (channels.OPEN, channels.payload(1)),
        (channels.OPEN, channels.payload(9, b"more")),
        (channels.DATA, channels.payload(1, bytes(channels.PIECE + 1))),
        (channels.CREDIT, channels.payload(1)),
        (channels.CREDIT, channels.credit(1, 1)),
        (channels.CREDIT, channels.credit(1, 0xFFFFFFFF)),
        (channels.END, b"\0"),
        (channels.RESET, channels.payload(1, b"?")),
    ],
)
async def test_a_frame_that_no_honest_runner_sends_is_refused(relay: Relay, kind: bytes, content: bytes) -> None:
    opened(relay, 1)
    with pytest.raises(frames.Malformed):
        relay.frame(kind, content)


async def test_a_channel_too_many_is_refused(relay: Relay) -> None:
    for number in range(1, MAX_LINKS + 1):
        opened(relay, number)
    with pytest.raises(frames.Malformed):
        opened(relay, MAX_LINKS + 1)


@pytest.mark.parametrize("connected", [False, True])
async def test_more_bytes_than_were_granted_are_refused(relay: Relay, connected: bool) -> None:
    opened(relay, 1)
    piece = channels.payload(1, bytes(channels.PIECE))

    async def flood() -> None:
        for _ in range(100 * channels.WINDOW // channels.PIECE):
            relay.frame(channels.DATA, piece)
            if connected:
                await asyncio.sleep(0)

    with pytest.raises(frames.Malformed):
        await flood()


async def test_data_after_the_end_is_refused(relay: Relay) -> None:
    opened(relay, 1)
    relay.frame(channels.END, channels.payload(1))
    with pytest.raises(frames.Malformed):
        relay.frame(channels.DATA, channels.payload(1, b"x"))


FRAMES = st.tuples(
    st.sampled_from(sorted(channels.KINDS)),
    st.one_of(
        st.binary(max_size=12),
        st.builds(channels.payload, st.integers(0, 5), st.binary(max_size=100)),
        st.builds(channels.credit, st.integers(0, 5), st.integers(0, 300)),
    ),
)


@given(st.lists(FRAMES, max_size=40))
def test_whatever_a_box_sends_is_passed_on_or_refused(sent: list[tuple[bytes, bytes]]) -> None:
    async def feed() -> None:
        relay = Relay(Path("/nonexistent/g.sock"), Sent())
        try:
            for kind, content in sent:
                relay.frame(kind, content)
                await asyncio.sleep(0)
        except frames.Malformed:
            pass
        finally:
            relay.close()

    asyncio.run(feed())


async def test_a_box_that_does_not_read_what_it_asked_for_is_cut_off(pipe: tuple[Wire, Runner]) -> None:
    wire, runner = pipe
    assert runner.port
    go_on = threading.Event()
    runner.carrier.frame = lambda *_: go_on.wait()  # type: ignore[method-assign]
    payload, sent = channels.payload(1, bytes(channels.PIECE)), 0
    while sent < 2 * UNSENT_MAX and not wire.ended:
        wire.post(channels.DATA, payload)
        sent += len(payload)
    with pytest.raises(frames.Malformed, match="does not read"):
        await wire.receive(LIMIT)
    assert sent < UNSENT_MAX + (4 << 20)
    go_on.set()


async def test_half_closed_connections_do_not_keep_the_runner_busy(pipe: tuple[Wire, Runner], target: Path) -> None:
    wire, runner = pipe

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with gateway(wire, target, wait):
        _, writer = await asyncio.open_connection("127.0.0.1", runner.port)
        writer.write_eof()
        await asyncio.sleep(0.3)
        before = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - before < 0.25
        writer.close()
