"""The holdout: measured after each acceptance, reported, used for no decision."""

from __future__ import annotations

import asyncio

from agent.base.errors import BudgetSpent
from agent.base.types import Candidate, Purpose, Split, Task
from agent.kernel.decide.evidence import NOT_MEASURED, holdout_words
from agent.kernel.loop.parts import Parts
from agent.trials.evaluator import seed_of
from agent.trials.executor import Job


class Holdout:
    """Fresh holdout trials of an accepted candidate."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._state, self._config = parts, parts.state, parts.config

    def jobs(self) -> list[tuple[int, Task, int]]:
        """(index, task, turn) of each trial that a candidate gets."""
        tasks, runs = self._parts.suite.split(Split.HOLDOUT), self._config.holdout_runs
        return [(n, task, turn) for n, (turn, task) in enumerate((r, t) for r in range(runs) for t in tasks)]

    async def in_words(self, candidate: Candidate) -> str:
        """Measure a candidate; what came of it, for the commit."""
        try:
            return await self._measure(candidate)
        except* BudgetSpent:
            pass
        return f"{NOT_MEASURED} to the end: the budget was spent"

    async def _measure(self, candidate: Candidate) -> str:
        """The first candidate that is measured takes the seed along, with shared answers, for comparison."""
        jobs, ledger = self.jobs(), self._state.ledger
        if not jobs:
            return holdout_words([])
        done = {(owner, index) for owner, index, _ in ledger.indices(Purpose.HOLDOUT)}
        sides = (self._state.candidates[0], candidate)
        missing = [(side, *job) for job in jobs for side in sides if (side.id, job[0]) not in done]
        if missing:
            tasks, runs = len(jobs) // self._config.holdout_runs, self._config.holdout_runs
            ledger.note("holdout", f"#{candidate.id} is measured on {tasks} held-out tasks x {runs}")
        async with asyncio.TaskGroup() as group:
            for side, index, task, turn in missing:
                group.create_task(self._trial(side, index, task, turn))
        scores = [score for owner, _, score in ledger.indices(Purpose.HOLDOUT) if owner == candidate.id]
        return holdout_words(scores)

    async def _trial(self, candidate: Candidate, index: int, task: Task, turn: int) -> None:
        job = Job(
            tree=candidate.tree or "",
            task=task,
            purpose=Purpose.HOLDOUT,
            seed=seed_of(self._config.seed, "holdout", task.id, turn),
            answer_scope=f"holdout:{task.id}:{turn}",
        )
        self._state.measured(await self._parts.evaluator.trial(job), candidate.id, index)
