"""What every driver shares: trials that are counted, proposals that are dealt, and one result a line.

A driver is a module with `drive(search)` at its end, where `search` runs one system once:

    python -m bench.peers.drive_gepa RESULTS.jsonl --world add --seeds 1-20 --budget 2000

Standard library only: it runs in each peer's environment.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers.world import TASKS, World

ENDS = 100
"""Candidates at the beginning and at the end of a run that tell how its cost grows."""


def cpu(*, living: bool = False) -> float:
    """Processor seconds of this process and of its children that have ended, or also of those that live."""
    ended = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    tasks = Path("/proc/self/task").glob("*/children") if living else ()
    children = [pid for task in tasks for pid in task.read_text().split()]
    return sum(used.ru_utime + used.ru_stime for used in ended) + sum(map(_child_cpu, children))


def _child_cpu(pid: str) -> float:
    """Processor seconds of a child that may just have ended, in steps of 10 ms (see proc(5), fields 14 to 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """One run of one system: its world, its budget of trials, what it used, what it was dealt."""

    world: World
    budget: int
    system: str
    used: int = 0
    dealt: int = 0
    brought: int = 0
    """Proposals that hold patches dealt before, and no new one."""
    stamps: list[float] = field(default_factory=list)
    best: float = 0.0
    living: bool = False
    """Whether processes that the system starts and keeps count too."""
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.system}{self.world.name}{self.world.seed}-{self.budget}")

    def left(self, trials: int = 1) -> bool:
        """Whether so many more trials may be run."""
        return self.used + trials <= self.budget

    def trial(self, ids: Iterable[int], task: int) -> bool:
        """Run a program on a task once."""
        self.used += 1
        return self._rng.random() < self.world.chances(ids)[task]

    def all_tasks(self, ids: Iterable[int]) -> float:
        """The share of tasks that a program solves, each run once."""
        known = [*ids]
        return sum(self.trial(known, task) for task in range(TASKS)) / TASKS

    def deal(self, ids: Iterable[int] = ()) -> list[int]:
        """A proposal: a program with these patches and the next one."""
        self.dealt += 1
        return self._made([*ids, self.dealt])

    def bring(self, ids: list[int]) -> list[int]:
        """A proposal of patches that were dealt before, put together by the one that was asked."""
        self.brought += 1
        return self._made(ids)

    def _made(self, ids: list[int]) -> list[int]:
        self.stamps.append(cpu(living=self.living))
        if self.world.name != "flat":
            self.best = max(self.best, self.world.true(ids))
        return ids


@dataclass(frozen=True)
class Pick:
    """What a system hands in at its end, and what score it claims for it; None if it claims none."""

    ids: list[int]
    reported: float | None
    kept: int
    true_reported: float | None = None
    """The true value of what it reports, where that is a mean over other tasks than all."""
    more: dict[str, Any] = field(default_factory=dict)


Search = Callable[[Run], Pick]


def drive(system: str, search: Search) -> None:
    """Run a system for each seed, and append a line of results for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--world", required=True)
    parser.add_argument("--seeds", required=True, help="first-last")
    parser.add_argument("--budget", type=int, required=True, help="trials")
    given = parser.parse_args()
    first, last = map(int, given.seeds.split("-"))
    for seed in range(first, last + 1):
        run = Run(World(given.world, seed), given.budget, system)
        line = measured(run, search)
        with given.out.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def measured(run: Run, search: Search) -> dict[str, Any]:
    """One run as a line of results."""
    wall, used = time.monotonic(), cpu()
    pick = search(run)
    world = run.world
    true = world.true(pick.ids)
    return {
        "system": run.system,
        "world": world.name,
        "seed": world.seed,
        "budget": run.budget,
        "used": run.used,
        "dealt": run.dealt + run.brought,
        "kept": pick.kept,
        "base": round(world.true([]), 4),
        "true": round(true, 4),
        "reported": None if pick.reported is None else round(pick.reported, 4),
        "true_reported": round(true if pick.true_reported is None else pick.true_reported, 4),
        "in_pick": world.kinds(pick.ids),
        "best_dealt": round(run.best, 4),
        "wall": round(time.monotonic() - wall, 2),
        "cpu": round(cpu() - used, 2),
        "first_cpu": round(run.stamps[0], 3) if run.stamps else None,
        "early_ms": _a_candidate(run.stamps[: ENDS + 1]),
        "late_ms": _a_candidate(run.stamps[-ENDS - 1 :]),
        **pick.more,
    }


def _a_candidate(stamps: list[float]) -> float | None:
    """Processor milliseconds from one proposal to the next."""
    return round(1000 * (stamps[-1] - stamps[0]) / (len(stamps) - 1), 2) if len(stamps) > 1 else None
