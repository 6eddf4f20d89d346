"""Load is seen: the seed is measured again during the campaign, and parallelism follows what that shows.

On a starved machine programs with a clock inside score lower. So every `boxes.canary` trials the seed runs some of its
search tasks once more, with the seed and the answers of its first trials there: only load, or chance in the scaffold,
can change the score. Chance goes both ways; scores that drop more often than chance explains, and time limits that
are hit more often than at the start, mean load. These trials are recorded (purpose `canary`) and decide nothing else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from agent.base.errors import InfrastructureError, Starved
from agent.base.types import Purpose, Task, Trial
from agent.kernel.loop.parts import Parts, Planned, StepKind
from agent.kernel.loop.same import seed_job
from agent.trials.heartbeat import Stopped

LEAST: Final = 2
"""Parallelism is never lowered below this."""

CANARIES: Final = 4
"""Tasks on which the seed is measured each time."""

_WINDOW: Final = 24
"""The last so many canaries, and pairs, are looked at together."""

_CHANCE: Final = 0.05
"""What happens with a smaller chance than this on a calm machine counts as load."""

_USUAL: Final = 0.05
"""Share of pairs that may hit the time limit on both sides without any load."""


class Load:
    """The parallelism in effect: lowered by a quarter when the machine shows load, raised by one when it is calm."""

    def __init__(self, parts: Parts, order: Sequence[Task]) -> None:
        self._parts, self._state, self._order = parts, parts.state, order
        self.parallel = parts.config.boxes.parallel
        self._last = parts.state.trials
        self._next = max((tally.top + 1 for tally in parts.state.ledger.tallies(Purpose.CANARY)), default=0)
        self._due, self._left, self._calm = deque[int](), 0, True
        self._signs, self._late = deque[int](maxlen=_WINDOW), deque[bool](maxlen=_WINDOW)

    # ---------------------------------------------------------------------------- canaries

    def canary(self) -> Planned | None:
        """The next measurement of the seed, if one is due."""
        every = self._parts.config.boxes.canary
        if every and not self._left and self._state.trials - self._last >= every and self._first():
            self._last, self._left, self._calm = self._state.trials, CANARIES, True
            self._due.extend(range(self._next, self._next + CANARIES))
            self._next += CANARIES
        return self._plan(self._due.popleft()) if self._due else None

    def _plan(self, number: int) -> Planned:
        first = self._first()
        index = sorted(first)[number % len(first)]
        label = f"canary on {self._order[index].id}"
        return Planned(
            kind=StepKind.CANARY, label=label, boxes=1, work=lambda: self._measure(number, index, first[index])
        )

    def _first(self) -> dict[int, tuple[float, float]]:
        """Index -> score and seconds of the seed's first search trial of each task."""
        known = self._state.ledger.measured(Purpose.SEARCH, 0)
        return {index: found for index, found in known.items() if index < len(self._order)}

    async def _measure(self, number: int, index: int, first: tuple[float, float]) -> None:
        task = self._order[index]
        try:
            trial = await self._parts.evaluator.trial(seed_job(self._parts, task, Purpose.CANARY))
        except BaseException:
            self._due.appendleft(number)
            raise
        self._state.measured(trial, 0, number)
        self._left -= 1
        score, seconds = first
        newly_late = hit_limit(trial.seconds, task) and not hit_limit(seconds, task)
        sign = -1 if newly_late else (trial.score > score) - (trial.score < score)
        self._calm &= sign >= 0
        self._signs.append(sign)
        if not self._judge() and not self._left and self._calm:
            self._raise()

    # ---------------------------------------------------------------------------- pairs of the gate

    def see_pair(self, task: Task, sides: Sequence[Trial]) -> None:
        """Take in one pair."""
        self._late.append(all(hit_limit(trial.seconds, task) for trial in sides))
        self._judge()

    def see_errors(self, errors: Iterable[InfrastructureError]) -> None:
        """Record the steps that load voided; one that was starved is reason enough to run fewer at a time."""
        voided = [error for error in errors if isinstance(error, Starved | Stopped)]
        for error in voided:
            self._state.ledger.note("void", f"discarded, to be retried: {error}")
        if self.parallel > LEAST and (starved := next((one for one in voided if isinstance(one, Starved)), None)):
            self._lower(str(starved))

    def name_late_pairs(self, test: int, tasks: Sequence[Task]) -> None:
        """Write down in which pairs of a test both sides hit the time limit, if there are any."""
        known, rows = {task.id: task for task in tasks}, self._state.ledger.pair_seconds(test)
        late = [n for n, name, *sides in rows if name in known and all(hit_limit(s, known[name]) for s in sides)]
        if late:
            text = f"{len(late)} of {len(rows)} pairs of test {test} hit the time limit on both sides: pairs "
            self._state.ledger.note("load", text + ", ".join(str(n + 1) for n in late))

    # ---------------------------------------------------------------------------- what follows

    def _judge(self) -> bool:
        """Lower the parallelism if what was seen lately is beyond chance."""
        worse, better = self._signs.count(-1), self._signs.count(1)
        late, pairs = sum(self._late), len(self._late)
        if worse and binomial_tail(worse, worse + better, 0.5) < _CHANCE:
            self._lower(f"the seed does worse than at the start in {worse} of its last {len(self._signs)} canaries")
        elif late and binomial_tail(late, pairs, max(_USUAL, self._late_at_start())) < _CHANCE:
            self._lower(f"{late} of the last {pairs} pairs hit the time limit on both sides")
        else:
            return False
        return True

    def _late_at_start(self) -> float:
        """The share of the seed's first trials that hit their time limit."""
        first = self._first()
        return sum(hit_limit(seconds, self._order[n]) for n, (_, seconds) in first.items()) / max(len(first), 1)

    def _lower(self, why: str) -> None:
        self._signs.clear()
        self._late.clear()
        self._set(max(min(LEAST, self.parallel), self.parallel * 3 // 4))
        self._state.ledger.note("load", f"{why}; {self.parallel} trials at a time from now on")

    def _raise(self) -> None:
        if self.parallel < self._parts.config.boxes.parallel:
            self._set(self.parallel + 1)
            self._state.ledger.note("load", f"calm: {self.parallel} trials at a time from now on")

    def _set(self, parallel: int) -> None:
        self.parallel = self._parts.evaluator.slots.limit = parallel


def hit_limit(seconds: float, task: Task) -> bool:
    """Whether a trial took all the time that its task allows for solving."""
    return seconds >= task.solve_timeout


def binomial_tail(hits: int, trials: int, chance: float) -> float:
    """The chance of at least so many hits."""
    return sum(math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(hits, trials + 1))
