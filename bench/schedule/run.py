"""What a campaign's schedule does with its time: `make bench-schedule`.

Real campaigns (search, gate, git, ledger, default settings) in virtual time, with boxes in memory: a trial takes 60 s,
a proposal as long as the improver of the world takes. Three schedules spend the same hours with the same four boxes:

| schedule | proposals |
|---|---|
| parallel | four at a time, beside trials and pairs (`boxes.proposals: 4`) |
| one | one at a time, beside trials and pairs (`boxes.proposals: 1`, the default) |
| serial | one at a time, and nothing else is begun while it runs, as in a plain loop of propose and measure |

Of the proposals 15 % are worth 8 to 15 points, 20 % cost as much, 65 % do nothing.

    python -m bench.schedule.run            the campaigns that results.jsonl lacks; prints the table
    python -m bench.schedule.run --quick    half an hour of one seed each; keeps nothing
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Final

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Fate
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.parts import Planned, StepKind
from agent.kernel.loop.scheduling import Schedule
from agent.trials.evaluator import seed_of
from bench.overhead.scene import opened
from bench.schedule.virtual import run
from sandbox.fake import FakeRun, ran

TRIAL: Final = 60.0
WORLDS: Final = {"fast": 20.0, "slow": 900.0}
"""Seconds of a proposal."""
SCHEDULES: Final = {"parallel": 4, "one": 1, "serial": 1}
"""Proposals at a time."""
BOXES, HOURS, SEEDS = 4, 3.0, (1, 2, 3, 4)
BASE: Final = 0.25
FIGURES = ("idle", "boxes", "trials", "asked", "commits", "gain")
RECORD = Path(__file__).with_name("results.jsonl")
HEAD = """\
| improver | schedule | nothing runs | boxes | trials | proposals | commits | points an hour |
|---|---|---:|---:|---:|---:|---:|---:|"""
EFFECT = re.compile(rb"EFFECT = (-?\d+)")


class Serial(Schedule):
    """Begins nothing beside a proposal but what follows from a verdict."""

    def next(self, running: Collection[Planned], *, ending: bool) -> Planned | None:
        alone = any(step.kind is StepKind.PROPOSAL for step in running)
        return None if alone and not ending else super().next(running, ending=ending)


@dataclass
class Boxes:
    """What runs in the boxes, and for how much of the time; every schedule of a seed gets the same proposals."""

    seed: int
    proposal: float
    trials: int = 0
    asked: int = 0
    active: int = 0
    idle: float = 0.0
    used: float = 0.0
    since: float = field(default=0.0)

    async def scaffold(self, scene: FakeRun) -> object:
        proposing = "context/brief.json" in scene.task
        self._count(1)
        await asyncio.sleep(self.proposal if proposing else TRIAL)
        self._count(-1)
        if proposing:
            self._propose(scene)
        else:
            self.used += TRIAL
            self.trials += 1
            scene.workspace["answer"] = b"right" if self._luck(scene) < score(scene.scaffold.values()) else b"wrong"
        return ran("ok")

    def _count(self, change: int) -> None:
        now = asyncio.get_running_loop().time()
        self.idle += (now - self.since) * (self.active == 0)
        self.active, self.since = self.active + change, now

    def finish(self) -> None:
        """Count what has passed since the last box ended."""
        self._count(0)

    def _luck(self, scene: FakeRun) -> float:
        return random.Random(scene.env["RATCHET_SEED"] + scene.task["instruction.md"].decode()).random()

    def _propose(self, scene: FakeRun) -> None:
        number, rng = self.asked, random.Random(seed_of(self.seed, "idea", self.asked))
        self.asked += 1
        kind, points = rng.random(), rng.randint(8, 15)
        effect = points if kind < 0.15 else -points if kind < 0.35 else 0
        path = f"{DEFAULT_MUTABLE[0]}/idea_{number}.py"
        scene.workspace[path] = b"IDEA = %d\nEFFECT = %d\n" % (number, effect)
        scene.workspace["PATCH.md"] = b"Add idea %d\n" % number


def score(files: Collection[bytes]) -> float:
    """The true score of a scaffold."""
    return min(max(BASE + sum(int(one[1]) for body in files for one in EFFECT.finditer(body)) / 100, 0.0), 1.0)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One campaign: shares of its time, and what came of it; `gain` is in points an hour."""

    world: str
    schedule: str
    seed: int
    idle: float
    boxes: float
    trials: int
    asked: int
    commits: int
    gain: float


