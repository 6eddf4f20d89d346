"""Speed and size of the report on generated campaigns.

python -m bench.review.run     prints one row per campaign; RESULTS.md holds the results
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.review.synthetic import write

CAMPAIGNS = {"200 candidates, 10,000 trials": (200, 10_000), "1,000 candidates, 100,000 trials": (1_000, 100_000)}
SEED = 1
RUNS = 3
STEPS = """
import json, sys, time
from pathlib import Path
start = time.perf_counter()
from agent.kernel.decide.gate import GateSettings
from agent.kernel.record.ledger import Ledger
from agent.review.report.facts import collect
from agent.review.report.page import render, render_sections
loaded = time.perf_counter()
with Ledger(Path(sys.argv[1]), read_only=True) as ledger:
    facts = collect(ledger, GateSettings())
read = time.perf_counter()
page = render(facts)
first = time.perf_counter()
render_sections(facts, live=True)
again = time.perf_counter()
print(json.dumps([loaded - start, read - loaded, first - read, again - first, len(page.encode()) / 1e6]))
"""


def measure(ledger: Path) -> list[float]:
    """Seconds to import, collect, render, render again; megabytes. Minima of runs in fresh processes."""
    rows = []
    for _ in range(RUNS):
        command = [sys.executable, "-c", STEPS, str(ledger)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows.append([float(figure) for figure in said.strip("[]\n").split(",")])
    return [min(column) for column in zip(*rows, strict=True)]


def main() -> None:
    print("| campaign | import s | collect s | render s | again s | MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (candidates, trials)) in enumerate(CAMPAIGNS.items()):
            ledger = Path(folder, str(number), "ledger.sqlite")
            start = time.perf_counter()
            write(ledger, candidates=candidates, trials=trials, seed=SEED)
            print(f"{name}: generated in {time.perf_counter() - start:.0f} s", file=sys.stderr)
            print(f"| {name} |", " | ".join(f"{figure:.2f}" for figure in measure(ledger)), "|")


if __name__ == "__main__":
    main()
