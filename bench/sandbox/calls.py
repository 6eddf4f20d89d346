"""What the way out of a box adds to a model call, and a trivial job, for an engine here and one elsewhere.

python -m bench.sandbox.calls     writes calls.json beside this file

Three ways by turns on one machine: the mounted socket, the stream of the engine of this machine, and the stream of an
engine that shares nothing, through TCP on loopback. A call is one request on a kept connection to a server that
answers at once; what it takes from this process to the same server is subtracted. Takes root and dockerd.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import statistics
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from agent.base.types import BoxSpec
from bench.sandbox.elsewhere import engine_elsewhere, over_tcp
from bench.sandbox.run import JOB, PYTHON, timed
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect
from sandbox.image import ensure_image

CALLS, JOBS, ROUNDS = 60, 5, 10
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 4000}]}).encode()
ANSWER = b'{"choices": [{"message": {"content": "' + b"y" * 2000 + b'"}}]}'
ASK = f"""
import http.client, json, time
body, times = b"x" * {len(BODY)}, []
link = http.client.HTTPConnection("127.0.0.1", 8080)
for _ in range({CALLS}):
    start = time.perf_counter()
    link.request("POST", "/v1/chat/completions", body)
    assert len(link.getresponse().read()) == {len(ANSWER)}
    times.append(time.perf_counter() - start)
print(json.dumps(times))
"""


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A model that answers at once, on one connection for as long as the client likes."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while head := (await reader.readuntil(b"\r\n\r\n")).lower():
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
    writer.close()


def tenth(times: list[float]) -> float:
    """The time below which a tenth of them lie: what the machine does when nobody else wants it."""
    return statistics.quantiles(times, n=10)[0]


class _Link(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def direct(path: Path) -> list[float]:
    """The same calls without a box."""
    link, times = _Link(path), []
    for _ in range(CALLS):
        start = time.perf_counter()
        link.request("POST", "/v1/chat/completions", b"x" * len(BODY))
        link.getresponse().read()
        times.append(time.perf_counter() - start)
    link.close()
    return times


class Way:
    """A sandbox, one box with a gateway in it, and what was measured."""

    def __init__(self, sandbox: DockerSandbox, box: DockerBox, socket: Path) -> None:
        self.sandbox, self.box, self.socket = sandbox, box, socket
        self.calls: list[float] = []
        self.floors: list[float] = []
        self.jobs: list[float] = []

    async def turn(self) -> None:
        self.floors += await asyncio.to_thread(direct, self.socket)
        run = await self.box.run(["python3", "-c", ASK], env={}, timeout=60)
        self.calls += json.loads(run.output)
        for _ in range(JOBS):
            start = time.perf_counter()
            await self.box.run(JOB, env={}, timeout=60)
            self.jobs.append(time.perf_counter() - start)

    def figures(self, host: list[float]) -> dict[str, object]:
        return {
            "shared": self.sandbox.shared,
            "call_added_ms": {
                "medians": round(1000 * (statistics.median(self.calls) - statistics.median(self.floors)), 2),
                "tenths": round(1000 * (tenth(self.calls) - tenth(self.floors)), 2),
            },
            "job_to_host": {
                "medians": round(statistics.median(self.jobs) / statistics.median(host), 2),
                "tenths": round(tenth(self.jobs) / tenth(host), 2),
            },
        }


async def way(stack: AsyncExitStack, folder: Path, image: str, *, stream: bool) -> Way:
    sandbox = await stack.enter_async_context(DockerSandbox("bench", "calls", folder, ready=0, stream=stream))
    box = await sandbox.open(BoxSpec(image=image, gateway=True))
    if box.socket is None:
        raise RuntimeError("no gateway")
    server = await asyncio.start_unix_server(answer, box.socket)
    box.socket.chmod(0o666)
    stack.callback(server.close)
    return Way(sandbox, box, box.socket)


async def measure() -> dict[str, object]:
    image, source = ensure_image(), connect()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rt-")))
        ways = {
            "mounted socket": await way(stack, folder / "a", image, stream=False),
            "stream": await way(stack, folder / "b", image, stream=True),
        }
        engine = stack.enter_context(engine_elsewhere(image, source))
        stack.enter_context(over_tcp(engine))
        ways["elsewhere, over TCP"] = await way(stack, folder / "c", image, stream=False)
        host: list[float] = []
        for _ in range(ROUNDS):
            host += [await asyncio.to_thread(timed, [PYTHON, "-c", "pass"]) for _ in range(JOBS)]
            for one in ways.values():
                await one.turn()
        for one in ways.values():
            await one.box.close()
            await one.sandbox.settle()
        return {"load_average": os.getloadavg(), **{name: one.figures(host) for name, one in ways.items()}}


def main() -> None:
    text = json.dumps(asyncio.run(measure()), indent=1)
    (Path(__file__).parent / "calls.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
