"""How long a box takes under each runtime: runc against crun, on an engine of our own. Takes root and both programs.

python -m bench.sandbox.runtimes [--rounds N]     writes runtimes.json beside this file
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from pathlib import Path

from bench.faults.engine import second_engine
from sandbox.engine import connect
from sandbox.image import ensure_image
from sandbox.trying import try_boxes

RUNTIMES = ("runc", "crun")
UNIFIED = Path("/sys/fs/cgroup/unified/cgroup.controllers")
LEGACY = """#!/bin/sh
exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified; exec crun "$@"' crun "$@"
"""
"""crun refuses a machine whose control groups are half version 2; in a mount namespace without that half it works."""


def crun(folder: Path) -> dict[str, dict[str, object]]:
    """crun as daemon.json names it; `folder` takes a script on machines that need one."""
    if not UNIFIED.exists() or not UNIFIED.read_text().strip():
        return {"crun": {"path": "crun"}}
    script = folder / "crun"
    script.write_text(LEGACY)
    script.chmod(0o755)
    return {"crun": {"path": str(script)}}


def measure(rounds: int) -> dict[str, object]:
    """Milliseconds from nothing to a closed box with one command run, the shortest of three a round, by turns."""
    image = ensure_image()
    seen: dict[str, list[float]] = {name: [] for name in RUNTIMES}
    with tempfile.TemporaryDirectory(prefix="rt-bench-") as folder, second_engine(image, connect(), crun(Path(folder))):
        for _ in range(rounds):
            for name, found in seen.items():
                found.append(round(1000 * asyncio.run(try_boxes(image, name)).seconds, 1))
    medians = {name: statistics.median(found) for name, found in seen.items()}
    ratios = [there / here for here, there in zip(seen["crun"], seen["runc"], strict=True)]
    return {
        "load_average": os.getloadavg(),
        "rounds": rounds,
        "median_ms": medians,
        "min_ms": {name: min(found) for name, found in seen.items()},
        "runc_to_crun": round(statistics.median(ratios), 2),
        "runc_to_crun_quartiles": [round(ratio, 2) for ratio in statistics.quantiles(ratios, n=4)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    text = json.dumps(measure(parser.parse_args().rounds), indent=1)
    (Path(__file__).parent / "runtimes.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
