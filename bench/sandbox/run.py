"""Speed of the sandbox as ratios to two floors: a subprocess on the host, and `docker run --rm`.

python -m bench.sandbox.run [--trials N]     writes result.json beside this file
python -m bench.sandbox.run --soak 1000      writes soak.json: what this process, engine and disk hold along the way
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.base.types import BoxSpec, Sandbox, Split, Task
from agent.trials.grading import grade
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect
from sandbox.image import ensure_image

PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"
JOB = ["python3", "-c", "pass"]
TESTS = b"from ratchet_check import remote\nadd = remote('solution.py', 'add')\ndef test_a(): assert add(1, 2) == 3\n"
SOLVE = "open('solution.py', 'w').write('def add(a, b): return a + b\\n')"
CORES = os.cpu_count() or 1
ROUNDS = 12


def task() -> Task:
    return Task(
        id="bench",
        split=Split.SEARCH,
        instruction="",
        files={},
        submit=("solution.py",),
        tests={"test_solution.py": TESTS},
        check=("python3", "-I", "-m", "ratchet_check", "test_solution.py"),
        junit=1,
    )


async def trial(sandbox: Sandbox, image: str) -> None:
    """A whole graded trial without a model: one box solves, a second one grades."""
    box = await sandbox.open(BoxSpec(image=image, gateway=True))
    try:
        await box.put({"main.py": SOLVE.encode()}, "/scaffold")
        await box.run(["python3", "/scaffold/main.py"], env={}, timeout=60)
        submission = await box.take(["solution.py"])
    finally:
        await box.close()
    verdict = await grade(sandbox, image, task(), submission)
    if verdict.score != 1:
        raise RuntimeError(verdict.reason)


async def rate(count: int, one: Callable[[], Awaitable[None]], parallel: int) -> float:
    """How many a minute, `parallel` at a time."""
    turns = asyncio.Semaphore(parallel)

    async def turn() -> None:
        async with turns:
            await one()

    start = time.perf_counter()
    await asyncio.gather(*(turn() for _ in range(count)))
    return 60 * count / (time.perf_counter() - start)


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


async def ready_job(sandbox: DockerSandbox, image: str) -> float:
    """Critical path of the job in a box that waits: open and run; the pool is told to make no other meanwhile."""
    spec = BoxSpec(image=image, gateway=False)
    sandbox.prewarm(spec, 1)
    await asyncio.sleep(2)
    sandbox.prewarm(spec, 0)
    start = time.perf_counter()
    box = await sandbox.open(spec)
    await box.run(JOB, env={}, timeout=60)
    took = time.perf_counter() - start
    await box.close()
    await sandbox.settle()
    return took


async def first_start(image: str, folder: Path) -> float:
    """From nothing to the first box that runs."""
    start = time.perf_counter()
    async with DockerSandbox("first", f"bench-{os.getpid()}", folder, ready=0) as sandbox:
        await sandbox.open(BoxSpec(image=image, gateway=True))
        return time.perf_counter() - start


def footprint(campaign: str) -> dict[str, int]:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    containers = connect().containers(all=True, filters={"label": f"ratchet.campaign={campaign}"})
    return {
        "memory_kib": resident >> 10,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "containers": len(containers),
        "root_disk_mib": shutil.disk_usage("/").used >> 20,
    }


async def soak(sandbox: DockerSandbox, image: str, campaign: str, count: int) -> list[dict[str, int]]:
    """What this process, the engine and the disk hold, before and along `count` trials."""
    looks = []
    for part in range(5):
        if part:
            await rate(count // 4, lambda: trial(sandbox, image), CORES + 1)
            await sandbox.settle()
        looks.append({"trials": part * (count // 4), **footprint(campaign)})
    return looks


async def measure(trials: int) -> dict[str, object]:
    """Interleaved, so that a change of the machine's load meets all alike."""
    image, folder = ensure_image(), Path(tempfile.mkdtemp(prefix="rt-bench-"))
    # With a network of its own `docker run` is slower still.
    docker_run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python3", image, "-c", "pass"]

    async def bare() -> None:
        process = await asyncio.create_subprocess_exec(*docker_run, stdout=subprocess.DEVNULL)
        await process.wait()

    campaign = f"bench-{os.getpid()}"
    first = await first_start(image, folder)
    host, box, run = [], [], []
    rates: dict[str, list[float]] = {"docker_run": [], "trials": []}
    async with DockerSandbox("bench", campaign, folder, ready=0) as sandbox:
        for _ in range(ROUNDS):
            box.append(await ready_job(sandbox, image))
            host.append(timed([PYTHON, "-c", "pass"]))
            run.append(timed(docker_run))
    async with DockerSandbox("bench2", campaign, folder, ready=CORES) as sandbox:
        await trial(sandbox, image)
        for _ in range(5):
            rates["docker_run"].append(await rate(trials, bare, CORES))
            rates["trials"].append(await rate(trials, lambda: trial(sandbox, image), CORES + 1))
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "load_average": os.getloadavg(),
        "host_subprocess_ms": _ms(host),
        "ready_box_ms": _ms(box),
        "docker_run_ms": _ms(run),
        "box_to_host": _ratio(box, host),
        "docker_run_to_box": _ratio(run, box),
        "docker_runs_a_minute": [round(x) for x in rates["docker_run"]],
        "graded_trials_a_minute": [round(x) for x in rates["trials"]],
        "trial_to_docker_run_rate": round(sum(rates["trials"]) / sum(rates["docker_run"]), 2),
        "first_box_seconds": round(first, 2),
    }


async def endure(count: int) -> dict[str, object]:
    """Many trials in a row; nothing may grow."""
    image, folder, campaign = ensure_image(), Path(tempfile.mkdtemp(prefix="rt-bench-")), f"bench-{os.getpid()}"
    async with DockerSandbox("bench", campaign, folder, ready=CORES) as sandbox:
        await trial(sandbox, image)
        looks = await soak(sandbox, image, campaign, count)
    shutil.rmtree(folder, ignore_errors=True)
    return {"load_average": os.getloadavg(), "looks": looks}


def _ratio(these: list[float], those: list[float]) -> dict[str, float]:
    return {
        "medians": round(statistics.median(these) / statistics.median(those), 2),
        "minima": round(min(these) / min(those), 2),
    }


def _ms(seconds: list[float]) -> dict[str, float]:
    return {"median": round(1000 * statistics.median(seconds), 1), "min": round(1000 * min(seconds), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12, help="in each of five rounds")
    parser.add_argument("--soak", type=int, default=0, help="this many trials in a row, and nothing else")
    options = parser.parse_args()
    found = asyncio.run(endure(options.soak) if options.soak else measure(options.trials))
    text = json.dumps(found, indent=1)
    (Path(__file__).parent / ("soak.json" if options.soak else "result.json")).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
