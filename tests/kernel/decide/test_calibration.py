"""What runs of the seed say about a suite: headroom, splits, noise, and what can be proved."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Split
from agent.kernel.decide.calibration import Headroom, Measured, calibrated, pairs_for
from agent.kernel.decide.gate import GateSettings

GATE = GateSettings()


def tasks(*solved: int, runs: int = 10, split: Split = Split.GATE) -> list[Measured]:
    """Tasks of which the seed solved so many of its runs."""
    return [
        Measured(task=f"t{number:03}", split=split, scores=(1.0,) * count + (0.0,) * (runs - count))
        for number, count in enumerate(solved)
    ]


@pytest.mark.parametrize(
    ("scores", "reference", "expected"),
    [
        ((1.0, 1.0), (), Headroom.ALWAYS),
        ((0.0, 0.0), (), Headroom.NEVER),
        ((0.0, 0.0), (0.0, 1.0), Headroom.YES),
        ((0.0, 0.0), (0.0,), Headroom.NEVER),
        ((0.0, 1.0), (), Headroom.YES),
        ((0.5, 0.5), (), Headroom.YES),
    ],
)
def test_a_task_has_headroom_if_something_can_still_be_won(
    scores: tuple[float, ...], reference: tuple[float, ...], expected: Headroom
) -> None:
    assert Measured(task="t", split=Split.GATE, scores=scores, reference=reference).headroom is expected


@given(st.lists(st.integers(1, 9), min_size=7, max_size=70))
def test_the_proposed_splits_are_two_three_two_and_equally_hard(solved: list[int]) -> None:
    found = calibrated(tasks(*solved), 0.1, GateSettings(max_pairs=30), 0.5)
    count = Counter(found.splits.values())
    assert set(found.splits) == {one.task for one in found.tasks}
    for split, share in ((Split.SEARCH, 2), (Split.GATE, 3), (Split.HOLDOUT, 2)):
        assert abs(count[split] - len(solved) * share / 7) <= 1.5
    rates = {split: [one.rate for one in found.tasks if found.splits[one.task] is split] for split in Split}
    means = [sum(values) / len(values) for values in rates.values()]
    assert max(means) - min(means) <= 0.8 * 7 / len(solved) + 1e-9


def test_tasks_without_headroom_are_in_no_proposed_split_and_make_proofs_dearer() -> None:
    found = calibrated([*tasks(0, 10, 0, 10, *[4] * 8)], 0.1, GATE, 0.5)
    assert found.without_headroom(Headroom.NEVER) == ["t000", "t002"]
    assert found.without_headroom(Headroom.ALWAYS) == ["t001", "t003"]
    assert not {"t000", "t001", "t002", "t003"} & set(found.splits)
    assert found.now.room == pytest.approx(0.6 * 8 / 12)
    assert found.now.pairs is not None
    assert found.now.trials == math.ceil(2 * found.now.pairs / 0.5)


def test_an_effect_larger_than_the_room_cannot_be_proved() -> None:
    found = calibrated(tasks(*[10] * 9, 5), 0.2, GATE, 0.5)
    assert found.now.pairs is None
    assert found.now.room == pytest.approx(0.05)


def test_a_larger_effect_takes_fewer_pairs() -> None:
    difficulty = np.zeros(20)
    needed = [pairs_for(difficulty, effect, GATE) for effect in (0.05, 0.1, 0.2)]
    assert all(pairs is not None for pairs in needed)
    assert needed == sorted(needed, reverse=True)  # type: ignore[type-var]


def test_noise_is_that_of_a_pair_without_effect() -> None:
    assert calibrated(tasks(10, 0), 0.1, GATE, 0.5).noise == 0
    assert calibrated(tasks(5, runs=10), 0.1, GATE, 0.5).noise == pytest.approx(math.sqrt(2 * 0.25 * 10 / 9))


def test_a_smaller_effect_takes_more_tasks() -> None:
    small, large = (calibrated(tasks(5), effect, GATE, 0.5).sizes for effect in (0.05, 0.2))
    assert all(small[split] > large[split] for split in Split)
    assert large == {Split.SEARCH: 11, Split.GATE: 16, Split.HOLDOUT: 72}
