"""Work that waits for room on a cluster never waits for itself: pairs, builds, and what proposals try."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.base.types import Files, Purpose, Trial
from agent.base.usage import Usage
from agent.trials.cluster.seats import Seats
from agent.trials.executor import Executor, Job
from agent.trials.pairs import both
from agent.trials.preparing import Prepared
from bench.scale.work import tasks

pytest.importorskip("ray")

from agent.trials.cluster.backend import PLACE, Cluster

TREES = {name: {"main.py": name.encode()} for name in ("a", "b", "c")}


class FewNodes:
    """Nodes that answer at once; `asked` lists who did what."""

    def __init__(self, *seats: int) -> None:
        self.seats, self.asked = Seats(), list[tuple[str, str, str]]()
        for number, total in enumerate(seats):
            self.seats.add(f"n{number}", total)

    async def ask(self, node: str, what: str, scaffold: Files, *more: Any, **_options: Any) -> object:
        await asyncio.sleep(0.001)
        if what == "build":
            return {**scaffold, "built": b""}
        (facts, task) = more
        self.asked.append((node, facts["name"], facts["answer_scope"]))
        trial = Trial(
            id=facts["name"], tree=facts["tree"], task=task.id, purpose=facts["purpose"], seed=1,
            score=float("built" in scaffold), reason="", transcript="", usage=Usage(), seconds=0.0,
        )  # fmt: skip
        return trial, None


class Unpacked:
    """Parcels that hold what they carry."""

    def of(self, thing: object) -> object:
        return thing


def executor(nodes: FewNodes, folder: Path) -> Executor:
    machines = Cluster(nodes, None, Unpacked())  # type: ignore[arg-type]
    return Executor(machines, TREES, 8, Prepared(machines.build, TREES, "key", folder))


def job(tree: str, scope: str) -> Job:
    return Job(tree=tree, task=tasks()[0], purpose=Purpose.GATE, seed=1, answer_scope=scope)


async def test_pairs_trials_and_proposals_that_all_need_a_build_share_two_seats_without_waiting_for_themselves(
    tmp_path: Path,
) -> None:
    nodes = FewNodes(2)
    runs = executor(nodes, tmp_path)
    async with asyncio.timeout(20):
        done = await asyncio.gather(
            *(both(runs, job("a", f"{n}"), job("b", f"{n}"), n) for n in range(4)),
            *(runs.trial(job("c", "single")) for _ in range(4)),
            *(runs.scaffold(tree) for tree in TREES for _ in range(3)),
        )
    assert len(done) == 17
    assert all(trial.score == 1 for pair in done[:4] for trial in pair), "each ran what was built"
    assert PLACE.get() is None
    assert nodes.seats.total == 2


async def test_both_sides_of_every_pair_run_on_one_node(tmp_path: Path) -> None:
    nodes = FewNodes(2, 3, 2)
    runs = executor(nodes, tmp_path)
    async with asyncio.timeout(20):
        await asyncio.gather(*(both(runs, job("a", f"{n}"), job("b", f"{n}"), n) for n in range(20)))
    used = {scope: {node for node, _, found in nodes.asked if found == scope} for _, _, scope in nodes.asked}
    assert len(used) == 20
    assert all(len(places) == 1 for places in used.values())
    assert {node for node, _, _ in nodes.asked} == {"n0", "n1", "n2"}
