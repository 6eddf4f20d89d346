"""A graded trial before and after a change: trials a minute, and processor time of all that a trial causes.

python -m bench.sandbox.before_after BEFORE     BEFORE: another checkout; writes before_after.json beside this file

Both checkouts run by turns against one engine of our own. This process, the engine, its containers and the checkouts'
processes are in one control group, so what else the machine does is not in its processor time.
Takes root, Linux and Docker.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.faults.engine import second_engine
from sandbox.engine import connect
from sandbox.image import ensure_image

HERE = Path(__file__).resolve().parents[2]
GROUPS = Path("/sys/fs/cgroup")
WORKER = """
import asyncio, os, sys, tempfile, time
from pathlib import Path
from bench.sandbox.run import CORES, rate, trial
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image

async def main():
    image = ensure_image()
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        async with DockerSandbox("bench", "bench", Path(folder), ready=CORES) as sandbox:
            await trial(sandbox, image)
            print(await rate(int(sys.argv[1]), lambda: trial(sandbox, image), CORES + 1))

asyncio.run(main())
"""


@contextmanager
def own_group(name: str) -> Iterator[Path]:
    """A control group that this process and its children are in; the file that holds its processor time."""
    old = (GROUPS / "cpuacct").is_dir()
    folder = (GROUPS / "cpuacct" if old else GROUPS) / name
    folder.mkdir()
    if not old:  # a group with processes and groups in it has no controllers, and needs none to count
        folder /= "bench"
        folder.mkdir()
    procs = folder / "cgroup.procs"
    procs.write_text(str(os.getpid()))
    try:
        yield folder / "cpuacct.usage" if old else folder.parent / "cpu.stat"
    finally:
        (folder.parent if old else folder.parent.parent).joinpath("cgroup.procs").write_text(str(os.getpid()))


def seconds(usage: Path) -> float:
    """Processor time of the group and all groups in it."""
    text = usage.read_text()
    return int(text) / 1e9 if text.strip().isdigit() else int(text.split("usage_usec ")[1].split()[0]) / 1e6


def turn(checkout: Path, trials: int, usage: Path) -> dict[str, float]:
    """One run of one checkout; its first trial, which fills the pool, is part of the processor time."""
    before = seconds(usage)
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(trials)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    time.sleep(2)  # the engine is still putting away the last boxes
    return {"a_minute": float(done.stdout.split()[-1]), "cpu_ms": 1000 * (seconds(usage) - before) / (trials + 1)}


def measure(before: Path, rounds: int, trials: int) -> dict[str, object]:
    name = f"ratchet-bench-{os.getpid()}"
    client = connect()
    ensure_image()
    base = next(tag for image in client.images() for tag in image["RepoTags"] or () if tag.startswith("ratchet-base:"))
    found: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
    with own_group(name) as usage, second_engine(base, client) as engine:
        engine.stop(signal.SIGTERM)
        engine.daemon.write_text(json.dumps({"cgroup-parent": f"/{name}"}))
        engine.start()
        for checkout in (before, HERE):
            turn(checkout, 1, usage)  # builds its image
        for _ in range(rounds):
            found["before"].append(turn(before, trials, usage))
            found["after"].append(turn(HERE, trials, usage))
    return {
        "load_average": os.getloadavg(),
        **{side: _medians(turns) for side, turns in found.items()},
        **_ratios(found),
    }


def _medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(turn[key] for turn in turns), 1) for key in turns[0]}


def _ratios(found: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """After to before, turn by turn."""
    pairs = list(zip(found["before"], found["after"], strict=True))
    return {f"{key}_ratios": sorted(round(b[key] / a[key], 2) for a, b in pairs) for key in ("a_minute", "cpu_ms")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=12)
    options = parser.parse_args()
    text = json.dumps(measure(options.before.resolve(), options.rounds, options.trials), indent=1)
    (Path(__file__).parent / "before_after.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
