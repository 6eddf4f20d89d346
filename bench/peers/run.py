"""Run the comparison: `make bench-peers`. Runs that are recorded in results/ already are not repeated.

    python -m bench.peers.run                       # everything: hours
    python -m bench.peers.run --world add --budget 2000 --system gepa
    python -m bench.peers.run --table               # only write docs/peers.md from what is recorded

Each peer gets an environment of its own below .peers/ (or $RATCHET_PEERS) with its package from the registry.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import table
from bench.peers.peers import BUDGETS, MAIN_WORLD, OTHER_WORLDS, REPETITIONS, SYSTEMS, System

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
ENVIRONMENTS = Path(os.environ.get("RATCHET_PEERS", ROOT / ".peers"))


@dataclass(frozen=True)
class Cell:
    """One system in one world with one budget."""

    system: System
    world: str
    budget: int

    @property
    def file(self) -> Path:
        return RESULTS / f"{self.system.driver.removeprefix('drive_')}.jsonl"

    def missing(self, repetitions: int) -> list[int]:
        """The seeds that are not recorded yet."""
        wanted = (self.system.name, self.world, self.budget)
        known = {row["seed"] for row in rows(self.file) if (row["system"], row["world"], row["budget"]) == wanted}
        return [seed for seed in range(1, repetitions + 1) if seed not in known]


def rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def cells(systems: Sequence[System], worlds: Sequence[str], budgets: Sequence[int]) -> Iterator[Cell]:
    """What is compared: every budget in the main world, and one in each of the others."""
    for world in worlds:
        for budget in budgets if world == MAIN_WORLD else [6000 if world == "flat" else 2000]:
            yield from (Cell(s, world, budget) for s in systems if world == MAIN_WORLD or not s.main_only)


def python_of(system: System) -> Path:
    """The interpreter for a system; its environment is made where it is missing."""
    if system.requirement is None:
        return Path(sys.executable)
    home = ENVIRONMENTS / str(system.package)
    python, mark = home / "bin" / "python", home / f"installed-{system.version}"
    if not mark.exists():
        print(f"installing {system.requirement} into {home}", flush=True)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", system.requirement], check=True)
        mark.touch()
    return python


def run(cell: Cell, seeds: Sequence[int], timeout: float) -> None:
    """Run the missing seeds of a cell: together, or each in a process of its own where the start counts."""
    RESULTS.mkdir(exist_ok=True)
    for first, last in stretches(seeds, alone=cell.world == "flat"):
        command = [str(python_of(cell.system)), "-m", f"bench.peers.{cell.system.driver}", str(cell.file)]
        command += [cell.system.variant] if cell.system.variant else []
        command += ["--world", cell.world, "--seeds", f"{first}-{last}", "--budget", str(cell.budget)]
        what = f"{cell.system.name}, world {cell.world}, {cell.budget} trials, seeds {first} to {last}"
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
        if fault := fault_of(command, timeout * (last - first + 1)):
            print(f"FAILED: {fault}", flush=True)


def fault_of(command: Sequence[str], timeout: float) -> str:
    """Run a driver; returns why it failed. What it finished is recorded in any case."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {timeout:g} s"
    return "" if done.returncode == 0 else "\n".join(done.stderr.strip().splitlines()[-3:])


def stretches(seeds: Sequence[int], *, alone: bool) -> Iterator[tuple[int, int]]:
    """Runs of consecutive seeds as (first, last)."""
    start = None
    for seed in seeds:
        start = seed if start is None else start
        if alone or seed + 1 not in seeds:
            yield start, seed
            start = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", action="append", help="the beginning of a system's name; repeat for more")
    parser.add_argument("--world", action="append", choices=[MAIN_WORLD, *OTHER_WORLDS, "flat"])
    parser.add_argument("--budget", action="append", type=int)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one run")
    parser.add_argument("--table", action="store_true", help="only write the page from what is recorded")
    given = parser.parse_args()
    systems = [s for s in SYSTEMS if given.system is None or s.name.startswith(tuple(given.system))]
    if not given.table:
        for cell in cells(systems, given.world or [MAIN_WORLD, *OTHER_WORLDS, "flat"], given.budget or BUDGETS):
            run(cell, cell.missing(given.repetitions), given.timeout)
    table.write()


if __name__ == "__main__":
    main()
