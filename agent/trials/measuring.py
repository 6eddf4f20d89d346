"""Fresh trials of given scaffolds on given tasks, which decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.base.errors import BudgetSpent, InfrastructureError, ProviderDown
from agent.base.types import Purpose, Task, Trial
from agent.trials.evaluator import seed_of
from agent.trials.executor import Executor, Job
from agent.trials.waiting import all_of
from agent.trials.watching import Watcher

ATTEMPTS = 3
"""How often a trial is started until it is not void."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One trial of a measurement: of which tree and which run of its task it is, both counted from 0.

    `mark` ends the name of its files.
    """

    side: int
    run: int
    job: Job
    mark: str = ""


Watch = Callable[[Planned], Watcher | None]
Done = Callable[[Planned, Trial], object]


def plan(trees: Sequence[str], tasks: Sequence[Task], runs: int, about: str = "eval") -> list[Planned]:
    """`runs` trials of every task for every tree, in the order in which they start.

    The trees share a seed and their model answers run by run, so that their scores can be compared in pairs; with
    those of a plan that is `about` something else they share nothing.
    """
    scopes = [(run, task, f"{about}:{task.id}:{run}") for run in range(runs) for task in tasks]
    return [
        Planned(
            side=side,
            run=run,
            job=Job(tree=tree, task=task, purpose=Purpose.EVAL, seed=seed_of(scope), answer_scope=scope),
            mark="-against" if side else "",
        )
        for run, task, scope in scopes
        for side, tree in enumerate(trees)
    ]


async def measure(
    evaluator: Executor, planned: Sequence[Planned], done: Done, watch: Watch = lambda _: None
) -> list[Trial]:
    """Every trial of a plan, in its order. `done` is called after each, `watch` says who looks on.

    Raises:
        InfrastructureError: a trial stayed void when it was retried, and with it the measurement; the others end.
    """

    async def one(item: Planned) -> Trial:
        trial = await retried(evaluator, replace(item.job, watcher=watch(item)))
        done(item, trial)
        return trial

    return await all_of([one(item) for item in planned])


async def retried(evaluator: Executor, job: Job) -> Trial:
    """One trial; a void one is retried, and its watcher is told why.

    Raises:
        InfrastructureError: it was void ATTEMPTS times.
        BudgetSpent, ProviderDown: at once, since a retry would meet them too.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await evaluator.trial(job)
        except (BudgetSpent, ProviderDown):
            raise
        except InfrastructureError as error:
            if job.watcher is not None:
                job.watcher.voided(str(error))
    return await evaluator.trial(job)
