"""The A/A check: the seed against itself, with the same answers, at the concurrency that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from agent.base.types import Purpose, Task
from agent.kernel.loop.parts import PAIR_BOXES, Parts, Planned, StepKind
from agent.trials.evaluator import seed_of
from agent.trials.executor import Job
from agent.trials.pairs import Void, both


def seed_job(parts: Parts, task: Task, purpose: Purpose) -> Job:
    """The seed's first search trial of a task once more: the same seed and the same answers."""
    return Job(
        tree=parts.state.candidates[0].tree or "",
        task=task,
        purpose=purpose,
        seed=seed_of(parts.config.seed, "search", task.id, 0),
        answer_scope=f"search:{task.id}:0",
    )


class SameCheck:
    """Pairs in which both sides are equal. They share all answers, so only load or chance in the scaffold differs."""

    def __init__(self, parts: Parts, order: Sequence[Task]) -> None:
        self._parts, self._order = parts, order
        self.left = 0
        """Pairs that are still to be run; no proposal starts before."""

    def queue(self, later: Callable[[Planned], None]) -> None:
        """Queue the pairs that the campaign has not run yet."""
        done = len(self._parts.state.ledger.indices(Purpose.SAME)) // 2
        pairs = range(done, min(self._parts.config.gate_options.same_pairs, len(self._order)))
        self.left = len(pairs)
        for index in pairs:
            work = partial(self._pair, index)
            later(Planned(kind=StepKind.SAME, label=f"A/A pair {index}", boxes=PAIR_BOXES, work=work, again=True))

    async def _pair(self, index: int) -> None:
        state, task = self._parts.state, self._order[index]
        job = seed_job(self._parts, task, Purpose.SAME)
        outcome = await both(self._parts.evaluator, job, job, job.seed)
        if isinstance(outcome, Void):
            raise outcome.error()
        self.left -= 1
        for side, trial in enumerate(outcome):
            state.measured(trial, 0, 2 * index + side)
        if self.left == 0:
            state.ledger.note("same", same_sentence([score for _, _, score in state.ledger.indices(Purpose.SAME)]))


def same_sentence(scores: Sequence[float]) -> str:
    """What the A/A check showed; `scores` hold the two sides of each pair one after the other."""
    pairs = list(zip(scores[::2], scores[1::2], strict=False))
    differ = sum(a != b for a, b in pairs)
    if not differ:
        return f"the seed against itself: all {len(pairs)} pairs agree"
    return (
        f"the seed against itself: {differ} of {len(pairs)} pairs differ with the same answers. Trials hit their time "
        "limits at this load (lower boxes.parallel), or the scaffold or a task is nondeterministic; tests will need "
        "more pairs"
    )
