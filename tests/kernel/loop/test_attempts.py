"""A briefing reads and makes only what is new since the last one, however many candidates there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path

import pytest

from agent.base.types import Fate, Purpose, Split
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.loop.attempts import Attempts
from agent.kernel.loop.briefing import first
from agent.kernel.loop.shown import SearchTasks
from agent.kernel.loop.state import State
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.rows import Mark, Result
from tests.kernel.lab import task
from tests.kernel.records import candidate, fill, trial

TASKS = (task("t", Split.SEARCH),)


class Counted(Ledger):
    """A ledger that notes whose trials it is asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[int] = []

    def results(self, candidates: Collection[int], purpose: Purpose = Purpose.SEARCH) -> list[Result]:
        self.asked += candidates
        return super().results(candidates, purpose)

    def search_marks(self, candidates: Collection[int], purpose: Purpose = Purpose.SEARCH) -> list[Mark]:
        self.asked += candidates
        return super().search_marks(candidates, purpose)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Counted]:
    with Counted(tmp_path / "ledger.sqlite") as opened:
        fill(opened)
        yield opened


@pytest.fixture
def state(ledger: Counted) -> State:
    return State(ledger, SearchSettings())


@pytest.fixture
def attempts(state: State) -> Attempts:
    return Attempts(state, SearchTasks(scored=TASKS, shown=TASKS))


def test_an_attempt_tells_what_the_ledger_holds(state: State, attempts: Attempts) -> None:
    seed, other = attempts.of([state.candidates[0], state.candidates[2]])
    assert (seed.trials, seed.mean, seed.before) == (4, 0.5, ())
    assert other.before == seed.results
    assert other.cells == {"t": "2/4"}
    assert [mark.id for mark in other.marks] == [f"s2-{index}" for index in range(4)]


def test_only_a_candidate_with_a_new_trial_and_its_children_are_made_again(
    ledger: Counted, state: State, attempts: Attempts
) -> None:
    chosen = list(state.candidates.values())
    made = attempts.of(chosen)
    ledger.asked.clear()
    assert all(again is one for again, one in zip(attempts.of(chosen), made, strict=True))
    assert ledger.asked == []
    state.searched(trial("new", score=0.0), 2, 4)
    again = attempts.of(chosen)
    assert ([again[one] is made[one] for one in range(3)], again[2].trials) == ([True, True, False], 5)
    assert ledger.asked == [2, 2]
    state.searched(trial("newer", score=0.0), 0, 4)
    assert attempts.of(chosen)[1].before[0].trials == 5


def test_a_candidate_whose_fate_changed_is_described_again(state: State, attempts: Attempts) -> None:
    chosen = [state.candidates[1]]
    assert attempts.of(chosen)[0].reason == ""
    state.settle(1, Fate.REFUSED, "too large")
    assert attempts.of([state.candidates[1]])[0].reason == "too large"


def test_what_is_read_for_a_briefing_does_not_grow_with_the_archive(
    ledger: Counted, state: State, attempts: Attempts
) -> None:
    asked = list[int]()
    for number in range(3, 90):
        state.add(candidate(number), fingerprint=None, diff="", transcript="")
        attempts.of([state.candidates[one] for one in first(reversed(state.candidates), 20)])
        asked.append(len(ledger.asked))
        ledger.asked.clear()
    assert set(asked[1:]) == {2}, "the new candidate, for its sums and for its trials"


def test_no_more_is_looked_at_than_it_takes() -> None:
    assert first(count(), 3) == [0, 1, 2]
    assert first([4, 4, 5, 4], 9) == [4, 5]
