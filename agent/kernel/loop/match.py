"""One candidate meets the champion at the commit gate: fresh, interleaved, paired trials in a fixed order.

The draw of tasks is fixed by the test's index before any pair is run; results count in the order of their indices,
so a campaign that is killed and resumed reaches the same verdict.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from agent.base.types import Candidate, Purpose, Side, Task, Trial
from agent.kernel.decide.cheaper import SCORE, Aim, CostTest, Objective, Unit, costs
from agent.kernel.decide.gate import (
    BetterTest,
    Control,
    Decision,
    Fixed,
    GateSettings,
    PairedTest,
    PairOutcome,
    Verdict,
    threshold,
)
from agent.kernel.decide.voids import VoidPair, VoidRule
from agent.kernel.loop.determinism import ROUNDS, FixedPart, fixed_part, index_of, recheck_index, split_runs
from agent.kernel.record.ledger import Ledger, PairRow, TestRow
from agent.trials.evaluator import seed_of
from agent.trials.executor import Executor, Job
from agent.trials.pairs import Void, both

NONDETERMINISTIC = "nondeterministic tasks"
"""The named value of the ledger that lists tasks which were declared deterministic and are not."""

_PROVEN = "proven"
Test = PairedTest | CostTest | BetterTest


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What a test was opened with: the gate's numbers, the pairs of policy `better`, shares of deterministic tasks.

    Pairs, verdict and figures follow from it and the recorded runs alone, whatever campaign and suite say later.
    `rounds` is how often a deterministic task runs a side at least; 1 in a ledger of before they were checked.
    """

    settings: GateSettings
    runs: int
    shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    rounds: int = ROUNDS
    aim: Aim = SCORE

    def recorded(self) -> dict[str, Any]:
        """As the ledger keeps it; `opened_with` reads it back."""
        more = {"runs": self.runs, "shares": dict(self.shares), "rounds": self.rounds, "aim": asdict(self.aim)}
        return {**asdict(self.settings), **more}


def shares_of(tasks: Sequence[Task]) -> dict[str, float]:
    """Each deterministic task's share of the weight of all gate tasks."""
    whole = sum(task.weight for task in tasks)
    return {task.id: task.weight / whole for task in tasks if task.deterministic}


