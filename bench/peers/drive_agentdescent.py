"""agentdescent (package `agentdescent`): `evolve` with one slot and its defaults, until the trials are used up."""

from __future__ import annotations

import threading
from typing import Any

from agentdescent import SingleSlot, Task, evolve

from bench.peers.driving import Pick, Run, drive
from bench.peers.world import TASKS, ids_of, program


def search(run: Run) -> Pick:
    lock = threading.Lock()

    def solve(rendered: str, task: Any) -> str:
        with lock:
            return str(int(run.trial(ids_of(rendered), int(task.id[1:]))))

    def propose(rendered: str, *_: object) -> str:
        with lock:
            return program(run.deal(ids_of(rendered)))

    result = evolve(
        [Task(id=f"t{n}", prompt=f"task {n}") for n in range(TASKS)],
        lambda _, output: float(output),
        run=solve,
        propose=propose,
        strategy=SingleSlot(initial_value=program([])),
        rounds=10**6,
        stop_when=lambda _: not run.left(),
        seed=run.world.seed,
        shuffle=True,
    )
    best = ids_of(result.rendered)
    return Pick(best, result.final_reward, len(best))


if __name__ == "__main__":
    drive("agentdescent", search)
