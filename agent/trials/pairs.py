"""Pairs of trials: champion and candidate on the same task under the same seed, both of them or none."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.base.errors import BudgetSpent, InfrastructureError, Starved
from agent.base.types import Side, Trial
from agent.trials.executor import Executor, Job, NodeLost
from agent.trials.heartbeat import Stopped


@dataclass(frozen=True, kw_only=True, slots=True)
class Void:
    """A pair that an infrastructure error made void: on which side, and why. Load meets both sides.

    `finished` holds the trials of champion and candidate that ended all the same.
    """

    side: Side
    reason: str
    starved: bool = False
    finished: tuple[Trial | None, Trial | None] = (None, None)

    def error(self) -> InfrastructureError:
        """What the pair's step raises."""
        return Starved(self.reason) if self.starved else InfrastructureError(self.reason)


async def both(
    executor: Executor, champion: Job, candidate: Job, order_seed: int, *, together: bool = True
) -> tuple[Trial, Trial] | Void:
    """One pair, both sides fresh and started in random order; or the side on which the infrastructure failed.

    They run at once, so that both meet the same load; not `together`, one after the other, so that neither slows the
    other down.

    An error voids both sides, decided without looking at the other side's score (gate.md, pairs). Where a provider
    failed, the side is the one whose model calls were under way at that moment.

    Raises:
        BudgetSpent: the campaign ends; nothing failed, so no void is counted.
        InfrastructureError: it failed before either scaffold ran. That hides nothing, so no void is counted either.
    """
    sides = [champion.named(), candidate.named()]
    order = random.Random(order_seed).sample((0, 1), 2)  # noqa: S311 (reproducible, not secret)
    turn = asyncio.Semaphore(2 if together else 1)

    async def played(job: Job) -> Trial:
        async with turn:  # first come, first served
            return await executor.trial(job)

    async with executor.pair():
        tasks = [asyncio.create_task(played(sides[n])) for n in order]
        try:
            results = await _ended(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    outcome = dict(zip(order, results, strict=True))
    first, second = outcome[0], outcome[1]
    if isinstance(first, Trial) and isinstance(second, Trial):
        return first, second
    errors = {
        side: error
        for side, outcome in zip(_SIDES, (first, second), strict=True)
        if (error := _failure(outcome)) is not None
    }
    if all(error.early for error in errors.values()) and len(errors) == len(sides):
        raise next(iter(errors.values()))
    names = {job.name: side for job, side in zip(sides, _SIDES, strict=True)}
    starved = any(isinstance(error, Starved) for error in errors.values())
    finished = first if isinstance(first, Trial) else None, second if isinstance(second, Trial) else None
    reason = str(next(iter(errors.values())))
    return Void(side=_side(errors, names), reason=reason, starved=starved, finished=finished)


async def _ended(tasks: Sequence[asyncio.Task[Trial]]) -> list[Trial | BaseException]:
    """What came of both sides. Raises BudgetSpent at once: the other side would be run for nothing."""
    waiting = {*tasks}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if isinstance(error := task.exception(), BudgetSpent):
                raise error
    return [task.exception() or task.result() for task in tasks]


_SIDES = (Side.CHAMPION, Side.CANDIDATE)


def _side(errors: Mapping[Side, InfrastructureError], names: Mapping[str | None, Side]) -> Side:
    """Whose calls were under way when a provider failed; both for load, a stop, a lost node; else those that failed."""
    if any(isinstance(error, Starved | Stopped | NodeLost) for error in errors.values()):
        return Side.BOTH
    met = [error.under_way for error in errors.values()]
    under_way = {side for name, side in names.items() if any(name in trials for trials in met)}
    sides = under_way or set(errors)
    return next(iter(sides)) if len(sides) == 1 else Side.BOTH


def _failure(outcome: Trial | BaseException) -> InfrastructureError | None:
    """The infrastructure error that ended one side; other exceptions propagate."""
    if isinstance(outcome, InfrastructureError):
        return outcome
    if isinstance(outcome, BaseException):
        raise outcome
    return None