class Match:
    """The pairs of one test. Indices are given out once, and finished pairs are fed in order; `seen` is told of each.

    The deterministic tasks are run before the first pair (see `determinism`); the pairs draw from the others.
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
        evaluator: Executor,
        seen: Callable[[Task, tuple[Trial, Trial]], None],
    ) -> None:
        self.row, self.champion, self.candidate = row, *sides
        self.test: Test | None = None
        self._opening, self._beginning = opening, asyncio.Lock()
        self._tasks = tasks
        self._declared = [task for task in tasks if task.id in opening.shares]
        self._seed, self._ledger, self._evaluator, self._seen = seed, ledger, evaluator, seen
        self._arrived = {pair.index: pair for pair in ledger.pairs(row.id)}
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

    @property
    def apart(self) -> bool:
        """Whether nothing else of a test may run beside one side: its time is what is compared."""
        return _unit_of(self._opening) is Unit.SECONDS

    @property
    def unsteady(self) -> set[str]:
        """The tasks that were declared deterministic and are not, by the runs of this test."""
        checks = [one for ones in self._checks.values() for one in ones]
        return {*self._part.unsteady, *(one.task for one in checks if self._part.deviating([one]))}

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
            InfrastructureError: the pair is void; that is written down first.
        """
        try:
            async with self._beginning:
                fixed = await self._play_fixed() if self.test is None else 0
            if self.decision is not None:
                return fixed
            outcome, checked = await self._play_checked(index)
        except BaseException:
            self._given.discard(index)  # not run to its end, as if killed: the same pair is played again
            raise
        sides, side = (outcome.finished, outcome.side) if isinstance(outcome, Void) else (outcome, None)
        self._ledger.add_pair(self.row, index, self.draw(index).id, sides, side)
        self._arrived[index] = _pair(index, self.draw(index), outcome)
        self._feed()
        if isinstance(outcome, Void):
            raise outcome.error()
        self._seen(self.draw(index), outcome)
        return fixed + checked + 1

    async def _play_checked(self, index: int) -> tuple[tuple[Trial, Trial] | Void, int]:
        """One pair, after the repeated runs of deterministic tasks that go with it; and how many those were."""
        due = self._rechecks(index)
        done = {one.index for one in self._checks.get(index, [])}
        missing = [(task, at) for n, task in enumerate(due) if (at := recheck_index(index, n)) not in done]
        for task, at in missing:
            outcome = await self._both(task, at)
            if isinstance(outcome, Void):
                return replace(outcome, finished=(None, None)), 0  # it may hide a run that differs: the worst case
            self._ledger.add_pair(self.row, at, task.id, outcome, None)
            self._checks.setdefault(index, []).append(_pair(at, task, outcome))
        return await self._both(self.draw(index), index), len(missing)

    def draw(self, index: int) -> Task:
        """The task of a pair: iid over the sampled gate tasks by weight, fixed before the pair is seen."""
        return draw(self._sampled, self._seed, self.row.id, index)

    def _rechecks(self, index: int) -> list[Task]:
        names = rechecks(self._part, self._opening, self.row, self._seed, index)
        return [task for name in names for task in self._declared if task.id == name]

    def close(self, verdict: Verdict, why: str) -> Decision:
        """End the test without proof, for a reason from outside; an earlier decision stands."""
        return (self.test or gate_test(self.row, self._opening, Fixed())).close(verdict, why)

    def conclude(self, decision: Decision) -> None:
        """Write the verdict down."""
        self._ledger.close_test(self.row.id, decision.verdict, asdict(decision))

    async def _play_fixed(self) -> int:
        """Run what is missing of the deterministic tasks, and begin the test; returns how many were run.

        Raises:
            InfrastructureError: a run is void. Its task is sampled in pairs: voids must never choose what counts.
        """
        count = 0
        while self._part.missing:
            count += len(self._part.missing)
            async with asyncio.TaskGroup() as group:
                for name, turn in self._part.missing:
                    number, task = next((n, t) for n, t in enumerate(self._declared) if t.id == name)
                    group.create_task(self._fix(task, index_of(number, turn, len(self._declared))))
            self._read_fixed()
        self._begin()
        return count

    async def _fix(self, task: Task, index: int) -> None:
        outcome = await self._both(task, index)
        sides, side = ((None, None), outcome.side) if isinstance(outcome, Void) else (outcome, None)
        self._ledger.add_pair(self.row, index, task.id, sides, side)
        if isinstance(outcome, Void):
            raise outcome.error()

    async def _both(self, task: Task, index: int) -> tuple[Trial, Trial] | Void:
        seed = seed_of(self._seed, "gate", self.row.id, index)
        scope = f"gate:{self.row.id}:{index}"
        champion, candidate = (
            Job(tree=side.tree or "", task=task, purpose=Purpose.GATE, seed=seed, answer_scope=scope)
            for side in (self.champion, self.candidate)
        )
        return await both(self._evaluator, champion, candidate, seed, together=not self.apart)

    def _read_fixed(self) -> None:
        self._part, self._checks = recorded_part(self.row, self._ledger, self._opening)
        self._sampled = [task for task in self._tasks if task.id not in self._part.shares]

    def _begin(self) -> None:
        """The test itself, once the deterministic tasks have been run."""
        self._read_fixed()
        if not self._part.missing:
            self.test = gate_test(self.row, self._opening, self._part.fixed())
            self._feed()

    def _feed(self) -> None:
        if self.test is not None:
            self._fed = feed(self.test, self._part, self._arrived, self._checks, self._fed)


def _pair(index: int, task: Task, outcome: tuple[Trial, Trial] | Void) -> PairRow:
    trials, side = (outcome.finished, outcome.side) if isinstance(outcome, Void) else (outcome, None)
    champion, candidate = (trial.score if trial is not None else None for trial in trials)
    first, second = trials
    return PairRow(
        index=index,
        task=task.id,
        champion=champion,
        candidate=candidate,
        void_side=side,
        at=0.0,
        usages=(first.usage, second.usage) if first is not None and second is not None else None,
    )


def feed(
    test: Test,
    part: FixedPart,
    pairs: Mapping[int, PairRow],
    checks: Mapping[int, Sequence[PairRow]],
    fed: int = 0,
) -> int:
    """Count pairs in their order, from the `fed`-th one to the first that is missing; returns how many are fed.

    A repeated run that differs ends the test as void, before the pair that it goes with.
    """
    while fed in pairs and test.decide() is None:
        if (task := part.deviating(checks.get(fed, ()))) is not None:
            test.close(Verdict.VOID, f"two runs of one side differ on `{task}`, which is declared deterministic")
        else:
            test.feed([outcome_of(pairs[fed], test.unit if isinstance(test, CostTest) else None)])
            fed += 1
    return fed


def draw(tasks: Sequence[Task], seed: int, test: int, index: int) -> Task:
    """The task of one pair: it follows from the campaign's seed, the test and the pair's index alone."""
    rng = random.Random(seed_of(seed, "draw", test, index))  # noqa: S311 (reproducible, not secret)
    return rng.choices(tasks, weights=[task.weight for task in tasks])[0]


