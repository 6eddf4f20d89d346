"""A patch that conflicts with the champion: an improver brings it over, or its own tree meets the champion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.kernel.decide.archive import Archive, Expand, Step
from agent.kernel.decide.bringing import KEPT, hoped, kept_share, options
from agent.kernel.decide.pooled import Pooled
from tests.kernel.decide.archives import archive
from tests.kernel.decide.test_pooled import RICH, run


def conflicting(champion: float, rival: float, trials: int = 40) -> Archive:
    """Two patches of the seed that conflict: #1 is champion. Chances besides the seed's .2."""
    built = run(archive([None, 0, 0]), {0: 0.2, 1: champion, 2: rival}, trials)
    built.crown(1)
    built.bringing.conflicts.add((2, 1))
    return built


def proposals(built: Archive, steps: int = 200) -> list[Step]:
    """What the search asks for when the archive always has room."""
    built.settings = replace(built.settings, growth=5.0)
    chooser, rng = Pooled(), np.random.default_rng(1)
    built.composed.add(frozenset({1, 2}))
    found = (chooser.next(built, rng) for _ in range(steps))
    return [step for step in found if isinstance(step, Expand)]


def test_a_strong_patch_is_brought_over_rather_than_another_proposal_made() -> None:
    steps = proposals(conflicting(0.5, 0.5))
    assert steps.count(Expand(1, bring=2)) > len(steps) / 2


def test_a_patch_without_effect_is_not_brought_over() -> None:
    steps = proposals(conflicting(0.5, 0.2))
    assert steps.count(Expand(1, bring=2)) < len(steps) / 10


def test_nobody_is_asked_twice_about_one_patch_and_champion() -> None:
    built, step = conflicting(0.5, 0.5), Expand(1, bring=2)
    assert options(built) == [2]
    built.begin(step)
    assert not options(built)
    built.end(step)
    assert options(built) == [2], "it was void"
    built.bringing.brought[2, 1] = 3
    assert not options(built)
    built.crown(2)
    built.crown(1)
    built.retire(2)
    built.bringing.brought.clear()
    assert not options(built), "it is retired"


def test_a_contender_far_ahead_meets_the_champion_itself() -> None:
    """The champion's own gain is small, so little is lost where the tree takes its place."""
    assert not Pooled().brings(conflicting(0.25, 0.7), 2, RICH)


def test_a_contender_that_would_cost_much_of_what_was_gained_is_brought_over_first() -> None:
    assert Pooled().brings(conflicting(0.5, 0.6), 2, RICH)


@pytest.mark.parametrize("dear", [replace(RICH, proposal=100_000.0), replace(RICH, foreseen=150.0)])
def test_it_is_not_brought_over_where_that_costs_more_than_it_gives_or_than_is_left(dear: object) -> None:
    assert isinstance(dear, type(RICH))
    assert not Pooled().brings(conflicting(0.5, 0.6), 2, dear)


def test_what_is_being_brought_over_does_not_meet_the_champion_meanwhile() -> None:
    built = conflicting(0.4, 0.8)
    assert Pooled().contender(built, RICH) == 2
    built.bringing.due.append((2, 1))
    assert Pooled().contender(built, RICH) is None
    built.bringing.due.clear()
    built.begin(Expand(1, bring=2))
    assert Pooled().contender(built, RICH) is None
    built.end(Expand(1, bring=2))
    assert Pooled().contender(built, RICH) == 2


def test_how_much_is_kept_is_learnt_from_those_that_were_brought_over() -> None:
    built = conflicting(0.5, 0.6)
    effects = {1: 0.3, 2: 0.4}
    assert kept_share(built, effects) == KEPT
    assert hoped(built, effects, 2, KEPT) == pytest.approx(0.2)
    built.add(3, 1)
    built.bringing.brought[2, 1] = 3
    assert kept_share(built, {**effects, 3: 0.4}) == KEPT, "it is not measured yet"
    run(built, {3: 0.9}, 40)
    assert kept_share(built, {**effects, 3: 0.4}) == pytest.approx((KEPT + 1.0) / 2)
    assert kept_share(built, {**effects, 3: -0.1}) == pytest.approx(KEPT / 2)
