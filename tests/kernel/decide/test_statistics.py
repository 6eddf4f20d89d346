"""The Beta distribution agrees with scipy, and draws in a large archive are not forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc

from agent.kernel.decide.statistics import FRESH, Draws, Floats, beta_cdf


@given(st.floats(0.001, 0.999), st.floats(1, 900), st.floats(1, 900))
def test_the_beta_distribution_agrees_with_scipy(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(float(betainc(a, b, x)), abs=1e-10)


def test_the_beta_distribution_is_right_at_its_ends() -> None:
    assert [beta_cdf(x, 2, 3) for x in (-0.1, 0.0, 1.0, 1.1)] == [0.0, 0.0, 1.0, 1.0]


def test_a_large_archive_draws_the_chosen_row_and_new_ones_at_once_and_the_others_in_turn() -> None:
    draws, rng, many = Draws(), np.random.default_rng(1), 3 * FRESH

    def best(means: Floats) -> int:
        sure = 1e9 * np.stack([means, 1.0 - means])  # so many trials that a draw is the mean
        return draws.best(lambda rows: sure[:, rows], np.ones(len(means), dtype=np.int64), rng)

    means = np.full(many, 0.5)
    means[7] = 0.9
    assert best(means) == 7
    means[7], means[-1] = 0.1, 0.8
    assert [best(means) in {7, many - 1} for _ in range(2)] == [False, False]
    assert best(means) == many - 1
    assert best(np.append(means, 0.95)) == many
