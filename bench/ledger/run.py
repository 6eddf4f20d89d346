"""What a long campaign costs: start, the next decision, status and memory, with many candidates and trials recorded.

python -m bench.ledger.run make FOLDER [--candidates 10000] [--trials 1000000] [--seed 1]
python -m bench.ledger.run measure FOLDER      prints a table, writes FOLDER/result.json
python -m bench.ledger.run other FOLDER        what has no bar: verify, export, the mirror rebuilt

`make` writes a tenth with the ledger's own methods, judged by the real gate (bench/review/synthetic.py), and the rest
as copies of its search trials and calls, which go through the same triggers but share their bodies. Every measure runs
in a process of its own. A step is what a campaign does around one search trial besides running it: choose, find a
free index, write the trial and the clock durably, check whether a node is ready for the gate.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.types import Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.config.campaign import Config
from agent.config.models import ModelsConfig
from agent.kernel.decide.archive import Measure, SearchSettings
from agent.kernel.decide.promotion import promising
from agent.kernel.decide.strategies import STRATEGIES, Strategy
from agent.kernel.loop.state import State
from agent.kernel.record.chain import COVERED
from agent.kernel.record.ledger import Ledger
from agent.review.audit.verify_ledger import verify_ledger
from agent.review.report.export import FileFormat, export
from agent.review.terminal.status import status
from bench.review.synthetic import write

NAME = "growth"
TASKS = 60
WIDE, NARROW = 0.9, 0.6
"""Growth of the archive at which the next decision is a proposal, and at which it is a trial (the default)."""

SHARE = 10
STEPS, BLOCKS, GROWTHS = 1000, 10, 5
BARS = {"start_s": 2.0, "decision_ms": 10.0, "status_s": 0.5, "memory_mib": 300.0, "growth": 1.2}


def ledger_of(folder: Path) -> Path:
    return folder / NAME / "ledger.sqlite"


def make(folder: Path, candidates: int, trials: int, seed: int) -> None:
    """About so many candidates and trials, at least one call a search trial."""
    write(ledger_of(folder), candidates=candidates, trials=trials // SHARE, seed=seed, tests=100)
    names = [name for name in COVERED["trials"] if name not in {"id", "trial_index"}]
    calls = [name for name in COVERED["calls"] if name not in {"id", "trial"}]
    with Ledger(ledger_of(folder)) as ledger:
        db = ledger._db  # noqa: SLF001
        tops = "SELECT candidate AS owner, top + 1 AS many FROM tallies WHERE purpose = 'search'"
        db.execute(f"CREATE TEMP TABLE tops AS {tops}")
        db.execute("CREATE TEMP TABLE first AS SELECT count(*) AS calls FROM calls")
        for copy in range(1, SHARE + 1):
            if ledger.count_trials() >= trials:
                break
            with ledger._writing():  # noqa: SLF001
                db.execute(
                    f"INSERT INTO trials (id, trial_index, {', '.join(names)})"  # noqa: S608 (our own column names)
                    f" SELECT id || '-' || ?1, trial_index + ?1 * many, {', '.join(names)} FROM trials"
                    " JOIN tops ON owner = candidate WHERE purpose = 'search' AND trial_index < many",
                    (copy,),
                )
                db.execute(
                    f"INSERT INTO calls (trial, {', '.join(calls)}) SELECT trial || '-' || ?1, {', '.join(calls)}"  # noqa: S608
                    " FROM calls, first WHERE id <= first.calls",
                    (copy,),
                )
            print(f"{ledger.count_trials():,} trials", flush=True)
        ledger.mirror_to(folder / NAME)


def config_of(folder: Path) -> Config:
    roles = {role: {"provider": "scripted", "script": "unused.yaml"} for role in ("solver", "improver")}
    models = ModelsConfig.model_validate(roles)
    return Config.model_validate({"name": NAME, "suite": "unused", "runs": folder, "models": models})


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def resumed(ledger: Ledger, growth: float) -> State:
    state = State(ledger, SearchSettings(task_count=TASKS, growth=growth))
    state.restore()
    state.open_test()
    return state


# ------------------------------------------------------------------------------------ measures, one a process


def start(folder: Path) -> dict[str, Any]:
    """Open, mirror, restore: until the first decision could be made."""
    before = memory_mib()

    def work() -> None:
        with Ledger(ledger_of(folder)) as ledger:
            ledger.mirror_to(folder / NAME)
            resumed(ledger, NARROW)

    return {**timed(work), "memory_mib": memory_mib(), "memory_before_mib": before}


def decision(folder: Path) -> dict[str, Any]:
    """The next decision, when it is a trial and when it is a proposal; the brief of a proposal."""
    found: dict[str, Any] = {}
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        for kind, growth in (("trial", NARROW), ("proposal", WIDE)):
            state, rng, strategy = resumed(ledger, growth), np.random.default_rng(1), STRATEGIES["thompson"]()
            each = [timed(lambda: strategy.next(state.archive, rng))["wall_s"] for _ in range(300)]  # noqa: B023
            found[f"{kind}_ms"] = 1000 * statistics.median(each)
            found[f"{kind}_p95_ms"] = 1000 * sorted(each)[int(0.95 * len(each))]
        each = [timed(lambda: promising(state.archive))["wall_s"] for _ in range(300)]
        found["promising_ms"] = 1000 * statistics.median(each)
        left = {"trials_left": 1, "tokens_left": None}
        parents = [node for node in list(state.candidates)[-40:] if node in state.archive]

        def brief(parent: int) -> None:
            state.brief(NAME, parent, left)
            state.failures(parent)

        found["brief_ms"] = 1000 * statistics.median(timed(lambda: brief(p))["wall_s"] for p in [0, *parents])  # noqa: B023
    return {**found, "memory_mib": memory_mib()}


def look(folder: Path) -> dict[str, Any]:
    """`ratchet status` beside the writer, without the start of Python."""
    config = config_of(folder)

    def work() -> None:
        with Ledger(ledger_of(folder), read_only=True) as ledger:
            status(config, ledger)

    return {**timed(work), "memory_mib": memory_mib()}


def step(state: State, strategy: Strategy, rng: np.random.Generator, number: int) -> None:
    """Everything around one search trial that is not the trial."""
    choice = strategy.next(state.archive, rng)
    node = choice.node if isinstance(choice, Measure) else 0
    flight = Measure(node, state.free_index(node, set()))
    state.archive.begin(flight)
    trial = Trial(
        id=f"{time.time_ns():x}-{number}", tree=state.candidates[node].tree or "", task=f"task-{number % TASKS}",
        purpose=Purpose.SEARCH, seed=number, score=float(rng.random() < 0.3), reason="3 of 4 hidden tests passed",
        transcript=f"{number} {time.time_ns()}\n" + "what the scaffold printed, line by line\n" * 20,
        usage=Usage(calls=1, fresh_calls=1), seconds=3.0,
    )  # fmt: skip
    state.searched(trial, node, flight.turn)
    state.archive.end(flight)
    promising(state.archive)
    state.ledger.remember("seconds", time.monotonic())


def steps(folder: Path) -> dict[str, Any]:
    """The first thousand steps of a new campaign and the next thousand of the long one, by turns in blocks.

    The long ledger is read once before: the machine holds the file of a campaign that is writing it.
    """
    rng = np.random.default_rng(2)
    with ledger_of(folder).open("rb") as file:
        while file.read(1 << 24):
            pass
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        new = Ledger(Path(beside) / "ledger.sqlite")
        new.mirror_to(Path(beside))
        long = Ledger(ledger_of(folder))
        long.mirror_to(folder / NAME)
        with new, long:
            new.add_candidate(_seed(), fingerprint=None, diff="", transcript="")
            states = {"first": resumed(new, NARROW), "last": resumed(long, NARROW)}
            _grow(states["first"])
            choosers = {name: STRATEGIES["thompson"]() for name in states}
            seen: dict[str, list[dict[str, float]]] = {name: [] for name in states}
            for _ in range(BLOCKS):
                for name, state in states.items():
                    each = range(STEPS // BLOCKS)
                    seen[name] += [timed(lambda: step(state, choosers[name], rng, len(seen[name]))) for _ in each]  # noqa: B023
    return {
        f"{name}_{clock[:-2]}_ms": 1000 * statistics.median(one[clock] for one in each)
        for name, each in seen.items()
        for clock in ("wall_s", "cpu_s")
    }


def _seed() -> Candidate:
    return Candidate(id=0, parent=None, tree="0" * 40, subject="seed", body="", fate=Fate.OPEN, reason="", size=1)


def _grow(state: State) -> None:
    """A new campaign after its first proposals."""
    for number in range(1, 11):
        one = Candidate(id=number, parent=0, tree=f"{number:040x}", subject="s", body="", fate=Fate.OPEN, reason="")
        state.add(one, fingerprint=str(number), diff="", transcript="")
        state.enter(one)


# ------------------------------------------------------------------------------------ without a bar


def verified(folder: Path) -> dict[str, Any]:
    found: list[int] = []

    def work() -> None:
        with Ledger(ledger_of(folder), read_only=True) as ledger:
            found.append(len(verify_ledger(ledger)))

    return {**timed(work), "broken": found[0], "memory_mib": memory_mib()}


def exported(folder: Path) -> dict[str, Any]:
    with Ledger(ledger_of(folder), read_only=True) as ledger, tempfile.TemporaryDirectory(dir=folder) as out:
        return {**timed(lambda: export(ledger, Path(out), FileFormat.PARQUET)), "memory_mib": memory_mib()}


def mirrored(folder: Path) -> dict[str, Any]:
    with Ledger(ledger_of(folder)) as ledger, tempfile.TemporaryDirectory(dir=folder) as out:
        return {**timed(lambda: ledger.mirror_to(Path(out))), "memory_mib": memory_mib()}


MEASURES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "start": start, "decision": decision, "status": look, "steps": steps,
}  # fmt: skip
OTHERS: dict[str, Callable[[Path], dict[str, Any]]] = {"verify": verified, "export": exported, "mirror": mirrored}


def alone(name: str, folder: Path) -> dict[str, Any]:
    """One measure in a process of its own."""
    command = [sys.executable, "-m", "bench.ledger.run", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"{name:<9}", done.stdout.strip(), flush=True)
    return dict(json.loads(done.stdout))


def measure(folder: Path) -> None:
    found = {name: alone(name, folder) for name in MEASURES}
    again = [found["steps"], *(alone("steps", folder) for _ in range(GROWTHS - 1))]
    growths = [one["last_wall_ms"] / one["first_wall_ms"] for one in again]
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        size = {"candidates": len(ledger.candidates()), "trials": ledger.count_trials(), "links": ledger.head()[0]}
    seen = {
        "start_s": found["start"]["wall_s"],
        "decision_ms": max(found["decision"]["trial_ms"], found["decision"]["proposal_ms"]),
        "status_s": found["status"]["wall_s"],
        "memory_mib": max(one.get("memory_mib", 0.0) for one in found.values()),
        "growth": statistics.median(growths),
    }
    for name, bar in BARS.items():
        print(f"{name:<12} {seen[name]:8.3f}  bar {bar:6.1f}  {'met' if seen[name] <= bar else 'NOT MET'}")
    text = json.dumps({"size": size, "seen": seen, "bars": BARS, "growths": growths, "measures": found}, indent=1)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "measure", "other", *MEASURES, *OTHERS])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = given.folder.resolve()
    if given.what == "make":
        make(folder, given.candidates, given.trials, given.seed)
    elif given.what == "measure":
        measure(folder)
    elif given.what == "other":
        for name in OTHERS:
            alone(name, folder)
    else:
        print(json.dumps({**MEASURES, **OTHERS}[given.what](folder)))


if __name__ == "__main__":
    main()
