"""Productivity by version of the improver, and each patch's share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.base.types import Candidate, Fate, Purpose
from agent.kernel.loop.state import patches_key
from agent.kernel.record.ledger import Ledger
from agent.review.report.improvers import versions, worth_of
from tests.kernel.records import candidate, trial

CHANCES = {0: 0.2, 1: 0.5, 2: 0.5, 4: 0.5, 5: 0.8}
"""#1 is good, #2 on top of it does nothing, #4 is #1 and #2 put together, #5 builds on #4; #3 was refused."""


def written(folder: Path) -> tuple[Ledger, dict[int, Candidate]]:
    ledger, luck = Ledger(folder / "ledger.sqlite"), np.random.default_rng(1).random(120)
    made = [
        candidate(0),
        replace(candidate(1), parent=0),
        replace(candidate(2), parent=1),
        replace(candidate(3), parent=0, tree=None, fate=Fate.REFUSED),
        replace(candidate(4), parent=0),
        replace(candidate(5), parent=4),
    ]
    for one in made:
        ledger.add_candidate(one, fingerprint=None, diff="", transcript="")
    ledger.remember(patches_key(4), [1, 2])
    for number, chance in CHANCES.items():
        for index in range(120):
            won = float(luck[index] < chance)
            ledger.add_trial(
                replace(trial(f"t{number}-{index}"), purpose=Purpose.SEARCH, score=won), candidate=number, index=index
            )
    return ledger, {one.id: one for one in made}


def test_each_patch_has_its_share_by_all_candidates_that_hold_it(tmp_path: Path) -> None:
    ledger, candidates = written(tmp_path)
    worth = worth_of(ledger, candidates.values())
    assert worth.held[5] == {1, 2, 5}
    assert {patch: round(found.mean, 1) for patch, found in worth.effects.items()} == {1: 0.3, 2: 0.0, 5: 0.3}
    assert worth.effects[1].n == 480
    for patch in (1, 5):
        assert worth.effects[patch].low > 0
    assert worth.effects[2].low < 0 < worth.effects[2].high


def test_proposals_belong_to_the_champion_that_their_parent_descends_from(tmp_path: Path) -> None:
    ledger, candidates = written(tmp_path)
    worth = worth_of(ledger, candidates.values())
    first, second = versions(ledger, candidates, {0, 4}, worth)
    assert (first.champion, first.proposals, first.committed) == (0, 3, 2)
    assert first.admitted.mean == pytest.approx(2 / 3)
    assert (second.champion, second.proposals, second.committed) == (4, 1, 0)
    assert first.gain is not None
    assert second.gain is not None
    assert second.gain.mean > first.gain.mean > 0, "one of the first version's two patches does nothing"


def test_a_campaign_without_a_trial_has_no_shares(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.add_candidate(candidate(0), fingerprint=None, diff="", transcript="")
        worth = worth_of(ledger, ledger.candidates())
        assert worth.effects == {}
        assert versions(ledger, {0: candidate(0)}, {0}, worth) == []
