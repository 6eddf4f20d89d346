"""Who has done best is told without a look at everybody, and as a look at everybody would tell it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.base.types import Purpose
from agent.kernel.loop.measured import Measured, Standings
from agent.kernel.record.ledger import Ledger
from tests.kernel.records import fill

CANDIDATES = 6
TRIALS = st.lists(st.tuples(st.integers(0, CANDIDATES - 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=40)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trials=TRIALS, count=st.integers(1, CANDIDATES))
def test_the_best_have_the_highest_means_and_the_earlier_of_equals_comes_first(
    ledger: Ledger, trials: list[tuple[int, float]], count: int
) -> None:
    known, scores = Standings(ledger, Purpose.SEARCH, range(CANDIDATES)), dict[int, list[float]]()
    for candidate, score in trials:
        known.add(candidate, len(scores.setdefault(candidate, [])), score)
        scores[candidate].append(score)
    means = {one: sum(values) / len(values) for one, values in scores.items()}
    assert known.best(count) == sorted(means, key=lambda one: (-means[one], one))[:count]
    assert {one: known.mean(one) for one in means} == means
    assert known.trials == len(trials)
    assert known.mean(CANDIDATES) is None


def test_what_a_ledger_holds_is_known_as_if_it_had_been_counted_trial_by_trial(ledger: Ledger) -> None:
    fill(ledger)
    counted = Standings(ledger, Purpose.DRY, range(4))
    for candidate in range(3):
        for index, score in ledger.scores(Purpose.SEARCH, candidate).items():
            counted.add(candidate, index, score)
    read = Standings(ledger, Purpose.SEARCH, range(4))
    assert (read.best(9), read.trials) == (counted.best(9), counted.trials) == ([0, 1, 2], 12)
    assert [read[one].free(()) for one in range(4)] == [4, 4, 4, 0]


def test_the_index_that_is_wanted_is_given_unless_it_is_finished_or_in_flight() -> None:
    known = Measured()
    for index in (0, 1, 5):
        known.add(index, 1.0)
    assert [known.free({3}, wanted) for wanted in (1, 2, 3, 4, 5, 9)] == [2, 2, 2, 4, 2, 9]
