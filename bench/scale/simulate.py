"""What a cluster of so many nodes asks of its head, and what gives way first: a simulation on the measured costs.

python -m bench.scale.simulate     reads capacity.json beside this file, writes simulation.json

Every box works in a loop: its node makes it, the model is asked some times, its work is graded. Each call, and each
trial at its end, is work of the head, which does one thing at a time, in the order in which it comes. `Head` says how:
as Ratchet is, or with a remedy.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NODES = (10, 100, 1000)
BOXES = 4
"""Boxes of a node at a time."""

CALLS = 8
BOX_SECONDS, WORK_SECONDS = 3.0, 7.0
"""Of a trial, on its node: two boxes made and removed; what the agent and the tests compute."""

MODELS = {"hosted": 5.0, "fast": 0.5}
"""Seconds that a model takes for an answer, on average."""

MINUTES = 4.0
SPREAD = 0.5


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds of the head: processor time of a call and of a trial; of a row's flush to the disk; bytes of a call."""

    call: float
    trial: float
    flush: float
    bytes_: float


@dataclass(frozen=True, kw_only=True)
class Head:
    """How the head works: processes that serve calls, and whether rows of calls that wait are flushed together."""

    gateways: int = 1
    batched: bool = True


class Line:
    """Servers that take work in the order in which it comes."""

    def __init__(self, servers: int) -> None:
        self._free = [0.0] * servers
        self.busy = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """When work that comes now is done."""
        start = max(now, heapq.heappop(self._free))
        heapq.heappush(self._free, start + seconds)
        self.busy += seconds
        return start + seconds


class Writer:
    """The flushes of rows that may wait: what comes during one is kept by the next one."""

    def __init__(self, flush: float) -> None:
        self._flush, self._start, self.flushes = flush, 0.0, 0

    def keep(self, now: float) -> float:
        """When a row that comes now is kept."""
        if now > self._start:
            # A flush that has begun is too late for this row; the next one begins when it ends.
            self._start = max(now, self._start + self._flush)
            self.flushes += 1
        return self._start + self._flush


def simulate(nodes: int, model: float, costs: Costs, head: Head, seed: int = 1) -> dict[str, Any]:
    """A campaign on so many nodes for some minutes, after a minute in which it finds its pace."""
    rng, boxes = random.Random(seed), nodes * BOXES
    line, writer = Line(head.gateways), Writer(costs.flush)
    begin, end = 60.0, 60.0 * (1 + MINUTES)
    events = [(rng.uniform(0, trial_seconds(model)), n, 0) for n in range(boxes)]
    heapq.heapify(events)
    waits, calls, trials, busy_before, flushes_before = list[float](), 0, 0, 0.0, 0
    while events[0][0] < end:
        now, box, done = heapq.heappop(events)
        if now < begin:
            busy_before, flushes_before = line.busy, writer.flushes
        service = costs.call if done < CALLS else costs.trial
        together = head.batched and done < CALLS
        kept = writer.keep(line.serve(now, service)) if together else line.serve(now, service + costs.flush)
        if now >= begin:
            waits.append(kept - now - service - costs.flush)
            calls, trials = calls + (done < CALLS), trials + (done == CALLS)
        node = BOX_SECONDS + WORK_SECONDS if done == CALLS else 0.0
        pause = node + (model if done < CALLS else 0.0)
        heapq.heappush(events, (kept + pause * rng.uniform(1 - SPREAD, 1 + SPREAD), box, (done + 1) % (CALLS + 1)))
    seconds = end - begin
    ideal = boxes * CALLS / trial_seconds(model)
    waits.sort()
    return {
        "nodes": nodes,
        "calls_a_second": round(calls / seconds, 1),
        "trials_a_minute": round(60 * trials / seconds),
        "of_ideal": round(calls / seconds / ideal, 2),
        "head_busy": round(min(1.0, (line.busy - busy_before) / seconds / head.gateways), 2),
        "rows_a_second": round((calls + trials) / seconds, 1),
        "flushes_a_second": round(
            (writer.flushes - flushes_before + trials if head.batched else calls + trials) / seconds, 1
        ),
        "megabytes_a_second": round(calls * costs.bytes_ / seconds / 1e6, 2),
        "wait_ms_p95": round(1000 * waits[int(0.95 * len(waits))], 1),
    }


def trial_seconds(model: float) -> float:
    """How long a trial takes where the head takes no time."""
    return BOX_SECONDS + WORK_SECONDS + CALLS * model


HEADS = {
    "a flush for each row": Head(batched=False),
    "as it is": Head(),
    "4 gateway processes, one writer": Head(gateways=4),
}


def read_costs(capacity: dict[str, Any]) -> Costs:
    """The measured costs."""
    call, record = capacity["many_sessions"]["cpu_ms_a_call"], capacity["record"]
    trial = capacity["trials"]["cpu_ms_a_trial"] + record["trial_cpu_ms"]
    return Costs(
        call=call / 1000,
        trial=trial / 1000,
        flush=(record["trial_wall_ms"] - record["trial_cpu_ms"]) / 1000,
        bytes_=1000 * capacity["many_sessions"]["kilobytes_a_call"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "simulation.json")
    options = parser.parse_args()
    costs = read_costs(json.loads((HERE / "capacity.json").read_text()))
    found = {
        model: {name: [simulate(nodes, seconds, costs, head) for nodes in NODES] for name, head in HEADS.items()}
        for model, seconds in MODELS.items()
    }
    text = json.dumps({"costs_ms": {k: 1000 * v for k, v in vars(costs).items() if k != "bytes_"}, **found}, indent=1)
    options.out.write_text(text + "\n")
    for model, heads in found.items():
        for name, rows in heads.items():
            for row in rows:
                print(f"{model:7s} {name:32s}", row)


if __name__ == "__main__":
    main()
