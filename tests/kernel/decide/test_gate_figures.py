"""What the gate must show by simulation, in small; `make bench-gate` is the full run."""

from __future__ import annotations

import numpy as np
import pytest

from agent.kernel.decide.gate import GateSettings
from bench.gate import adversary, attacked, evidence, naive
from bench.gate.run import QUICK, SEED, simulate

GATE = GateSettings()


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(evidence.NULLS))
def test_no_null_crosses_more_often_than_ville_allows(kind: str) -> None:
    seen = evidence.crossings(kind, SEED, paths=1000, pairs=1000)
    assert all(share <= 1 / bar for share, bar in zip(seen, evidence.BARS, strict=True))


@pytest.mark.slow
def test_the_quick_run_misses_only_the_bar_that_needs_coupled_pairs() -> None:
    missed = [measure for measure in simulate(QUICK).missed if not measure.startswith("coupled pairs at +3")]
    assert missed == ["trials on a null candidate, independent"]


@pytest.mark.slow
def test_the_vectorised_twin_is_the_gate() -> None:
    assert naive.twin_disagreements(SEED, 100, GATE) == 0


@pytest.mark.slow
@pytest.mark.parametrize("channel", range(len(adversary.ATTACKS)), ids=[attack.name for attack in adversary.ATTACKS])
def test_no_attack_on_a_pair_is_accepted_more_often_than_the_level_allows(channel: int) -> None:
    attack, tests = adversary.ATTACKS[channel], 200
    most = adversary.bound(adversary.LEVEL, tests)
    assert adversary.rate(attack.closed, tests, SEED, channel) <= most
    assert adversary.rate(attack.open, 60, SEED, channel) > adversary.LEVEL


def test_a_whole_campaign_under_attack_commits_nothing_false_but_would_without_the_defence() -> None:
    [redraw] = [attack for attack in adversary.ATTACKS if attack.name == "redraw"]
    ends = {
        meets: [attacked.Attacked(meets, np.random.default_rng((SEED, n))).run() for n in range(5)]
        for meets in (redraw.open, redraw.closed)
    }
    assert sum(end.tests for end in ends[redraw.closed]) > 0
    assert sum(end.false_commits for end in ends[redraw.closed]) == 0
    assert sum(end.false_commits for end in ends[redraw.open]) > 0