def rechecks(part: FixedPart, opening: Opening, row: TestRow, seed: int, index: int) -> list[str]:
    """The deterministic tasks that are run again with one pair."""
    return part.rechecks(seed, row.id, index) if opening.rounds > 1 and row.policy == _PROVEN else []


def gate_test(row: TestRow, opening: Opening, fixed: Fixed) -> Test:
    """The gate's test for a row of the ledger."""
    if row.policy != _PROVEN:
        return BetterTest(opening.settings, opening.runs, fixed)
    if opening.aim.objective is Objective.SCORE:
        return PairedTest(opening.settings, row.id, row.commits, fixed)
    return CostTest(opening.settings, opening.aim, row.id, row.commits)


def _unit_of(opening: Opening) -> Unit | None:
    """What cost is counted in, where cost counts."""
    return None if opening.aim.objective is Objective.SCORE else opening.aim.unit


def recorded_part(row: TestRow, ledger: Ledger, opening: Opening) -> tuple[FixedPart, dict[int, list[PairRow]]]:
    """The deterministic part of a test by its recorded runs, and the repeated runs by the index of their pair."""
    first, checks = split_runs(ledger.fixed_pairs(row.id))
    bar = threshold(row.id, row.commits, opening.settings) if row.policy == _PROVEN else 0.0
    return fixed_part(opening.shares, opening.rounds, bar, first), checks


def fixed_of(row: TestRow, ledger: Ledger, opening: Opening) -> Fixed | None:
    """What the gate is told of the deterministic tasks of a test; None while some are still to be run."""
    part, _ = recorded_part(row, ledger, opening)
    return None if part.missing else part.fixed()


def retest(row: TestRow, ledger: Ledger, opening: Opening) -> Test:
    """A test as its recorded pairs leave it; pairs after the first gap were still in flight, and do not count.

    `opening` is campaign.yaml's; what the test was opened with goes before it.
    """
    opening = opened_with(ledger, row.id) or before_voids_counted(opening)
    part, checks = recorded_part(row, ledger, opening)
    if part.missing:
        return gate_test(row, opening, Fixed())
    test = gate_test(row, opening, part.fixed())
    feed(test, part, {pair.index: pair for pair in ledger.pairs(row.id)}, checks)
    return test


def misdrawn(row: TestRow, ledger: Ledger, opening: Opening, tasks: Sequence[Task], seed: int) -> list[str]:
    """What is wrong with the tasks of a test's recorded pairs: not those that were drawn, or not repeated as drawn."""
    part, checks = recorded_part(row, ledger, opening)
    sampled, wrong = [task for task in tasks if task.id not in part.shares], list[str]()
    for pair in ledger.pairs(row.id):
        if pair.task != draw(sampled, seed, row.id, pair.index).id:
            wrong.append(f"pair {pair.index} is not of the task that was drawn")
        due = rechecks(part, opening, row, seed, pair.index)
        if pair.void_side is None and due != [one.task for one in checks.get(pair.index, [])]:
            wrong.append(f"the deterministic tasks that go with pair {pair.index} are not those that were drawn")
    return wrong


def opened_with(ledger: Ledger, test: int) -> Opening | None:
    """What a test was opened with; None in a ledger of an older Ratchet.

    A record that does not name its rule for voids is older than the rule: voids were discarded.
    """
    known = ledger.test_settings(test)
    if known is None:
        return None
    numbers = dict(known)
    runs, shares, rounds = int(numbers.pop("runs")), numbers.pop("shares", {}), int(numbers.pop("rounds", 1))
    aim = numbers.pop("aim", {})
    kinds_of_aim = {"objective": Objective(aim["objective"]), "unit": Unit(aim["unit"])} if aim else {}
    kinds = {
        "control": Control(numbers["control"]),
        "lambdas": tuple(numbers["lambdas"]),
        "bets": tuple(numbers.get("bets", ())),
        "voids": VoidRule(numbers.get("voids", VoidRule.DISCARDED)),
    }
    settings = GateSettings(**{**numbers, **kinds})
    return Opening(settings=settings, runs=runs, shares=shares, rounds=rounds, aim=Aim(**{**aim, **kinds_of_aim}))


def before_voids_counted(opening: Opening) -> Opening:
    """An opening for a test of an older Ratchet, which recorded none and discarded voids."""
    return replace(opening, settings=replace(opening.settings, voids=VoidRule.DISCARDED))


def outcome_of(pair: PairRow, unit: Unit | None = None) -> PairOutcome:
    """A recorded pair as the gate reads it; with what its sides cost, if a unit is given."""
    if pair.champion is None or pair.candidate is None:
        return VoidPair(Side(str(pair.void_side)), pair.champion, pair.candidate)
    if unit is None or pair.usages is None:
        return pair.champion, pair.candidate
    return pair.champion, pair.candidate, costs(*pair.usages, unit)
