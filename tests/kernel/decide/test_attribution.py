"""Leave-one-out: idle patches are told from needed ones, and no choice of a set makes a false commit likelier."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.attribution import ERROR, Attribution, Standing, parts_words
from agent.kernel.decide.gate import Control, GateSettings
from bench.gate import parts

SCORE = st.sampled_from([0.0, 0.5, 1.0])


def test_a_patch_that_changes_nothing_is_idle_and_one_that_is_missed_is_needed() -> None:
    attribution = Attribution([1, 2], [3], margin=0.05)
    for _ in range(80):
        attribution.add(1.0, {patch: score for patch, score in {1: 1.0, 2: 0.0}.items() if patch in attribution.open})
    standings = {patch: part.standing for patch, part in attribution.parts.items()}
    assert standings == {1: Standing.IDLE, 2: Standing.NEEDED, 3: Standing.INSEPARABLE}
    assert attribution.idle == {1}
    assert attribution.parts[1].share == 0.0
    assert attribution.parts[2].share == 1.0
    assert parts_words(attribution.recorded()) == "#1 +0.000 (idle), #2 +1.000 (needed), #3 not separable (inseparable)"


def test_where_every_patch_is_idle_none_is_left_out() -> None:
    attribution = Attribution([1, 2], [], margin=0.3)
    for _ in range(20):
        attribution.add(1.0, dict.fromkeys(attribution.open, 1.0))
    assert not attribution.open
    assert attribution.idle == frozenset()


def test_where_chance_decides_both_ways_no_more_trials_are_spent_and_the_patch_is_kept() -> None:
    ends = []
    for seed in range(50):
        rng, attribution = np.random.default_rng(seed), Attribution([1], [2], margin=0.05)
        while attribution.open and attribution.parts[1].groups < 80:
            attribution.add(float(rng.random() < 0.6), {1: float(rng.random() < 0.6)})
        ends.append(attribution.parts[1])
    kept = [part for part in ends if part.standing is Standing.NOISY]
    assert len(kept) >= 35
    assert np.mean([part.groups for part in kept]) <= 25


def test_a_harmful_patch_in_quiet_groups_is_still_found() -> None:
    attribution = Attribution([1, 2], [], margin=0.05)
    for group in range(80):
        sides = {1: float(group % 5 != 0 or group % 2 == 0), 2: 0.0}
        attribution.add(float(group % 5 != 0), {patch: sides[patch] for patch in attribution.open})
    assert attribution.parts[1].standing is Standing.IDLE


@given(st.lists(st.tuples(SCORE, SCORE), max_size=80), st.floats(0.01, 0.5))
def test_a_patch_stands_where_it_stood_once_it_is_settled(groups: list[tuple[float, float]], margin: float) -> None:
    attribution, seen = Attribution([1], [], margin), Standing.OPEN
    for whole, without in groups:
        attribution.add(whole, {1: without})
        now = attribution.parts[1].standing
        assert seen in {Standing.OPEN, now}
        seen = now


@pytest.mark.slow
def test_a_set_that_is_chosen_badly_is_not_committed_more_often_than_alpha() -> None:
    settings = GateSettings(control=Control.FAMILYWISE)
    runs = [parts.campaign(np.random.default_rng((7, n)), settings) for n in range(60)]
    assert np.mean([run.false > 0 for run in runs]) <= settings.level + 2.33 * math.sqrt(settings.level / 60)
    assert np.mean([run.true for run in runs]) >= 5, "the wholes that carry something are committed all the same"


@pytest.mark.slow
@pytest.mark.parametrize("differs", [0.0, 0.1, 0.4])
def test_a_patch_that_is_worth_the_margin_is_rarely_left_out(differs: float) -> None:
    seen = parts.shares(parts.MARGIN, differs, 300, 7)
    assert seen[Standing.IDLE] <= ERROR + 2.33 * math.sqrt(ERROR / 300)
