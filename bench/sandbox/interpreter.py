"""What it costs that a box carries a Python of its own: our base image as it is against the same image with the copy.

python -m bench.sandbox.interpreter [--rounds N]     writes interpreter.json beside this file
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from agent.base.types import BoxSpec
from agent.trials.grading import grade
from bench.sandbox.run import task
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect
from sandbox.image import ensure_image, image_megabytes, own_base
from sandbox.install import INTERPRETER

SUBMISSION = {"solution.py": b"def add(a, b): return a + b\n"}


async def look(sandbox: DockerSandbox, image: str) -> dict[str, float]:
    """Milliseconds: from nothing to a ready box, a trivial command by our Python in it, and a whole grading."""
    start = time.perf_counter()
    box = await sandbox.open(BoxSpec(image=image, gateway=False))
    opened = time.perf_counter()
    await box.run([INTERPRETER, "-c", "pass"], env={}, timeout=60)
    ran = time.perf_counter()
    await box.close()
    await sandbox.settle()
    begun = time.perf_counter()
    verdict = await grade(sandbox, image, task(), SUBMISSION)
    graded = time.perf_counter()
    if verdict.score != 1:
        raise RuntimeError(verdict.reason)
    await sandbox.settle()
    spans = {"box_ms": opened - start, "command_ms": ran - opened, "grading_ms": graded - begun}
    return {name: round(1000 * seconds, 1) for name, seconds in spans.items()}


async def measure(rounds: int) -> dict[str, object]:
    """By turns, so that a change of the machine's load meets both alike."""
    images = {"own": ensure_image(), "copy": ensure_image(own_base(connect(timeout=600), print)[0])}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in images}
    with tempfile.TemporaryDirectory(prefix="rt-bench-") as folder:
        async with DockerSandbox("bench", f"bench-{os.getpid()}", Path(folder), ready=0) as sandbox:
            for _ in range(rounds + 1):
                for name, image in images.items():
                    seen[name].append(await look(sandbox, image))
    return {
        "load_average": os.getloadavg(),
        "rounds": rounds,
        "megabytes": {name: image_megabytes(image) for name, image in images.items()},
        **{name: summary(looks[1:]) for name, looks in seen.items()},
    }


def summary(looks: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median and minimum of each measure."""
    columns = {name: [look[name] for look in looks] for name in looks[0]}
    return {name: {"median": round(statistics.median(c), 1), "min": min(c)} for name, c in columns.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    text = json.dumps(asyncio.run(measure(parser.parse_args().rounds)), indent=1)
    (Path(__file__).parent / "interpreter.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
