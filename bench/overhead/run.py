"""What a campaign costs besides its boxes and its models: `make bench-overhead`.

    python -m bench.overhead.run                 every measure; prints a table, writes result.json beside this file
    python -m bench.overhead.run alone           one measure, as JSON

| measure | campaign |
|---|---|
| alone | one proposal at a time, one trial a candidate, a model that answers at once, 500 candidates |
| shipped | the same with the scaffold that Ratchet ships as the seed, 200 candidates |
| parallel | eight proposals and eight trials at a time, a model call takes 200 ms, 400 candidates |
| default | `ratchet run`'s default settings: 40 trials of the seed first, then some 30 for each proposal |

Processor time is that of the campaign's process and of all that it starts, imports included; boxes are in memory, so
what their programs do (they ask the model once, over HTTP, and write a file) is a part of it.

Ledger and repository are in the folder for temporary files (TMPDIR), which is removed when all is measured: ext4
without a journal looks for a new file's place among all that were removed within some minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.overhead.scene import EVERY, Seen, Setup, measured

ONE_TRIAL: Final = {"strategy": "dgm", "min_trials": 1, "parent_trials": 1, "shown": 1.0}
AT_ONCE: Final = {"parallel": 8, "proposals": 8}
SETUPS: Final = {
    "alone": Setup(options={"search": ONE_TRIAL}, candidates=501),
    "shipped": Setup(options={"search": ONE_TRIAL}, candidates=201, shipped=True),
    "parallel": Setup(options={"search": ONE_TRIAL, "boxes": AT_ONCE}, candidates=401, latency=0.2),
    "default": Setup(options={}, candidates=51),
}
END: Final = 100
"""Candidates at the beginning and at the end that tell how the cost grows."""


def figures(seen: Seen) -> dict[str, Any]:
    """One campaign in figures."""
    first, last, few = seen.marks[0], seen.marks[-1], min(END // EVERY, len(seen.marks) // 2)
    early, late = seen.marks[few], seen.marks[-1 - few]
    trials = last[3] - first[3]
    return {
        "candidates": last[0] - first[0],
        "trials": trials,
        "cpu_s_to_first_proposal": round(first[1], 2),
        "cpu_ms_a_candidate": _each(first, last),
        "cpu_ms_first": _each(first, early),
        "cpu_ms_last": _each(late, last),
        "cpu_ms_a_trial": round(1000 * (last[1] - first[1]) / trials, 2),
        "candidates_a_second": round((last[0] - first[0]) / (last[2] - first[2]), 2),
    }


def _each(start: tuple[int, float, float, int], end: tuple[int, float, float, int]) -> float:
    return round(1000 * (end[1] - start[1]) / (end[0] - start[0]), 2)


def loop_ms() -> float:
    """Milliseconds of a million rounds of an empty loop: how fast this machine is just now."""
    start = time.process_time()
    for _ in range(1_000_000):
        pass
    return round(1000 * (time.process_time() - start), 1)


def alone(name: str, folder: Path) -> dict[str, Any]:
    """One measure in a process and an empty folder of its own."""
    folder.mkdir()
    command = [sys.executable, "-m", "bench.overhead.run", name, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # type: ignore[no-any-return]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="overhead-") as top:
        if len(sys.argv) > 1:
            folder = Path(sys.argv[2] if len(sys.argv) > 2 else top)
            print(json.dumps(figures(measured(SETUPS[sys.argv[1]], folder))))
            return
        found = {}
        for name in SETUPS:
            made = alone(name, Path(top) / name)
            found[name] = {**made, "loop_ms": loop_ms(), "load": round(os.getloadavg()[0], 1)}
            print(name, json.dumps(found[name]), flush=True)
    Path(__file__).with_name("result.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
