"""What travels between head and nodes keeps its meaning: errors, grading images, where a proposal's trials run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import InfrastructureError, ProviderDown
from agent.base.tools import Clock
from agent.base.types import Purpose, RewardKind, RunResult
from agent.trials.evaluator import Visit, evaluator_of
from agent.trials.executor import Executor, Job
from bench.scale.work import SCAFFOLDS, gateway, orders, tasks
from sandbox.fake import FakeRun, FakeSandbox, Program, ran

pytest.importorskip("ray")

from agent.trials.cluster.backend import PLACE, PlacedTools
from agent.trials.cluster.node import Seen, answered
from agent.trials.cluster.parcels import joined


async def test_an_error_of_a_node_is_as_early_at_the_head_and_names_the_same_calls() -> None:
    failed = ProviderDown("the machine room is dark")
    failed.early, failed.under_way = True, frozenset({"t1"})

    async def work() -> None:
        raise failed

    _, error = pickle.loads(pickle.dumps(await answered(work())))  # noqa: S301 - our own
    assert type(error) is ProviderDown
    assert (error.early, error.under_way, str(error)) == (True, {"t1"}, "the machine room is dark")


async def test_an_error_that_came_late_is_late_at_the_head() -> None:
    async def work() -> None:
        raise InfrastructureError("gone")

    _, error = pickle.loads(pickle.dumps(await answered(work())))  # noqa: S301 - our own
    assert not error.early
    assert error.under_way == frozenset()


@given(st.lists(st.binary(max_size=9)), st.integers(1, 20))
def test_an_image_is_sent_in_few_pieces_that_are_the_same_bytes(pieces: list[bytes], size: int) -> None:
    parts = list(joined(pieces, size))
    assert b"".join(parts) == b"".join(pieces)
    assert all(size <= len(part) < size + 9 for part in parts[:-1])
    assert all(parts)


def solve(run: FakeRun) -> RunResult:
    """Hand in a file, and print a word."""
    run.workspace["solution.py"] = b"def add(a, b): return a + b\n"
    return ran("solved\n")


async def test_what_a_node_is_told_names_the_image_that_grades_and_what_was_handed_in_comes_back(
    tmp_path: Path,
) -> None:
    task = replace(tasks()[0], check=("check",), reward=RewardKind.EXIT, junit=None)
    told = replace(orders("solving", "r1"), images={f"{task.id}/check": "grading"}, command=("scaffold",))
    programs: dict[str, Program] = {"scaffold": solve, "check": lambda _: ran(exit_code=0)}
    seen = Seen()
    async with gateway() as server, FakeSandbox(programs, folder=tmp_path) as sandbox:
        visit = Visit(sandbox, server, told.spec, told.command)
        executor = Executor(evaluator_of(told, sandbox, visit), SCAFFOLDS, 1)
        job = Job(tree="tree", task=task, purpose=Purpose.EVAL, seed=1, answer_scope=None, watcher=seen)
        trial = await executor.trial(job)
    assert [spec.image for spec in sandbox.opened] == ["solving", "grading"]
    assert trial.score == 1
    handed_in = pickle.loads(pickle.dumps(seen.last))  # noqa: S301 - our own
    assert handed_in[0] == {"solution.py": b"def add(a, b): return a + b\n"}
    assert handed_in[1].score == 1


class Asking:
    """Tools that say where the proposal that asks sits."""

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:  # noqa: ARG002
        """The node."""
        return {"place": PLACE.get()}


class Still:
    """A clock that nobody reads."""

    def stand(self) -> None:
        """Stand."""

    def run(self) -> None:
        """Run."""


async def test_what_a_proposal_tries_is_placed_on_its_own_node_and_nothing_else_is() -> None:
    first, second = PlacedTools(Asking(), "a"), PlacedTools(Asking(), "b")
    assert await first.use("try", b"", Still()) == {"place": "a"}
    assert await second.use("try", b"", Still()) == {"place": "b"}
    assert PLACE.get() is None
