"""What the gateway costs: latency, throughput and memory against calling an instant model directly.

python bench/gateway/run.py            one to four minutes; needs no network
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import openai
from openai.types.chat import ChatCompletionUserMessageParam

from agent.base.refusal import Refusal
from agent.base.types import Call, CallScope
from agent.config.models import ModelsConfig
from agent.kernel.record.under_way import UnderWay
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.session import BoxSession
from agent.models.ports import Dialect
from agent.models.providers.scripted import ScriptedProvider

HERE = Path(__file__).parent
ASK: ChatCompletionUserMessageParam = {"role": "user", "content": "Say twenty words."}
PAGE_KIB = 4


class Forget:
    """A CallRecord that keeps nothing: what is measured is the gateway, not a ledger."""

    def record_call(self, call: Call) -> None:
        """Forget it."""

    async def kept(self) -> None:
        """Nothing is written."""

    def record_refusal(self, refusal: Refusal) -> None:
        """Forget it."""

    def recall(self, answer_scope: str, key: str, k: int) -> Call | None:  # noqa: ARG002
        """Nothing is known."""
        return None


def rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KIB / 1024


def client_of(where: str) -> openai.AsyncOpenAI:
    """A client for a URL, or for a Unix socket as a box has it."""
    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=64)
    if where.startswith("http"):
        return openai.AsyncOpenAI(
            api_key="x", base_url=where, max_retries=0, http_client=httpx2.AsyncClient(limits=limits)
        )
    transport = httpx2.AsyncHTTPTransport(uds=where, limits=limits)
    http = httpx2.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(api_key="x", base_url="http://box/v1", max_retries=0, http_client=http)


async def latency(client: openai.AsyncOpenAI) -> float:
    start = time.perf_counter()
    await client.chat.completions.create(model="m", messages=[ASK])
    return (time.perf_counter() - start) * 1000


async def stream(client: openai.AsyncOpenAI) -> None:
    chunks = await client.chat.completions.create(model="m", messages=[ASK], stream=True)
    async for _ in chunks:
        pass


async def streams(client: openai.AsyncOpenAI, total: int, at_once: int) -> float:
    """Finished streams a second."""
    left = iter(range(total))

    async def worker() -> None:
        for _ in left:
            await stream(client)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return total / (time.perf_counter() - start)


async def as_client(direct: str, box: str, calls: int, total: int) -> None:
    """The box's side, in its own process: direct and through the gateway by turns, so that load hits both."""
    clients = {"direct": client_of(direct), "gateway": client_of(box)}
    took: dict[str, list[float]] = {name: [] for name in clients}
    for client in clients.values():
        for _ in range(20):
            await latency(client)
    for _ in range(calls):
        for name, client in clients.items():
            took[name].append(await latency(client))
    for name, values in took.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"latency {name:8s} median {statistics.median(values):.2f} ms, p95 {p95:.2f} ms")
    added = [g - d for d, g in zip(took["direct"], took["gateway"], strict=True)]
    print(f"added latency, median of pairs: {statistics.median(added):.2f} ms")
    rates: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(5):
        for name, client in clients.items():
            rates[name].append(await streams(client, total, 64))
    for name, values in rates.items():
        print(
            f"64 streams at once, {name:8s} {statistics.median(values):.0f} streams/s (median of {len(values)} rounds)"
        )
    ratio = statistics.median(rates["gateway"]) / statistics.median(rates["direct"])
    print(f"throughput against direct: {100 * ratio:.0f} %")


def start_model() -> subprocess.Popen[bytes]:
    argv = [sys.executable, str(HERE / "instant.py")]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def over_http(calls: int, total: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        server = start_model()
        try:
            if server.stdout is None:
                return
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            box = Path(folder) / "box.sock"
            config = {"solver": {"provider": "openai", "model": "m", "base_url": url, "concurrency": 64}}
            models, journal = ModelsConfig.model_validate(config), UnderWay(Path(folder))
            async with GatewayServer(models, Forget(), journal=journal) as gateway:
                session = await gateway.open(box, CallScope(trial="bench", models={"m": "solver"}))
                argv = [str(HERE / "run.py"), "--client", url, str(box), "--calls", str(calls), "--streams", str(total)]
                used = time.process_time()
                client = await asyncio.create_subprocess_exec(sys.executable, *argv)
                await client.wait()
                each = (time.process_time() - used) / max(1, session.usage.calls) * 1000
                print(f"calls through the session: {session.usage.calls}, fault: {session.fault}")
                print(f"processor time of the gateway, SDK included: {each:.2f} ms a call")
        finally:
            server.kill()
            server.wait()


async def memory(calls: int) -> None:
    """Calls without HTTP, a new session every thousand, as boxes come and go."""
    models = ModelsConfig.model_validate({"solver": {"provider": "replay", "context_window": 2048}})

    async def nothing(session: BoxSession) -> None:
        """A session that never listened needs no closing."""

    async with GatewayServer(models, Forget(), providers={"solver": ScriptedProvider(lambda _: "ok")}) as gateway:
        start, seen = time.perf_counter(), []
        for i in range(calls):
            if i % 1000 == 0:
                session = BoxSession(CallScope(trial=f"t{i}", models={"m": "solver"}, answer_scope=f"pair{i}"), nothing)
            messages = [{"role": "user", "content": f"question {i % 1000}"}]
            await gateway.call(session, Dialect.CHAT, json.dumps({"model": "m", "messages": messages}).encode())
            if i % (calls // 10) == calls // 10 - 1:
                seen.append(f"{rss_mib():.1f}")
        each = (time.perf_counter() - start) / calls * 1000
    print(f"{calls} calls in process, {each:.2f} ms each; resident MiB at every tenth: {' '.join(seen)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", nargs=2, metavar=("URL", "SOCKET"))
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--streams", type=int, default=320)
    parser.add_argument("--memory", type=int, default=100_000)
    args = parser.parse_args()
    if args.client:
        direct, box = args.client
        asyncio.run(as_client(direct, box, args.calls, args.streams))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    asyncio.run(over_http(args.calls, args.streams))
    asyncio.run(memory(args.memory))
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
