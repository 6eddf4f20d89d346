"""Fresh trials of given scaffolds on given tasks, which decide nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent.base.errors import BudgetSpent, InfrastructureError, ProviderDown
from agent.base.types import Purpose, Task, Trial
from agent.trials.evaluator import seed_of
from agent.trials.executor import Executor, Job

ATTEMPTS = 3
"""How often a trial is started until it is not void."""


async def retried(evaluator: Executor, job: Job) -> Trial:
    """One trial; a void one is retried.

    Raises:
        InfrastructureError: it was void ATTEMPTS times.
        BudgetSpent, ProviderDown: at once, since a retry would meet them too.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await evaluator.trial(job)
        except (BudgetSpent, ProviderDown):
            raise
        except InfrastructureError:
            continue
    return await evaluator.trial(job)


async def measure(
    evaluator: Executor, trees: Sequence[str], tasks: Sequence[Task], runs: int, done: Callable[[], object]
) -> list[list[Trial]]:
    """`runs` trials of every task for every tree; one list a tree, in the same order of tasks.

    The trees share a seed and their model answers run by run, so that their scores can be compared in pairs.
    `done` is called after each trial.

    Raises:
        InfrastructureError: a trial stayed void when it was retried, and with it the measurement.
    """

    async def one(tree: str, task: Task, scope: str) -> Trial:
        job = Job(tree=tree, task=task, purpose=Purpose.EVAL, seed=seed_of(scope), answer_scope=scope)
        trial = await retried(evaluator, job)
        done()
        return trial

    scopes = [(task, f"eval:{task.id}:{run}") for run in range(runs) for task in tasks]
    trials = await asyncio.gather(*(one(tree, task, scope) for task, scope in scopes for tree in trees))
    return [list(trials[side :: len(trees)]) for side in range(len(trees))]
