"""Fresh trials that decide nothing: one list a tree, comparable in pairs."""

from __future__ import annotations

import pytest

from agent.base.errors import SandboxDown
from agent.base.types import BoxSpec, Files, Grade, Purpose, Split
from agent.trials.measuring import ATTEMPTS, measure, plan
from sandbox.fake import FakeBox, FakeRun, FakeSandbox
from tests.kernel.lab import SETTINGS, MakeLab


def improve(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 60\n"


class Breaking:
    """An in-memory sandbox that fails a few times first."""

    def __init__(self, sandbox: FakeSandbox, faults: int) -> None:
        self._sandbox, self._faults = sandbox, faults

    async def open(self, spec: BoxSpec) -> FakeBox:
        self._faults -= 1
        self._sandbox.break_down("the engine is gone" if self._faults >= 0 else None)
        return await self._sandbox.open(spec)

    def prewarm(self, spec: BoxSpec, count: int) -> None:
        self._sandbox.prewarm(spec, count)


class Looking:
    """A watcher that keeps why trials were void."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.voided = self.reasons.append

    def started(self) -> None:
        """Not looked at."""

    def printed(self, chunk: bytes) -> None:
        """Not looked at."""

    def graded(self, submission: Files, grade: Grade) -> None:
        """Not looked at."""


@pytest.mark.parametrize("faults", [0, ATTEMPTS - 1, ATTEMPTS])
async def test_a_void_trial_is_retried_a_few_times(make_lab: MakeLab, faults: int) -> None:
    async with make_lab(improve).campaign() as campaign:
        parts = campaign.parts
        visit = parts.evaluator._backend._visit
        visit._sandbox = Breaking(visit._sandbox, faults)
        look, tree = Looking(), parts.repository.tree_of(parts.repository.base)
        work = measure(
            parts.evaluator, plan((tree,), parts.suite.split(Split.GATE)[:1], 1), lambda *_: None, lambda _: look
        )
        if faults < ATTEMPTS:
            (trial,) = await work
            assert trial.tree == tree
        else:
            with pytest.raises(SandboxDown, match="the engine is gone"):
                await work
    assert len(look.reasons) == min(faults, ATTEMPTS - 1)
    assert all("the engine is gone" in reason for reason in look.reasons)


async def test_every_tree_gets_the_same_tasks_and_seeds_run_by_run(make_lab: MakeLab) -> None:
    async with make_lab(improve).campaign() as campaign:
        parts, done = campaign.parts, []
        weak = parts.repository.tree_of(parts.repository.base)
        strong = parts.repository.write(weak, {SETTINGS: b"SKILL = 80\n", "prompts/solve.md": b"do it\n"})
        tasks = parts.suite.split(Split.GATE)
        planned = plan((weak, strong), tasks, 3)
        trials = await measure(parts.evaluator, planned, lambda item, trial: done.append((item, trial)))
        sides = [[t for item, t in zip(planned, trials, strict=True) if item.side == side] for side in (0, 1)]
    assert [len(side) for side in sides] == [3 * len(tasks)] * 2
    assert len(done) == 6 * len(tasks)
    for before, after in zip(*sides, strict=True):
        assert (before.task, before.seed, before.purpose) == (after.task, after.seed, Purpose.EVAL)
        assert (before.tree, after.tree) == (weak, strong)
        assert before.score <= after.score, "the same luck, with more skill"
    seeds = {(trial.task, trial.seed) for trial in sides[0]}
    assert len(seeds) == 3 * len(tasks), "every run has another seed"
