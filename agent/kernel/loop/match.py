"""One candidate meets the champion at the commit gate: fresh, interleaved, paired trials in a fixed order.

The draw of tasks is fixed by the test's index before any pair is run; results count in the order of their indices,
so a campaign that is killed and resumed reaches the same verdict.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from agent.base.errors import InfrastructureError
from agent.base.types import Candidate, Purpose, Side, Task, Trial
from agent.kernel.decide.gate import BetterTest, Control, Decision, Event, Fixed, GateSettings, PairedTest, Verdict
from agent.kernel.record.ledger import Ledger, PairRow, TestRow
from agent.trials.evaluator import Evaluator, Job, Void, both, seed_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What a test was opened with: the gate's numbers, the pairs of policy `better`, shares of deterministic tasks.

    Pairs, verdict and figures follow from it and the recorded runs alone, whatever campaign and suite say later.
    """

    settings: GateSettings
    runs: int
    shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def recorded(self) -> dict[str, Any]:
        """As the ledger keeps it; `opened_with` reads it back."""
        return {**asdict(self.settings), "runs": self.runs, "shares": dict(self.shares)}


def shares_of(tasks: Sequence[Task]) -> dict[str, float]:
    """Each deterministic task's share of the weight of all gate tasks."""
    whole = sum(task.weight for task in tasks)
    return {task.id: task.weight / whole for task in tasks if task.deterministic}


class Match:
    """The pairs of one test. Indices are handed out once, and finished ones are fed in order.

    The deterministic tasks are run once a side, before the first pair; the pairs draw from the others.
    """

    def __init__(
        self,
        *,
        row: TestRow,
        opening: Opening,
        sides: tuple[Candidate, Candidate],
        tasks: Sequence[Task],
        seed: int,
        ledger: Ledger,
        evaluator: Evaluator,
    ) -> None:
        self.row, self.champion, self.candidate = row, *sides
        self.test: PairedTest | BetterTest | None = None
        self._opening, self._beginning = opening, asyncio.Lock()
        self._fixed_tasks = [task for task in tasks if task.id in opening.shares]
        self._tasks = [task for task in tasks if task.id not in opening.shares]
        self._seed, self._ledger, self._evaluator = seed, ledger, evaluator
        self._arrived = {pair.index: event_of(pair) for pair in ledger.pairs(row.id)}
        self._given = set(self._arrived)
        self._fed = 0
        self._begin()

    @property
    def decision(self) -> Decision | None:
        """The verdict, once there is one."""
        return self.test.decide() if self.test is not None else None

    @property
    def pairs(self) -> int:
        """Pairs fed to the test so far, voids included."""
        return self._fed

    def next_index(self) -> int:
        """Hand out the next pair."""
        index = next(n for n in range(len(self._given) + 1) if n not in self._given)
        self._given.add(index)
        return index

    async def play(self, index: int) -> int:
        """Run one pair, write it down, and count it when its turn comes; the first one to be run begins the test.

        Returns:
            How many pairs were run, those of deterministic tasks included.

        Raises:
            InfrastructureError: the pair is void; that it was is written down first.
        """
        try:
            async with self._beginning:
                fixed = await self._play_fixed() if self.test is None else 0
            if self.decision is not None:
                return fixed
            task = self.draw(index)
            outcome = await self._both(task, index)
        except BaseException:
            self._given.discard(index)  # not run to its end, as if killed: the same pair is played again
            raise
        if isinstance(outcome, Void):
            self._ledger.add_pair(self.row, index, task.id, None, outcome.side)
            self._arrived[index] = outcome.side
            self._feed()
            raise InfrastructureError(outcome.reason)
        self._ledger.add_pair(self.row, index, task.id, outcome, None)
        self._arrived[index] = (outcome[0].score, outcome[1].score)
        self._feed()
        return fixed + 1

    def draw(self, index: int) -> Task:
        """The task of a pair: iid over the gate tasks by weight, fixed before the pair is seen."""
        return draw(self._tasks, self._seed, self.row.id, index)

    def close(self, verdict: Verdict, why: str) -> Decision:
        """End the test without proof, for a reason from outside; an earlier decision stands."""
        return (self.test or gate_test(self.row, self._opening, Fixed())).close(verdict, why)

    def conclude(self, decision: Decision) -> None:
        """Write the verdict down."""
        self._ledger.close_test(self.row.id, decision.verdict, asdict(decision))

    async def _play_fixed(self) -> int:
        """Run what is missing of the deterministic tasks, and begin the test; returns how many were run.

        Raises:
            InfrastructureError: nothing of a spoiled run is kept, since no chance can have been in it.
        """
        done = {pair.index for pair in self._ledger.fixed_pairs(self.row.id)}
        missing = [(task, -n) for n, task in enumerate(self._fixed_tasks, 1) if -n not in done]
        async with asyncio.TaskGroup() as group:
            for task, index in missing:
                group.create_task(self._fix(task, index))
        self._begin()
        return len(missing)

    async def _fix(self, task: Task, index: int) -> None:
        outcome = await self._both(task, index)
        if isinstance(outcome, Void):
            raise InfrastructureError(outcome.reason)
        self._ledger.add_pair(self.row, index, task.id, outcome, None)

    async def _both(self, task: Task, index: int) -> tuple[Trial, Trial] | Void:
        seed = seed_of(self._seed, "gate", self.row.id, index)
        answer_scope = f"gate:{self.row.id}:{index}"
        champion, candidate = (
            Job(tree=side.tree or "", task=task, purpose=Purpose.GATE, seed=seed, answer_scope=answer_scope)
            for side in (self.champion, self.candidate)
        )
        return await both(self._evaluator, champion, candidate, seed)

    def _begin(self) -> None:
        """The test itself, once every deterministic task has been run."""
        fixed = fixed_of(self._ledger, self.row.id, self._opening.shares)
        if fixed is not None:
            self.test = gate_test(self.row, self._opening, fixed)
            self._feed()

    def _feed(self) -> None:
        while self.test is not None and self._fed in self._arrived and self.test.decide() is None:
            self.test.feed([self._arrived[self._fed]])
            self._fed += 1


