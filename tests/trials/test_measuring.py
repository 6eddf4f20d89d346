"""Fresh trials that decide nothing: one list a tree, comparable in pairs."""

from __future__ import annotations

from agent.base.types import Purpose, Split
from agent.trials.measuring import measure
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab


def improve(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 60\n"


async def test_every_tree_gets_the_same_tasks_and_seeds_run_by_run(make_lab: MakeLab) -> None:
    async with make_lab(improve).campaign() as campaign:
        parts, done = campaign.parts, []
        weak = parts.repository.tree_of(parts.repository.base)
        strong = parts.repository.write(weak, {SETTINGS: b"SKILL = 80\n", "prompts/solve.md": b"do it\n"})
        tasks = parts.suite.split(Split.GATE)
        sides = await measure(parts.evaluator, (weak, strong), tasks, 3, lambda: done.append(1))
    assert [len(side) for side in sides] == [3 * len(tasks)] * 2
    assert len(done) == 6 * len(tasks)
    for before, after in zip(*sides, strict=True):
        assert (before.task, before.seed, before.purpose) == (after.task, after.seed, Purpose.EVAL)
        assert (before.tree, after.tree) == (weak, strong)
        assert before.score <= after.score, "the same luck, with more skill"
    seeds = {(trial.task, trial.seed) for trial in sides[0]}
    assert len(seeds) == 3 * len(tasks), "every run has another seed"
