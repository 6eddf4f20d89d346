"""One candidate meets the champion at the commit gate: fresh, interleaved, paired trials in a fixed order.

The draw of tasks is fixed by the test's index before any pair is run; results count in the order of their places,
so a campaign that is killed and resumed reaches the same verdict.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict

from agent.kernel.errors import LaboratoryFault
from agent.kernel.evaluator import Evaluator, Job, Void, both, seed_of
from agent.kernel.gate import BetterTest, Control, Decision, Event, GateSettings, PairedTest, Side, Verdict
from agent.kernel.ledger import Ledger, PairRow, TestRow
from agent.kernel.types import Candidate, Purpose, Task


class Match:
    """The pairs of one test. `places` in flight are handed out once, and finished ones are fed in order."""

    def __init__(
        self,
        *,
        row: TestRow,
        settings: GateSettings,
        runs: int,
        sides: tuple[Candidate, Candidate],
        tasks: Sequence[Task],
        seed: int,
        ledger: Ledger,
        evaluator: Evaluator,
    ) -> None:
        self.row, self.champion, self.candidate = row, *sides
        self.test = PairedTest(settings, row.id, row.commits) if row.policy == "proven" else BetterTest(settings, runs)
        self._tasks, self._seed = tasks, seed
        self._ledger, self._evaluator = ledger, evaluator
        self._arrived = {pair.place: event_of(pair) for pair in ledger.pairs(row.id)}
        self._given = set(self._arrived)
        self._fed = 0
        self._feed()

    @property
    def decision(self) -> Decision | None:
        """The verdict, once there is one."""
        return self.test.decide()

    @property
    def pairs(self) -> int:
        """Pairs fed to the test so far, voids included."""
        return self._fed

    def next_place(self) -> int:
        """Hand out the next pair."""
        place = next(n for n in range(len(self._given) + 1) if n not in self._given)
        self._given.add(place)
        return place

    async def play(self, place: int) -> None:
        """Run one pair, write it down, and count it when its turn comes.

        Raises:
            LaboratoryFault: the pair is void; that it was is written down first.
        """
        task = self.draw(place)
        seed = seed_of(self._seed, "gate", self.row.id, place)
        memo = f"gate:{self.row.id}:{place}"
        champion, candidate = (
            Job(tree=side.tree or "", task=task, purpose=Purpose.GATE, seed=seed, memo=memo)
            for side in (self.champion, self.candidate)
        )
        try:
            outcome = await both(self._evaluator, champion, candidate, seed)
        except BaseException:
            self._given.discard(place)  # not run to its end, as if killed: the same pair is played again
            raise
        if isinstance(outcome, Void):
            self._ledger.add_pair(self.row, place, task.id, None, outcome.side)
            self._arrived[place] = outcome.side
            self._feed()
            raise LaboratoryFault(outcome.reason)
        self._ledger.add_pair(self.row, place, task.id, outcome, None)
        self._arrived[place] = (outcome[0].score, outcome[1].score)
        self._feed()

    def draw(self, place: int) -> Task:
        """The task of a pair: iid over the gate tasks by weight, fixed before the pair is seen."""
        return draw(self._tasks, self._seed, self.row.id, place)

    def close(self, verdict: Verdict, why: str) -> Decision:
        """End the test without proof, for a reason from outside; an earlier decision stands."""
        return self.test.close(verdict, why)

    def conclude(self, decision: Decision) -> None:
        """Write the verdict down."""
        self._ledger.close_test(self.row.id, decision.verdict, asdict(decision))

    def _feed(self) -> None:
        while self._fed in self._arrived and self.test.decide() is None:
            self.test.feed([self._arrived[self._fed]])
            self._fed += 1


def draw(tasks: Sequence[Task], seed: int, test: int, place: int) -> Task:
    """The task of one pair: it follows from the campaign's seed, the test's index and the place alone."""
    rng = random.Random(seed_of(seed, "draw", test, place))  # noqa: S311 (reproducible, not secret)
    return rng.choices(tasks, weights=[task.weight for task in tasks])[0]


def retest(row: TestRow, ledger: Ledger, settings: GateSettings, runs: int) -> PairedTest | BetterTest:
    """A test as its recorded pairs leave it; pairs after the first gap were still in flight, and do not count.

    `settings` and `runs` are campaign.yaml's; the numbers that the test was opened with go before them.
    """
    pairs = {pair.place: pair for pair in ledger.pairs(row.id)}
    gap = next(n for n in range(len(pairs) + 1) if n not in pairs)
    history = [event_of(pairs[n]) for n in range(gap)]
    settings, runs = opened_with(ledger, row.id) or (settings, runs)
    if row.policy == "proven":
        return PairedTest(settings, row.id, row.commits, history=history)
    return BetterTest(settings, runs, history=history)


def opened_with(ledger: Ledger, test: int) -> tuple[GateSettings, int] | None:
    """The gate's numbers, and the pairs of policy `better`, that a test was opened with."""
    known = ledger.test_settings(test)
    if known is None:
        return None
    numbers = dict(known)
    runs = int(numbers.pop("runs"))
    kinds = {"control": Control(numbers["control"]), "lambdas": tuple(numbers["lambdas"])}
    return GateSettings(**{**numbers, **kinds}), runs


def event_of(pair: PairRow) -> Event:
    """A recorded pair as the gate reads it."""
    if pair.champion is None or pair.candidate is None:
        return Side(str(pair.void_side))
    return pair.champion, pair.candidate
