"""A real campaign on a Ray cluster whose head is killed and resumed: everything recorded is kept, nothing is left.

python -m bench.scale.head [--nodes N] [--trials N] [--kills N]     writes head.json beside this file
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.faults.home import Home, kill, until
from bench.faults.invariants import Snapshot, kept, snapshot, violations
from bench.scale.machines import Machine, machines

SEATS = 2
RUN_SECONDS = 1500.0
LEFT_SECONDS = 90.0


def campaign(home: Home, address: str, nodes: list[Machine], kills: int) -> dict[str, Any]:
    """One campaign: killed at a moment with work in flight, some times; then run to its end and examined."""
    name, parallel = "headless", SEATS * len(nodes)
    config = home.configure(
        name,
        executor={"kind": "ray", "address": address},
        boxes={"parallel": parallel, "starved": 1, "memory_mb": 256},
    )
    ledger = home.folder / "runs" / name / "ledger.sqlite"
    before, problems, events = Snapshot(rows={}), list[str](), list[str]()
    for number in range(1, kills + 1):
        strike(home, config, name)
        now = snapshot(ledger)
        problems += kept(before, now)
        before = now
        events.append(f"kill {number} after {trials(home, name)} trials")
    start = time.monotonic()
    process = home.start(config)
    code = process.wait(RUN_SECONDS)
    problems += [*kept(before, snapshot(ledger)), *violations(home, name)]
    until(lambda: not any(node.containers() for node in nodes), LEFT_SECONDS)
    return {
        "events": events,
        "exit_code": code,
        "last_run_seconds": round(time.monotonic() - start),
        "trials": trials(home, name),
        "problems": problems,
        "containers_left": [node.containers() for node in nodes],
        "log": config.with_suffix(".log").read_text(errors="replace")[-1500:] if code else "",
    }


def strike(home: Home, config: Path, name: str) -> None:
    """Start the campaign, and kill it when it has recorded a few more trials."""
    process, known = home.start(config), trials(home, name)
    until(lambda: process.poll() is not None or trials(home, name) > known + 4, RUN_SECONDS)
    kill(process, alone=True)


def trials(home: Home, name: str) -> int:
    """How many trials the campaign has recorded."""
    ledger = home.folder / "runs" / name / "ledger.sqlite"
    return len(snapshot(ledger).rows.get("trials", ())) if ledger.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "head.json")
    options = parser.parse_args()
    os.environ["RAY_AUTH_MODE"] = "disabled"  # everything is on this machine
    with tempfile.TemporaryDirectory(prefix="rh-") as folder, machines(options.nodes, SEATS) as cluster:
        home = Home(Path(folder), trials=options.trials)
        try:
            found = campaign(home, cluster.address, cluster.nodes, options.kills)
        finally:
            home.close()
    text = json.dumps({"nodes": options.nodes, "load_average": os.getloadavg(), **found}, indent=1)
    options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
