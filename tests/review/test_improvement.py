"""The figures of an experiment with improvers: Student's quantiles, Welch's interval, and words that claim no more."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.review.improvement import Improvement, Side, gain, quantile, student, welch
from agent.review.terminal.improvement import facts, print_improvement

GAINS = st.lists(st.floats(-1, 1), min_size=2, max_size=8)


def side(*gains: float) -> Side:
    return Side(label="x", gains=gains, admitted=len(gains), tokens=0.0)


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (4, 2.776), (10, 2.228), (120, 1.980)])
def test_quantiles_are_those_of_the_tables(freedom: float, t: float) -> None:
    assert quantile(freedom) == pytest.approx(t, abs=1e-3)


@given(GAINS, GAINS)
def test_the_difference_turns_with_the_sides(first: list[float], second: list[float]) -> None:
    one, other = welch(first, second), welch(second, first)
    assert one is not None
    assert other is not None
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low), abs=1e-9)
    assert one.low - 1e-12 <= one.mean <= one.high + 1e-12


@given(GAINS, GAINS)
def test_an_interval_ends_where_a_gain_or_a_difference_can(first: list[float], second: list[float]) -> None:
    for found, bound in ((student(first), 1.0), (welch(first, second), 2.0)):
        assert found is not None
        assert -bound <= found.low <= found.high <= bound


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(3), 0
    for _ in range(400):
        found = welch(rng.normal(0.1, 0.2, 5).tolist(), rng.normal(0.0, 0.1, 5).tolist())
        assert found is not None
        covered += found.low <= 0.1 <= found.high
    assert 0.91 <= covered / 400 <= 0.99


def test_the_answer_claims_no_more_than_the_interval() -> None:
    clear = Improvement(sides=(side(0.3, 0.31, 0.32), side(0.0, 0.01, 0.0)))
    assert clear.sentence == "the first improver improves better"
    assert Improvement(sides=(side(0.0, 0.01), side(0.5, 0.51))).sentence == "the second improver improves better"
    assert "not settled" in Improvement(sides=(side(0.0, 0.4), side(0.1, 0.2))).sentence
    assert Improvement(sides=(side(0.1), side(0.2, 0.3))).sentence == "too few proposals for an interval"
    assert student([0.5]) is None


def test_gains_that_are_all_equal_do_not_make_an_interval_of_no_width() -> None:
    found = Improvement(sides=(side(1.0, 1.0), side(0.0, 0.0)))
    assert found.difference is not None
    assert found.difference.mean == 1.0
    assert found.difference.low < 0.0
    assert "not settled" in found.sentence
    one = student([0.2, 0.2, 0.2])
    assert one is not None
    assert one.low < 0.0
    assert one.high > 0.5


def test_a_gain_counts_the_trials_that_both_have() -> None:
    parent = {("a", 0): 0.0, ("b", 0): 1.0}
    assert gain(parent, {("a", 0): 1.0, ("b", 0): 1.0, ("c", 0): 1.0}) == 0.5
    assert gain(parent, {}) == 0.0


def test_a_verdict_of_few_proposals_comes_with_a_caution() -> None:
    few = Improvement(sides=(side(0.5, 0.51), side(0.0, 0.01)))
    assert few.caution.startswith("2 proposals a side are few")
    many = [0.5 + n / 100 for n in range(10)]
    assert Improvement(sides=(side(*many), side(*many))).caution == ""
    assert Improvement(sides=(side(0.5), side(0.0))).caution == ""


def test_what_is_not_a_number_ends() -> None:
    found = welch([float("nan"), 0.1], [0.0, 0.1])
    assert found is not None
    assert math.isnan(found.mean)


def shown(found: Improvement, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_improvement(found, console, folder=Path("runs/night/evals/x"), planned=1, as_json=False)
    said: str = console.file.getvalue()  # type: ignore[attr-defined]
    return said


def test_one_proposal_a_side_has_a_gain_and_no_interval() -> None:
    found = Improvement(sides=(side(0.5), side(-0.25)))
    said = shown(found)
    assert "+0.500 (no interval)" in said
    assert "difference: +0.750 (no interval)" in said
    assert "not known" not in said
    told = json.loads(json.dumps(facts(found)))
    assert told["sides"][0]["gain"] == {"mean": 0.5, "low": None, "high": None, "n": 1}
    assert told["difference"] == {"mean": 0.75, "low": None, "high": None, "n": 2}
    assert found.difference is None


def test_a_side_without_a_proposal_has_no_gain() -> None:
    found = Improvement(sides=(side(0.5), side()))
    assert "difference: not known" in shown(found)
    assert facts(found)["sides"][1]["gain"] is None


def test_the_header_of_the_gains_stays_in_one_line() -> None:
    one = Side(label="a3f09b1c22 " + "Say what was tried before " * 3, gains=(0.5, 0.0), admitted=1, tokens=1e6)
    said = shown(Improvement(sides=(one, one)))
    assert "mean gain [95 %]" in said
    assert "+0.250 [-1.000, +1.000]" in said
    assert max(map(len, said.splitlines())) <= 80
