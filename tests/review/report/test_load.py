"""Where the report says that load was seen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.types import Candidate, Fate, Purpose, Split, Task, Trial
from agent.base.usage import Usage
from agent.kernel.decide.gate import GateSettings
from agent.kernel.loop import load as loop
from agent.kernel.record.ledger import Ledger
from agent.review.report.facts import collect
from agent.review.report.load import DISCARDED, LOADED, SHOWN_EVENTS, Load, load_of
from agent.review.report.page import render_sections

FINE = "3 of 4 hidden tests passed"
LATE = ("no submission: out of time after 60 s", "the check timed out after 30 s")


def trial(number: int, reason: str) -> Trial:
    return Trial(
        id=f"t{number}", tree="t", task="a", purpose=Purpose.GATE, seed=1, score=0.0, reason=reason, transcript="",
        usage=Usage(), seconds=1.0,
    )  # fmt: skip


def fill(ledger: Ledger, tests: list[list[tuple[str, str] | str]]) -> None:
    """Tests with pairs: the reasons of both sides, or the side that was discarded."""
    made = 0
    for number in range(2):
        one = Candidate(
            id=number, parent=0 if number else None, tree="t", subject="s", body="", fate=Fate.OPEN, reason="", size=1
        )
        ledger.add_candidate(one, fingerprint=None, diff="", transcript="")
    for pairs in tests:
        row = ledger.open_test(
            candidate=1, champion=0, commits=0, policy="proven", settings={**asdict(GateSettings()), "runs": 10}
        )
        for index, pair in enumerate(pairs):
            if isinstance(pair, str):
                ledger.add_pair(row, index, "a", (None, None), pair)
            else:
                sides = (trial(made, pair[0]), trial(made + 1, pair[1]))
                made += 2
                ledger.add_pair(row, index, "a", sides, None)


def load(folder: Path, tests: list[list[tuple[str, str] | str]]) -> Load:
    file = folder / "ledger.sqlite"
    file.unlink(missing_ok=True)
    with Ledger(file) as ledger:
        fill(ledger, tests)
        return load_of(ledger, ledger.events())


def test_a_quiet_campaign_shows_none(tmp_path: Path) -> None:
    found = load(tmp_path, [[(FINE, FINE)]])
    assert (found.seen, found.pairs, found.tests, found.events) == (False, 1, (), ())
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert "None was seen" in render_sections(collect(ledger))["load"]


pairs = st.lists(st.one_of(st.tuples(*[st.sampled_from((FINE, *LATE))] * 2), st.sampled_from(("champion", "both"))))


@settings(max_examples=25)
@given(tests=st.lists(pairs, max_size=4))
def test_every_pair_is_counted_once_where_it_belongs(
    tmp_path_factory: pytest.TempPathFactory, tests: list[list[tuple[str, str] | str]]
) -> None:
    found = load(tmp_path_factory.mktemp("load"), tests)
    every = [pair for test in tests for pair in test]
    late = [sum(side in LATE for side in pair) for pair in every if not isinstance(pair, str)]
    assert found.pairs == len(every)
    assert found.discarded_pairs == sum(isinstance(pair, str) for pair in every)
    assert (found.both_out_of_time, found.one_out_of_time) == (late.count(2), late.count(1))
    assert sum(row.both for row in found.tests) == found.both_out_of_time
    assert all(row.seen for row in found.tests)


def test_events_of_load_and_of_discarded_trials_are_counted_and_the_last_ones_shown(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in range(SHOWN_EVENTS):
            ledger.note(LOADED, f"CPU pressure {number} %")
            ledger.note("say", "not about load")
            ledger.note(DISCARDED, f"search trial {number} was starved")
        facts = collect(ledger)
        page = render_sections(facts)["load"]
    assert (facts.load.loaded, facts.load.discarded_trials) == (SHOWN_EVENTS, SHOWN_EVENTS)
    assert len(facts.load.events) == SHOWN_EVENTS
    assert f"search trial {SHOWN_EVENTS - 1} was starved" in page
    assert "search trial 0 was starved" not in page
    assert "not about load" not in page


def test_pairs_that_the_campaign_names_are_counted_even_if_both_sides_handed_something_in(tmp_path: Path) -> None:
    load(tmp_path, [[(FINE, FINE), (FINE, FINE), (LATE[0], LATE[0])]])
    task = Task(
        id="a", split=Split.GATE, instruction="", files={}, submit=(), tests={}, check=("c",), solve_timeout=1.0
    )
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        kernel = object.__new__(loop.Load)  # its sentence alone is wanted, as the campaign writes it
        kernel._state = SimpleNamespace(ledger=ledger)
        kernel.name_late_pairs(1, [task])
        found = load_of(ledger, ledger.events())
    assert (found.both_out_of_time, found.loaded) == (3, 1)


def test_pairs_out_of_time_on_both_sides_come_with_the_fix(tmp_path: Path) -> None:
    load(tmp_path, [[(FINE, FINE)], [(LATE[0], LATE[1]), (LATE[0], FINE), "candidate"]])
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        page = render_sections(collect(ledger))["load"]
    assert "boxes.parallel" in page
    assert "1 on both sides, 1 on one" in page
    assert "1 of 4" in page
    assert '<a href="#t2">2</a>' in page
    assert '<a href="#t1">1</a>' not in page
