"""Trials on a Ray cluster of several nodes on one machine, against the same trials without Ray.

python -m bench.scale.run [--nodes N] [--rounds N] [--pairs N] [--kill-pairs N]     writes result.json beside this file

By turns: some pairs on this machine's engine, the same pairs on the cluster. Then one long run on the cluster: a node's
process is killed in the middle, a little later a whole node, and then a new node joins. Takes root, dockerd and the
extra `ray`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.base.types import BoxSpec
from agent.config.campaign import ExecutorConfig
from agent.trials.executor import Executor
from bench.scale.machines import Machine, Machines, machines
from bench.scale.work import SCAFFOLDS, Tally, gateway, local, orders, pairs
from sandbox.image import ensure_image

SEATS = 2
LEFT_LOOKS = 90
READY_SECONDS = 300.0


async def compare(there: Executor, here: Executor, options: argparse.Namespace) -> dict[str, Any]:
    """Rounds by turns, so that a change of the machine's load meets both."""
    parallel = options.nodes * SEATS
    rates: dict[str, list[float]] = {"local": [], "ray": []}
    head = []
    same = True
    for _ in range(options.rounds):
        tallies = [await pairs(executor, options.pairs, parallel) for executor in (here, there)]
        same = same and tallies[0].verdicts == tallies[1].verdicts
        for name, tally in zip(rates, tallies, strict=True):
            rates[name].append(round(tally.rate, 1))
        head.append(1000 * tallies[1].cpu / tallies[1].trials)
    ratios = [ray / base for base, ray in zip(rates["local"], rates["ray"], strict=True)]
    return {
        "trials_a_minute": rates,
        "ray_to_local": round(statistics.median(ratios), 2),
        "ray_to_local_by_round": [round(ratio, 2) for ratio in ratios],
        "same_verdicts": same,
        "head_cpu_ms_a_trial": round(statistics.median(head), 1),
    }


async def endure(there: Executor, cluster: Machines, options: argparse.Namespace) -> dict[str, Any]:
    """Many pairs; two nodes fail on the way, and a new one joins."""
    events: list[str] = []
    failing = asyncio.create_task(fail(cluster, options, events))
    tally = await pairs(there, options.kill_pairs, options.nodes * SEATS)
    await failing
    left = await settled(cluster.nodes[1])
    return {**summary(tally), "events": events, "containers_left_by_the_killed_process": left}


async def fail(cluster: Machines, options: argparse.Namespace, events: list[str]) -> None:
    """Kill our process on the second node, then all of the first node; then start a new node."""
    start, nodes = time.monotonic(), cluster.nodes
    steps: list[tuple[float, str, Callable[[], None]]] = [
        (options.kill_after, "the process of node 2 was killed", lambda: kill_process(nodes[1])),
        (options.kill_after, "all of node 1 was killed", nodes[0].kill),
        (options.kill_after / 2, "one more node was started", cluster.join),
    ]
    for pause, text, act in steps:
        await asyncio.sleep(pause)
        await asyncio.to_thread(act)
        events.append(f"{time.monotonic() - start:.0f} s: {text}")


def kill_process(node: Machine) -> None:
    """Kill the process of ours on a node, which no other process of Ray's is."""
    inside = subprocess.run(["ip", "netns", "pids", node.name], capture_output=True, text=True, check=True)
    for pid in inside.stdout.split():
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Node"):
            os.kill(int(pid), signal.SIGKILL)


async def settled(node: Machine) -> int:
    """How many containers whose process is gone are left on a node's engine, after the reaper had its time."""
    for _ in range(LEFT_LOOKS):
        if not (left := await asyncio.to_thread(node.orphans)):
            break
        await asyncio.sleep(1)
    return left


def summary(tally: Tally) -> dict[str, Any]:
    """A tally in few words."""
    return {
        "trials": tally.trials,
        "seconds": round(tally.seconds),
        "trials_a_minute": round(tally.rate, 1),
        "void_pairs": len(tally.voids),
        "reasons": dict(Counter(reason[:60] for reason in tally.voids).most_common(6)),
        "right_verdicts": all(scores == (float(n % 2 == 0),) * 2 for n, scores in tally.verdicts.items()),
    }


async def measure(cluster: Machines, image: str, options: argparse.Namespace) -> dict[str, Any]:
    """Everything, with one gateway for both executors."""
    from agent.trials.cluster.backend import cluster as joined  # noqa: PLC0415 - after the environment is set

    parallel, said, begun = options.nodes * SEATS, list[str](), time.monotonic()
    came = asyncio.Semaphore(0)

    def say(line: str) -> None:
        said.append(line)
        print(line, file=sys.stderr, flush=True)
        if "boxes at a time" in line:
            came.release()

    async def ready(times: int) -> None:
        """Wait until nodes have become ready so many times more."""
        async with asyncio.timeout(READY_SECONDS):
            for _ in range(times):
                await came.acquire()

    with tempfile.TemporaryDirectory(prefix="rs-") as folder:
        async with (
            gateway() as server,
            joined(
                orders(image, "ray"),
                (BoxSpec(image=image, gateway=True),),
                ExecutorConfig(kind="ray", address=cluster.address),
                server,
                parallel=parallel,
                say=say,
            ) as (nodes, _),
            local(orders(image, "here"), server, Path(folder), parallel) as here,
        ):
            await ready(options.nodes)
            there = Executor(nodes, SCAFFOLDS, parallel)
            found: dict[str, Any] = {"ready_seconds": round(time.monotonic() - begun)}
            if options.rounds:
                found["compared"] = await compare(there, here, options)
                print(json.dumps(found), file=sys.stderr, flush=True)
            if options.kill_pairs:
                found["failures"] = await endure(there, cluster, options)
                print(json.dumps(found["failures"]), file=sys.stderr, flush=True)
                await ready(2)  # the second node again, and the new one
    return {**found, "said": said, "containers_left": [node.containers() for node in cluster.nodes[1:]]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=12, help="in each round")
    parser.add_argument("--kill-pairs", type=int, default=100, help="in the run in which nodes fail")
    parser.add_argument("--kill-after", type=float, default=30.0, help="seconds before each of the two failures")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "result.json")
    options = parser.parse_args()
    os.environ["RAY_AUTH_MODE"] = "disabled"  # everything is on this machine
    image = ensure_image()
    with machines(options.nodes, SEATS) as cluster:
        found = asyncio.run(measure(cluster, image, options))
    facts = {"nodes": options.nodes, "load_average": os.getloadavg(), **found}
    text = json.dumps(facts, indent=1)
    options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
