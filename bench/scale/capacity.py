"""What one call and one trial cost the head of a cluster: processor time, rows, fsyncs, bytes; on this machine.

python -m bench.scale.capacity [--sessions N] [--calls N]     writes capacity.json beside this file

The head is a process of its own: gateway, desk and ledger as in a campaign. Boxes are clients at the end of a link, as
on a node, and their model answers at once, over HTTP, as a hosted one would. Trials are sent to a node that answers at
once instead of running them. Takes the extra `ray`.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx2
import ray

from agent.base.children import with_our_code
from agent.base.types import Call, CallScope, Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.config.models import ModelsConfig
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.server import GatewayServer
from agent.trials.cluster.backend import Cluster
from agent.trials.cluster.desk import Address, Desk
from agent.trials.cluster.link import Link
from agent.trials.cluster.node import Answer
from agent.trials.cluster.parcels import Parcel, Parcels, Shelf
from agent.trials.cluster.seats import Seats
from agent.trials.executor import Executor, Job
from bench.gateway.run import start_model
from bench.scale.work import tasks

HERE = Path(__file__).parent
TURNS = 8
"""Calls of one trial: each sends the conversation so far."""

SAID = "a line of what the model and the tools said before, of about eighty characters. " * 24
ROWS, SIDE_BY_SIDE = 2000, 16


@contextmanager
def model() -> Iterator[str]:
    """The URL of a model that answers at once."""
    with start_model() as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline() if process.stdout else 0)}/v1"
        process.terminate()


def conversation(trial: str, turn: int) -> bytes:
    """The body of a trial's call, which grows by some 2 kB a turn."""
    messages = [{"role": "user", "content": f"{trial} {number} {SAID}"} for number in range(turn + 1)]
    return json.dumps({"model": "ratchet", "messages": messages}).encode()


async def box(link: Link, folder: Path, name: str, calls: int) -> tuple[int, list[float]]:
    """One box's calls, a session of the link a trial; bytes both ways, seconds of each call."""
    moved, took = 0, list[float]()
    for trial in range(calls // TURNS):
        socket = folder / f"{name}-{trial}.sock"
        session = await link.open(socket, CallScope(trial=f"{name}-{trial}", models={"ratchet": "solver"}))
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://box", timeout=120) as client:
            for turn in range(TURNS):
                body, start = conversation(f"{name}-{trial}", turn), time.perf_counter()
                reply = await client.post("/v1/chat/completions", content=body)
                reply.raise_for_status()
                took.append(time.perf_counter() - start)
                moved += len(body) + len(reply.content)
        await session.close()
        if session.fault is not None:
            raise session.fault
    return moved, took


async def as_node(address: Address, sessions: int, calls: int) -> None:
    """The node's side: so many boxes at a time over one link."""
    link = Link(address)
    with tempfile.TemporaryDirectory(prefix="rn") as folder:
        done = await asyncio.gather(*(box(link, Path(folder), f"b{n}", calls) for n in range(sessions)))
    await link.close()
    took = sorted(seconds for _, each in done for seconds in each)
    moved = sum(moved for moved, _ in done)
    print(json.dumps({"moved": moved, "calls": len(took), "median_ms": 1000 * statistics.median(took)}))


async def through_link(sessions: int, calls: int) -> dict[str, float]:
    """The head's share of a call: alone on its core as long as the other processes have one, too."""
    with tempfile.TemporaryDirectory(prefix="rc", dir=HERE) as folder:
        with model() as url:
            described = {"provider": "openai", "model": "m", "base_url": url, "concurrency": 64}
            models = ModelsConfig.model_validate({"solver": described})
            with Ledger(Path(folder) / "ledger.sqlite") as ledger:
                async with GatewayServer(models, ledger) as gateway, Desk(gateway, "127.0.0.1") as desk:
                    told = json.dumps(asdict(desk.address))
                    options = ("--sessions", str(sessions), "--calls", str(calls))
                    used, start = time.process_time(), time.perf_counter()
                    command = (sys.executable, "-m", "bench.scale.capacity", "--node", told, *options)
                    node = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
                    said, _ = await node.communicate()
                    used, took = time.process_time() - used, time.perf_counter() - start
        found = json.loads(said)
    return {
        "calls": found["calls"],
        "cpu_ms_a_call": 1000 * used / found["calls"],
        "calls_a_second": found["calls"] / took,
        "latency_ms": found["median_ms"],
        "kilobytes_a_call": found["moved"] / found["calls"] / 1000,
    }


class Answering:
    """A node's process that runs nothing: it unpacks what it is sent and tells of a trial."""

    def __init__(self) -> None:
        self._shelf = Shelf()

    async def trial(self, scaffold: Parcel, facts: dict[str, Any], task: Parcel, *, watched: bool) -> Answer:
        """A trial and no more."""
        await self._shelf.get(scaffold)
        await self._shelf.get(task)
        return (replace(trial(0), id=facts["name"]), watched or None), None


class OneNode:
    """Nodes as the head's `Cluster` knows them, of which there is one."""

    def __init__(self, parallel: int) -> None:
        self.seats = Seats()
        self.seats.add("node", parallel)
        self._actor = ray.remote(Answering).options(max_concurrency=parallel).remote()

    async def ask(self, _node: str, method: str, *arguments: Any, **options: Any) -> Any:
        """As `Nodes.ask`."""
        return (await getattr(self._actor, method).remote(*arguments, **options))[0]


async def trials(count: int, parallel: int) -> dict[str, float]:
    """The head's processor time of a trial, without its calls and its row."""
    files = {f"agent/part{number}.py": SAID.encode() * 4 for number in range(16)}
    machines = Cluster(OneNode(parallel), None, Parcels())  # type: ignore[arg-type]
    executor = Executor(machines, {"tree": files}, parallel)
    job = Job(tree="tree", task=tasks()[0], purpose=Purpose.SEARCH, seed=1, answer_scope=None)
    await executor.trial(job)
    used, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(executor.trial(job) for _ in range(count)))
    used, took = time.process_time() - used, time.perf_counter() - start
    return {"cpu_ms_a_trial": 1000 * used / count, "trials_a_second": count / took}