async def campaign(world: str, schedule: str, seed: int, hours: float, folder: Path) -> Found:
    """One campaign of so many virtual hours."""
    proposal = WORLDS[world]
    loop, boxes = asyncio.get_running_loop(), Boxes(seed, proposal)
    budget = Budget(Limits(seconds=hours * 3600), Spent(), clock=loop.time)
    options = {
        "seed": seed,
        "boxes": {"parallel": BOXES, "proposals": SCHEDULES[schedule], "stall_minutes": 600},
        "budget": {"hours": hours},
        "search": {"shown": 1.0},
    }
    made = opened(folder, options, boxes.scaffold, budget=budget, propose_timeout=2 * proposal + 60)
    async with made as running:
        if schedule == "serial":
            _make_serial(running)
        await running.run()
        boxes.finish()
        state = running.state
        best = running.parts.scaffolds[state.candidates[state.champion].tree or ""]
        return Found(
            world=world,
            schedule=schedule,
            seed=seed,
            idle=boxes.idle / loop.time(),
            boxes=boxes.used / (BOXES * loop.time()),
            trials=boxes.trials,
            asked=boxes.asked,
            commits=sum(one.fate is Fate.CHAMPION for one in state.candidates.values()),
            gain=100 * (score(best.values()) - BASE) / hours,
        )


def _make_serial(running: Campaign) -> None:
    known = running.schedule
    known.__class__ = Serial


def measured(world: str, schedule: str, seed: int, hours: float) -> Found:
    """What one campaign in a folder that is gone afterwards showed."""
    with tempfile.TemporaryDirectory(prefix="schedule-") as folder:
        return run(campaign(world, schedule, seed, hours, Path(folder)))


def row(found: list[Found]) -> str:
    """A line of the table: means over seeds, of the gain with its standard error."""
    mean = {name: statistics.fmean(getattr(one, name) for one in found) for name in FIGURES}
    error = statistics.stdev(one.gain for one in found) / len(found) ** 0.5 if len(found) > 1 else 0.0
    return (
        f"| {found[0].world} | {found[0].schedule} | {mean['idle']:.1%} | {mean['boxes']:.0%} | {mean['trials']:.0f} |"
        f" {mean['asked']:.0f} | {mean['commits']:.1f} | {mean['gain']:.2f} ± {error:.2f} |"
    )


def main() -> None:
    quick = "--quick" in sys.argv
    hours, seeds = (0.5, SEEDS[:1]) if quick else (HOURS, SEEDS)
    known = [Found(**json.loads(line)) for line in RECORD.read_text().splitlines()] if RECORD.exists() else []
    found = {(one.world, one.schedule, one.seed): one for one in known if not quick}
    for seed, world, schedule in product(seeds, WORLDS, SCHEDULES):
        key = world, schedule, seed
        if key not in found:
            found[key] = measured(world, schedule, seed, hours)
            print(json.dumps(asdict(found[key])), flush=True)
            if not quick:
                with RECORD.open("a", encoding="utf-8") as record:
                    record.write(json.dumps(asdict(found[key])) + "\n")
    print(HEAD)
    for world, schedule in product(WORLDS, SCHEDULES):
        print(row([found[world, schedule, seed] for seed in seeds]))


if __name__ == "__main__":
    main()
