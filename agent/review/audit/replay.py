"""Run recorded trials again, with the recorded answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.base.errors import ProviderDown
from agent.base.types import Purpose, Task, Trial
from agent.trials.executor import Executor, Job
from agent.trials.measuring import retried
from agent.trials.waiting import all_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """One recorded trial that ran again; `score` is None where it asked for an answer that was not recorded."""

    trial: Trial
    score: float | None
    reason: str

    @property
    def same(self) -> bool:
        """Whether the score is the recorded one."""
        return self.score is not None and math.isclose(self.score, self.trial.score, abs_tol=1e-9)


async def replay(
    evaluator: Executor, tasks: Mapping[str, Task], trials: Sequence[Trial], done: Callable[[], object]
) -> list[Replayed]:
    """Run trials again under their own names, so that a replaying gateway finds their answers.

    Raises:
        InfrastructureError: a box or the engine kept failing. An answer that was not recorded is a result instead.
    """

    async def one(trial: Trial) -> Replayed:
        job = Job(
            tree=trial.tree,
            task=tasks[trial.task],
            purpose=Purpose.EVAL,
            seed=trial.seed,
            answer_scope=None,
            name=trial.id,
        )
        try:
            again = await retried(evaluator, job)
        except ProviderDown as error:
            return Replayed(trial=trial, score=None, reason=str(error))
        finally:
            done()
        return Replayed(trial=trial, score=again.score, reason=again.reason)

    return await all_of([one(trial) for trial in trials])