def through_ray(count: int, parallel: int) -> dict[str, float]:
    """The same, in a cluster of this machine alone."""
    path = with_our_code(os.environ)["PYTHONPATH"]
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    try:
        return asyncio.run(trials(count, parallel))
    finally:
        ray.shutdown()


def record() -> dict[str, float]:
    """What the ledger costs: wall and processor time of the row of a call, of many at a time, and of a trial."""
    with tempfile.TemporaryDirectory(prefix="rc", dir=HERE) as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        seed = Candidate(id=0, parent=None, tree="0" * 40, subject="", body="", fate=Fate.OPEN, reason="", size=1)
        ledger.add_candidate(seed, fingerprint=None, diff="", transcript="")
        return {
            **timed("call", lambda: asyncio.run(kept(ledger))),
            **timed("trial", lambda: add_trials(ledger)),
            **flushes(Path(folder) / "file"),
        }


async def kept(ledger: Ledger) -> None:
    """Calls that end at their own times, each once its row is on the disk."""
    numbers = iter(range(ROWS))

    async def one_after_the_other() -> None:
        for number in numbers:
            ledger.record_call(call(number))
            await ledger.kept()

    await asyncio.gather(*(one_after_the_other() for _ in range(SIDE_BY_SIDE)))


def add_trials(ledger: Ledger) -> None:
    for number in range(ROWS):
        ledger.add_trial(trial(number), candidate=0, index=number)


def timed(name: str, write: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    write()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {f"{name}_wall_ms": 1000 * wall / ROWS, f"{name}_cpu_ms": 1000 * cpu / ROWS}


def flushes(path: Path) -> dict[str, float]:
    """The disk's own part: append a page and wait until it is kept."""
    took = []
    with path.open("wb") as file:
        for _ in range(200):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took.append(1000 * (time.perf_counter() - start))
    return {"fsync_ms": statistics.median(took), "fsync_p95_ms": statistics.quantiles(took, n=20)[-1]}


def call(number: int) -> Call:
    name, turn = f"t{number // TURNS}", number % TURNS
    return Call(
        trial=name, role="solver", model="m", key=str(number), k=0, answer_scope=None, fresh=True,
        request=conversation(name, turn), response=f'{{"said": "{number} {SAID[:400]}"}}'.encode(), status=200,
        tokens_in=100, tokens_out=20, dollars=0.01, seconds=1.0, retries=0,
    )  # fmt: skip


def trial(number: int) -> Trial:
    return Trial(
        id=f"t{number}", tree="0" * 40, task="task", purpose=Purpose.SEARCH, seed=number, score=1.0, reason="passed",
        transcript=f"{number} {SAID}", usage=Usage(calls=TURNS, fresh_calls=TURNS), seconds=3.0,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--calls", type=int, default=64, help="of each session, a multiple of eight")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--node", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "capacity.json")
    options = parser.parse_args()
    if options.node:
        asyncio.run(as_node(Address(**json.loads(options.node)), options.sessions, options.calls))
        return
    found = {
        "load_average": os.getloadavg(),
        "one_session": asyncio.run(through_link(1, 2 * options.calls)),
        "many_sessions": asyncio.run(through_link(options.sessions, options.calls)),
        "trials": through_ray(options.trials, options.sessions),
        "record": record(),
    }
    text = json.dumps(found, indent=1)
    options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
