"""Kill real short campaigns at random times and at chosen points, resume them, and check what must hold.

    python -m bench.faults.run --kills 200 --seed 1

Every campaign is real: the command line, Docker boxes, git, a model behind HTTP. Half of the kills hit the process
alone, half its whole session. A point is hit from outside, by polling the ledger for the next row of a kind. The exit
code is 0 if nothing was violated; stdout gets a line per kill. Two series may run beside each other if their seeds and
their TMPDIR differ.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.faults.home import Home, kill
from bench.faults.invariants import (
    Snapshot,
    has_schema,
    kept,
    one_writer,
    paid,
    read_only,
    served,
    snapshot,
    violations,
)

POINTS = {
    "call": "SELECT count(*) FROM calls",
    "trial": "SELECT count(*) FROM trials",
    "candidate": "SELECT count(*) FROM candidates",
    "test opened": "SELECT count(*) FROM tests",
    "pair": "SELECT count(*) FROM pairs",
    "verdict": "SELECT count(DISTINCT test) FROM verdicts",
    "holdout": "SELECT count(*) FROM trials WHERE purpose = 'holdout'",
    "commit": "SELECT count(*) FROM commits",
    "begin": "SELECT count(*) FROM events WHERE kind = 'begin'",
}
KILLS_A_CAMPAIGN = 10
LONGEST_WAIT, POINT_WAIT, LONGEST_RUN = 10.0, 30.0, 900.0


@dataclass
class Series:
    """Many kills; `found` holds every violation with the campaign and kill that it followed."""

    home: Home
    rng: random.Random
    kills: int
    prefix: str
    done: int = 0
    names: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Campaign after campaign until the number of kills is reached."""
        while self.done < self.kills:
            self.campaign(f"{self.prefix}{len(self.names)}")
        if (problem := paid(self.home, served(), self.done, self.names)) is not None:
            self.say(problem)

    def campaign(self, name: str) -> None:
        """One campaign: killed some times, then run to its end and examined."""
        config = self.home.configure(name)
        ledger = self.home.folder / "runs" / name / "ledger.sqlite"
        before = Snapshot(rows={})
        self.names.append(name)
        count = 0
        while count < KILLS_A_CAMPAIGN and self.done < self.kills:
            process = self.home.start(config)
            what = self.strike(process, ledger)
            now = snapshot(ledger)
            self.say(*(f"{name}: {problem}" for problem in kept(before, now)))
            before = now
            if what is None:
                break
            count, self.done = count + 1, self.done + 1
            self.kinds[what] += 1
            print(f"kill {self.done} of {name}: {what}; {_size(now)}", flush=True)
        process = self.home.start(config)
        seen: set[str] = set()
        self.beside(process, name, seen)
        if process.returncode != 0:
            log = config.with_suffix(".log").read_text(errors="replace")
            self.say(f"{name}: the last run ended with exit code {process.returncode}: {log[-600:]}")
        after = snapshot(ledger)
        self.say(*(f"{name}: {problem}" for problem in kept(before, after)))
        self.say(*(f"{name}: {problem}" for problem in violations(self.home, name)))
        print(f"{name} ended after {count} kills: {_size(after)}", flush=True)

    def strike(self, process: subprocess.Popen[bytes], ledger: Path) -> str | None:
        """Kill a run at a random time or at a point; None if it ended by itself before that."""
        alone, where = self.rng.random() < 0.5, self.rng.choice(["time", "time", *POINTS])
        delay = self.rng.uniform(0.0, LONGEST_WAIT)
        end = time.monotonic() + (delay if where == "time" else POINT_WAIT)
        start = _count(ledger, POINTS[where]) if where != "time" else 0
        while time.monotonic() < end and process.poll() is None:
            if where != "time" and _count(ledger, POINTS[where]) > start:
                time.sleep(self.rng.choice([0.0, 0.0, 0.002, 0.02]))
                break
            time.sleep(0.003)
        else:
            where = "time"
        if process.poll() is not None:
            if process.returncode != 0:
                self.say(f"a run ended by itself with exit code {process.returncode} ({ledger.parent.name})")
            return None
        kill(process, alone=alone)
        return f"{where}, {'process alone' if alone else 'whole session'}"

    def beside(self, process: subprocess.Popen[bytes], name: str, seen: set[str]) -> None:
        """Wait for the last run, and see that no box of an earlier one lives on beside its own."""
        end, begun = time.monotonic() + LONGEST_RUN, False
        ledger = self.home.folder / "runs" / name / "ledger.sqlite"
        start = _count(ledger, POINTS["begin"])
        while process.poll() is None:
            begun = begun or _count(ledger, POINTS["begin"]) > start
            if begun and (problem := one_writer(name, wanted=seen)) is not None:
                self.say(f"{name}: {problem}")
            if time.monotonic() > end:
                self.say(f"{name}: no end within {LONGEST_RUN:.0f} s")
                kill(process, alone=False)
            time.sleep(0.5)

    def say(self, *problems: str) -> None:
        """Keep and print violations."""
        for problem in problems:
            self.found.append(problem)
            print(f"VIOLATION {problem}", flush=True)


def _count(ledger: Path, sql: str) -> int:
    if not ledger.exists():
        return 0
    with read_only(ledger) as db:
        return int(db.execute(sql).fetchone()[0]) if has_schema(db) else 0


def _size(moment: Snapshot) -> str:
    tables = ("trials", "calls", "candidates", "tests", "pairs", "commits")
    return ", ".join(f"{len(moment.rows.get(table, []))} {table}" for table in tables)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the repository, ledgers and logs")
    given = parser.parse_args()
    started, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="ratchet-faults-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    series = Series(home=Home(folder), rng=random.Random(given.seed), kills=given.kills, prefix=f"k{given.seed}-")
    try:
        series.run()
    finally:
        series.home.close()
        if not given.keep and not series.found:
            shutil.rmtree(folder, ignore_errors=True)
    alone = sum(n for what, n in series.kinds.items() if "alone" in what)
    print(f"\n{series.done} kills ({alone} of the process alone) of {len(series.names)} campaigns, seed {given.seed}")
    print(f"{len(series.found)} violations, {(time.monotonic() - started) / 60:.1f} minutes")
    for what, count in sorted(series.kinds.items()):
        print(f"  {count:>4}  {what}")
    if series.found:
        print(f"kept: {folder}")
    return 1 if series.found else 0


if __name__ == "__main__":
    sys.exit(main())