def draw(tasks: Sequence[Task], seed: int, test: int, index: int) -> Task:
    """The task of one pair: it follows from the campaign's seed, the test and the pair's index alone."""
    rng = random.Random(seed_of(seed, "draw", test, index))  # noqa: S311 (reproducible, not secret)
    return rng.choices(tasks, weights=[task.weight for task in tasks])[0]


def gate_test(row: TestRow, opening: Opening, fixed: Fixed, history: Iterable[Event] = ()) -> PairedTest | BetterTest:
    """The gate's test for a row of the ledger."""
    if row.policy == "proven":
        return PairedTest(opening.settings, row.id, row.commits, fixed, history)
    return BetterTest(opening.settings, opening.runs, fixed, history)


def fixed_of(ledger: Ledger, test: int, shares: Mapping[str, float]) -> Fixed | None:
    """The deterministic part of a test by its recorded runs; None while some are missing."""
    if not shares:
        return Fixed()
    runs = {
        pair.task: (pair.champion, pair.candidate)
        for pair in ledger.fixed_pairs(test)
        if pair.champion is not None and pair.candidate is not None
    }
    if runs.keys() != shares.keys():
        return None
    return Fixed(
        champion=sum(shares[task] * champion for task, (champion, _) in runs.items()),
        candidate=sum(shares[task] * candidate for task, (_, candidate) in runs.items()),
        share=round(sum(shares.values()), 12),
    )


def retest(row: TestRow, ledger: Ledger, opening: Opening) -> PairedTest | BetterTest:
    """A test as its recorded pairs leave it; pairs after the first gap were still in flight, and do not count.

    `opening` is campaign.yaml's; what the test was opened with goes before it.
    """
    opening = opened_with(ledger, row.id) or opening
    fixed = fixed_of(ledger, row.id, opening.shares)
    if fixed is None:
        return gate_test(row, opening, Fixed())
    pairs = {pair.index: pair for pair in ledger.pairs(row.id)}
    gap = next(n for n in range(len(pairs) + 1) if n not in pairs)
    return gate_test(row, opening, fixed, [event_of(pairs[n]) for n in range(gap)])


def opened_with(ledger: Ledger, test: int) -> Opening | None:
    """What a test was opened with; None in a ledger of an older Ratchet."""
    known = ledger.test_settings(test)
    if known is None:
        return None
    numbers = dict(known)
    runs, shares = int(numbers.pop("runs")), numbers.pop("shares", {})
    kinds = {"control": Control(numbers["control"]), "lambdas": tuple(numbers["lambdas"])}
    return Opening(settings=GateSettings(**{**numbers, **kinds}), runs=runs, shares=shares)


def event_of(pair: PairRow) -> Event:
    """A recorded pair as the gate reads it."""
    if pair.champion is None or pair.candidate is None:
        return Side(str(pair.void_side))
    return pair.champion, pair.candidate
