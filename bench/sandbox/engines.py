"""A graded trial under Docker and without an engine: trials a minute, and processor time of all that a trial causes.

python -m bench.sandbox.engines     writes engines.json beside this file

Both run by turns. This process, a Docker engine of our own, all boxes and their runtimes are in one control group, so
what else the machine does is not in its processor time. Takes root, Linux, Docker, and crun or runc.
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
from contextlib import suppress
from pathlib import Path

from bench.faults.engine import second_engine
from bench.sandbox.before_after import GROUPS, own_group, seconds
from bench.sandbox.run import CORES, rate, trial
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect
from sandbox.engine_sandbox import EngineSandbox
from sandbox.image import ensure_image
from sandbox.oci.groups import Groups
from sandbox.oci.program import find_program
from sandbox.oci.sandbox import OciSandbox

SETTLE_SECONDS = 2.0


def kinds(group: str, folder: Path) -> dict[str, EngineSandbox]:
    """A sandbox of each kind that is compared; `group` is the control group of boxes that no engine runs."""
    return {
        "docker": DockerSandbox("bench", "bench", folder, ready=CORES),
        "oci": OciSandbox("bench", "bench", folder, ready=CORES, groups=Groups(group)),
    }


async def work(kind: str, group: str, trials: int, usage: Path) -> dict[str, float]:
    """Trials a minute, and milliseconds of processor time a trial, after one that fills the pool."""
    image = ensure_image()
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        async with kinds(group, Path(folder))[kind] as sandbox:
            await trial(sandbox, image)
            before = await settled(sandbox, usage)
            a_minute = await rate(trials, lambda: trial(sandbox, image), CORES + 1)
            used = await settled(sandbox, usage) - before
    return {"a_minute": a_minute, "cpu_ms": 1000 * used / trials}


async def settled(sandbox: EngineSandbox, usage: Path) -> float:
    """Seconds of processor time until now, once boxes are put away and the pool is full again."""
    await sandbox.settle()
    await asyncio.sleep(SETTLE_SECONDS)  # the engine still works when it has answered
    return seconds(usage)


def turn(kind: str, group: str, trials: int, usage: Path) -> dict[str, float]:
    """One run of one kind, in a process of its own."""
    options = ["--work", kind, group, str(usage), "--trials", str(trials)]
    command = [sys.executable, "-m", "bench.sandbox.engines", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rounds: int, trials: int) -> dict[str, object]:
    name = f"ratchet-bench-{os.getpid()}"
    client = connect()
    ensure_image()
    base = next(tag for image in client.images() for tag in image["RepoTags"] or () if tag.startswith("ratchet-base:"))
    found: dict[str, list[dict[str, float]]] = {"docker": [], "oci": []}
    with own_group(name) as usage, second_engine(base, client) as engine:
        engine.stop(signal.SIGTERM)
        engine.daemon.write_text(json.dumps({"cgroup-parent": f"/{name}"}))
        engine.start()
        for kind in found:
            turn(kind, f"/{name}", 1, usage)  # builds and unpacks the image
        for _ in range(rounds):
            for kind, turns in found.items():
                turns.append(turn(kind, f"/{name}", trials, usage))
    _forget(name)
    return {
        "load_average": os.getloadavg(),
        "runtime": find_program(None).line,
        "rounds": rounds,
        "trials": trials,
        **{kind: _medians(turns) for kind, turns in found.items()},
        **_ratios(found),
    }


def _forget(name: str) -> None:
    """Remove the control groups that the runtimes left."""
    for path in [GROUPS / name, *GROUPS.glob(f"*/{name}")]:
        with suppress(OSError):
            path.rmdir()


def _medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(turn[key] for turn in turns), 1) for key in turns[0]}


def _ratios(found: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """Without an engine to Docker, turn by turn."""
    pairs = list(zip(found["docker"], found["oci"], strict=True))
    return {f"{key}_ratios": sorted(round(b[key] / a[key], 2) for a, b in pairs) for key in ("a_minute", "cpu_ms")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument(
        "--work", nargs=3, metavar=("KIND", "GROUP", "USAGE"), help="do one turn, and print its figures"
    )
    options = parser.parse_args()
    if options.work:
        kind, group, usage = options.work
        print(json.dumps(asyncio.run(work(kind, group, options.trials, Path(usage)))))
        return
    text = json.dumps(measure(options.rounds, options.trials), indent=1)
    (Path(__file__).parent / "engines.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
