"""How long it takes to load and validate a suite of 5,000 tasks, and how much memory: one process for each figure.

python bench/suites/run.py [--tasks 5000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent.base import yaml

STARTER = Path(__file__).parents[2] / "tasks" / "starter" / "suite.yaml"
LOAD = """
import resource, sys, time
from pathlib import Path
start = time.perf_counter()
from agent.suites.loader import load_suite
ready, before = time.perf_counter(), time.process_time()
suite = load_suite(Path(sys.argv[1]))
done = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
import json
print(json.dumps({"tasks": len(suite.tasks), "imports": ready - start, "load": done - ready, "peak_mib": peak,
                  "cpu": time.process_time() - before}))
"""


def inline(folder: Path, count: int) -> None:
    """All tasks in one suite.yaml: the starter suite's, again and again, each with its own instruction."""
    whole = yaml.load(STARTER)
    given = whole["tasks"]
    whole["tasks"] = [task(given[n % len(given)], n) for n in range(count)]
    folder.mkdir()
    (folder / "suite.yaml").write_text(yaml.dump(whole), encoding="utf-8")


def task(given: dict[str, object], n: int) -> dict[str, object]:
    return {**given, "id": f"{given['id']}-{n}", "instruction": f"Task {n}. {given['instruction']}"}


def folders(folder: Path, count: int) -> None:
    """The same tasks, a folder each: task.yaml, instruction.md, and one file in files/, tests/ and solution/."""
    whole = yaml.load(STARTER)
    given = whole.pop("tasks")
    folder.mkdir()
    (folder / "suite.yaml").write_text(yaml.dump(whole), encoding="utf-8")
    for n in range(count):
        one = task(given[n % len(given)], n)
        home = folder / str(one.pop("id"))
        for part in ("files", "tests", "solution"):
            (home / part).mkdir(parents=True)
            for name, text in one.pop(part).items():  # type: ignore[attr-defined]
                (home / part / name).write_text(text, encoding="utf-8")
        (home / "instruction.md").write_text(str(one.pop("instruction")), encoding="utf-8")
        (home / "task.yaml").write_text(yaml.dump(one), encoding="utf-8")


def measure(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-c", LOAD, str(folder)]
    said: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return said


def bare(folder: Path) -> float:
    """Seconds to list and read every file of a folder and to do nothing with it: what no loader can undercut."""
    start = time.perf_counter()
    for home, _, names in os.walk(folder):
        for name in names:
            handle = os.open(f"{home}/{name}", os.O_RDONLY)
            while os.read(handle, 1 << 20):
                pass
            os.close(handle)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        for name, write in (("one file", inline), ("folders", folders)):
            folder = Path(root) / write.__name__
            write(folder, options.tasks)
            rounds = [measure(folder) for _ in range(options.rounds)]
            load = sorted(one["load"] for one in rounds)
            cpu, peak = min(one["cpu"] for one in rounds), max(one["peak_mib"] for one in rounds)
            imports, floor = min(one["imports"] for one in rounds), min(bare(folder) for _ in range(options.rounds))
            print(
                f"{options.tasks} tasks, {name}: load min {load[0]:.2f} s, median {load[len(load) // 2]:.2f} s, "
                f"CPU min {cpu:.2f} s; bare reading of the files min {floor:.2f} s; "
                f"imports min {imports:.2f} s; peak {peak:.0f} MiB"
            )


if __name__ == "__main__":
    main()
