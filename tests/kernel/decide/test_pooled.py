"""The default search: next steps, sets of patches, and who meets the champion when."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from agent.config.campaign import SearchConfig
from agent.kernel.decide.archive import Archive, Compose, Expand, Measure, SearchSettings
from agent.kernel.decide.bets import Terms, bets_on, differing, expected_pairs
from agent.kernel.decide.effects import fit
from agent.kernel.decide.pooled import (
    CREDIT,
    HIGH,
    LEAD,
    PANEL,
    PANEL_LEAST,
    PATIENCE,
    ROWS,
    START,
    Pooled,
    Spend,
    first_lead,
)
from tests.kernel.decide.archives import archive

RICH = Spend(foreseen=100_000, used=100, gate=0, log_threshold=5.7)


def run(built: Archive, chances: dict[int, float], trials: int) -> Archive:
    """So many trials of each node; chance is shared by all nodes at the same index."""
    luck = np.random.default_rng(3).random(trials)
    for node, chance in chances.items():
        for index in range(trials):
            built.record(node, float(luck[index] < chance), index)
    return built


def test_the_seed_is_measured_first_and_no_longer_than_needed() -> None:
    built, chooser, rng = archive([None]), Pooled(), np.random.default_rng(1)
    for turn in range(START):
        assert chooser.next(built, rng) == Measure(0, turn)
        built.record(0, 0.0)
    assert chooser.next(built, rng) == Expand(0)


def test_good_patches_of_two_branches_are_put_together_once() -> None:
    built = run(archive([None, 0, 0, 0]), {0: 0.3, 1: 0.5, 2: 0.5, 3: 0.3}, 40)
    chooser, rng = Pooled(), np.random.default_rng(1)
    step = chooser.next(built, rng)
    assert step == Compose(frozenset({1, 2}))
    built.begin(step)
    run(built, {0: 0.3}, 30)
    assert not isinstance(chooser.next(built, rng), Compose)


def test_a_patch_without_effect_is_taken_out() -> None:
    built = run(archive([None, 0, 1, 2]), {0: 0.3, 1: 0.3, 2: 0.6, 3: 0.9}, 40)
    assert Pooled().next(built, np.random.default_rng(1)) == Compose(frozenset({2, 3}))


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_lucky_baseline_does_not_keep_a_good_candidate_from_the_gate(seed: int) -> None:
    built = archive([None, 0])
    for index in range(13):
        built.record(0, float(index < 11), index)
    chooser, rng = Pooled(), np.random.default_rng(seed)
    for _ in range(400):
        if chooser.contender(built, RICH) == 1:
            break
        step = chooser.next(built, rng)
        if isinstance(step, Measure):
            built.record(step.node, float(rng.random() < 0.6) if step.node == 0 else 1.0, step.turn)
        elif isinstance(step, Expand):
            built.fail(step.parent)
    assert chooser.contender(built, RICH) == 1
    said = fit(built.members, built.observations.trials).values[0]
    assert said < 0.8 < 11 / 13, "the champion's own estimate is refined"


def test_a_trial_is_run_where_candidates_differ_and_not_where_all_pass() -> None:
    built = archive([None] + [0] * 10)
    for node in range(10):
        for index in range(12):
            built.record(node, float(index % 3 > 0 or node % 2 > 0), index)
    for index in (0, 3):
        built.record(10, 1.0, index)
    built.measure_only = True
    chooser, rng = Pooled(), np.random.default_rng(2)
    steps = [chooser.next(built, rng) for _ in range(300)]
    turns = [step.turn for step in steps if isinstance(step, Measure) and step.node == 10]
    assert len(turns) > 50
    assert {0, 3}.isdisjoint(turns), "what it met already is not run again"
    assert sum(turn in (6, 9) for turn in turns) > 0.5 * len(turns), "two of the eleven others"


def unequal(ahead: int, behind: int, trials: int = 40) -> Archive:
    """Two candidates that solve 60 and 30 % of so many trials each: of 40, a lead of 2.7 standard errors."""
    built = archive([None, 0])
    for index in range(trials):
        built.record(behind, float(index % 10 < 3), index)
        built.record(ahead, float(index * 7 % 10 < 6), index)
    return built


def test_the_seed_is_met_by_a_lead_that_the_best_of_hundreds_does_not_have_by_luck() -> None:
    late = replace(RICH, used=RICH.foreseen // 2)
    assert Pooled().contender(unequal(1, 0), late) is None
    assert Pooled().contender(unequal(1, 0, trials=100), late) == 1


def test_the_lead_over_the_seed_must_be_larger_the_more_trials_there_were() -> None:
    assert [first_lead(trials) for trials in (0, 500, 837, 1400, 6000)] == pytest.approx(
        [3.0, 3.0, 3.5, 4.0, 4.0], abs=1e-3
    )
    built = run(archive([None, 0]), {0: 0.3, 1: 0.6}, 42)
    lead, error = fit(built.members, built.observations.trials).lead(0, np.array([1]))
    assert 3.1 < lead[0] / error[0] < 3.9
    assert Pooled().contender(built, replace(RICH, used=500)) == 1
    assert Pooled().contender(built, replace(RICH, used=2000)) is None


def test_a_later_champion_is_met_by_a_smaller_lead() -> None:
    built = unequal(0, 1)
    built.crown(1)
    assert Pooled().contender(built, replace(RICH, used=RICH.foreseen // 2)) == 0


def test_a_test_waits_until_its_lead_is_worth_it_or_time_runs_out() -> None:
    built = run(archive([None, 0]), {0: 0.4, 1: 0.55}, 200)
    scarce = replace(RICH, foreseen=2000, used=600)
    assert Pooled().contender(built, RICH) == 1
    assert Pooled().contender(built, scarce) is None
    assert Pooled().contender(built, replace(scarce, used=1900)) == 1
    assert Pooled().contender(built, replace(scarce, used=2000)) is None
    assert Pooled().contender(built, replace(RICH, gate=90_000)) is None


def test_a_clear_lead_meets_the_champion_early_also_in_a_small_campaign() -> None:
    built = run(archive([None, 0]), {0: 0.2, 1: 0.9}, 80)
    small = Spend(foreseen=300, used=100, gate=0, log_threshold=math.log(50))
    assert Pooled().contender(built, small) == 1
    assert Pooled().contender(built, replace(small, used=295)) is None, "no test begins that cannot end"


def test_where_time_is_short_a_test_begins_early_enough_for_its_slower_trials() -> None:
    built = run(archive([None, 0]), {0: 0.4, 1: 0.55}, 200)
    late = replace(RICH, foreseen=2000, used=1760)
    assert Pooled().contender(built, late) is None
    assert Pooled().contender(built, replace(late, wait=1.7)) == 1


def test_a_test_bets_on_its_lead_and_is_given_up_when_it_takes_several_times_what_that_should_take() -> None:
    built, chooser = run(archive([None, 0]), {0: 0.3, 1: 0.6}, 200), Pooled()
    terms = chooser.terms(built, 1, RICH)
    posterior = chooser._posterior
    assert terms is not None
    assert posterior is not None
    lead = float(posterior.values[1] - posterior.values[0])
    pairs = math.ceil(PATIENCE * expected_pairs(lead, posterior.noise, RICH.log_threshold))
    assert terms == Terms(pairs=pairs, bets=bets_on(lead, differing(lead, posterior.noise)))
    assert pairs < 300
    assert chooser.terms(built, 0, RICH) is None, "no lead, nothing to be impatient about"
    assert chooser.terms(built, 7, RICH) is None, "unknown to the search"


def test_a_lead_is_believed_less_after_each_lost_test_of_one_that_shares_a_patch() -> None:
    built = run(archive([None, 0, 1, 0]), {0: 0.2, 1: 0.4, 2: 0.42, 3: 0.42}, 300)
    scarce = replace(RICH, foreseen=4000, used=600)
    before = Pooled().terms(built, 2, scarce)
    built.tested |= {(1, 0), (2, 0)}
    after = Pooled().terms(built, 2, scarce)
    assert before is not None
    assert after is not None
    assert before.pairs < after.pairs < before.pairs / CREDIT**2, "by the other one; its own test does not count"
    built.tested.remove((1, 0))
    built.tested.add((1, 3))
    assert Pooled().terms(built, 2, scarce) == before


def test_what_is_bet_follows_the_noise_and_the_credit_of_a_lead() -> None:
    rng, built = np.random.default_rng(7), archive([None, 0, 1])
    for node, chance in enumerate((0.3, 0.5, 0.5)):
        for index in range(400):
            built.record(node, float(rng.random() < chance), index)
    shared = run(archive([None, 0, 1]), {0: 0.3, 1: 0.5, 2: 0.5}, 400)
    noisy, calm = Pooled().terms(built, 2, RICH), Pooled().terms(shared, 2, RICH)
    assert noisy is not None
    assert calm is not None
    assert noisy.bets[0] < 0.6 < calm.bets[0]
    built.tested.add((1, 0))
    doubted = Pooled().terms(built, 2, RICH)
    assert doubted is not None
    assert doubted.bets[0] < 0.8 * noisy.bets[0]


def test_candidates_that_lose_all_their_tests_keep_no_other_from_the_gate() -> None:
    losers = range(2, 30)
    built = run(archive([None] + [0] * 29), {0: 0.2, 1: 0.6, **dict.fromkeys(losers, 0.6)}, 60)
    built.tried |= {(node, 0) for node in losers}
    built.tested |= {(node, 0) for node in losers}
    assert Pooled().contender(built, replace(RICH, foreseen=4000, used=600)) == 1


def test_a_bad_champion_that_many_relatives_met_is_still_met() -> None:
    built = run(archive([None, 0] + [1] * 12), {0: 0.2, 1: 0.2, **dict.fromkeys(range(2, 14), 0.7)}, 60)
    losers = {(node, 0) for node in range(2, 13)}
    built.tried |= losers
    built.tested |= losers
    assert Pooled().contender(built, replace(RICH, foreseen=4000, used=3860)) == 13


def test_of_equals_the_one_with_fewer_patches_meets_the_champion() -> None:
    built = Archive(SearchSettings(min_trials=20))
    for node, parent in enumerate([None, 0, 1]):
        built.add(node, parent)
    run(built, {0: 0.3, 1: 0.8, 2: 0.8}, 60)
    assert Pooled().contender(built, RICH) == 1
    built.tried.add((1, 0))
    assert Pooled().contender(built, RICH) is None, "the other one is the same with a useless patch"


def test_a_proposal_with_a_useless_patch_meets_the_champion_only_if_it_cannot_be_made_without() -> None:
    built = archive([None, 0, 1])
    run(built, {0: 0.3, 1: 0.3, 2: 0.8}, 100)
    chooser, lean = Pooled(), Compose(frozenset({2}))
    assert chooser.contender(built, RICH) is None, "patch 1 does nothing"
    assert chooser.next(built, np.random.default_rng(1)) == lean
    built.begin(lean)
    assert chooser.contender(built, RICH) is None, "it is being made"
    built.end(lean)
    assert chooser.contender(built, RICH) == 2, "it could not be made"
    built.add(3, 0, patches=lean.patches)
    assert chooser.contender(built, RICH) is None, "it is made and must be measured"
    run(built, {3: 0.8}, 100)
    assert chooser.contender(built, RICH) == 3
    built.retire(3)
    assert chooser.contender(built, RICH) == 2, "it fails"


@pytest.mark.parametrize(("useless", "expected"), [({3, 6}, 6), ({3, 4, 6}, None)])
def test_a_proposal_may_hold_as_many_useless_patches_as_useful_ones(useless: set[int], expected: int | None) -> None:
    built = archive([None, 0, 0, 0, 0, 0])
    built.add(6, 0, patches=frozenset({1, 2} | useless))
    run(built, {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.2, 4: 0.2, 5: 0.2, 6: 0.6}, 200)
    built.tried |= {(1, 0), (2, 0)}
    assert Pooled().contender(built, RICH) == expected


def test_a_proposal_whose_patches_are_worth_little_each_meets_the_champion_for_all_of_them() -> None:
    built = run(archive([None, 0, 1, 2]), {0: 0.30, 1: 0.32, 2: 0.34, 3: 0.36}, 1000)
    built.tried |= {(1, 0), (2, 0)}
    assert Pooled().contender(built, RICH) == 3


def test_not_the_best_candidate_alone_is_made_without_its_useless_patches() -> None:
    built = archive([None, 0, 1, 0, 3])
    run(built, {0: 0.3, 1: 0.3, 2: 0.9, 3: 0.3, 4: 0.8}, 100)
    built.composed |= {frozenset({2}), frozenset({2, 4})}
    assert Pooled().next(built, np.random.default_rng(1)) == Compose(frozenset({4}))


def test_nothing_retired_is_measured_expanded_or_promoted() -> None:
    built = run(archive([None, 0]), {0: 0.3, 1: 0.9}, 60)
    built.retire(1)
    chooser, rng = Pooled(), np.random.default_rng(1)
    steps = [chooser.next(built, rng) for _ in range(30)]
    assert all(1 not in (getattr(step, "node", 0), getattr(step, "parent", 0)) for step in steps)
    assert chooser.contender(built, RICH) is None


def test_a_large_archive_is_judged_by_its_newest_and_best_candidates() -> None:
    built = archive([None, *[0] * (ROWS + 60)])
    chances = {node: 0.9 if node in {5, 300} else 0.2 for node in built.ids}
    run(built, chances, 12)
    chooser, rng = Pooled(), np.random.default_rng(1)
    for _ in range(3):
        chooser.next(built, rng)
        built.add(len(built), 0)
        run(built, {len(built) - 1: 0.2}, 12)
    step = chooser.next(built, rng)
    fitted = chooser._posterior
    assert fitted is not None
    assert len(fitted.patches) < ROWS
    assert {5, 300} <= set(fitted.patches)
    assert {int(row) for row in np.argsort(-fitted.values)[:2]} == {5, 300}
    assert isinstance(step, Compose | Measure | Expand)


@pytest.mark.parametrize("lead", [0.05, 0.1, 0.3])
def test_a_test_is_expected_to_take_as_long_as_simulated_ones_do(lead: float) -> None:
    """Independent sides at .4: the noise of a pair is that of two trials."""
    from agent.kernel.decide.gate import GateSettings, threshold  # noqa: PLC0415
    from agent.kernel.decide.simulate import many_tests  # noqa: PLC0415

    rng, most = np.random.default_rng(5), 4000
    gate = replace(GateSettings(), max_pairs=most, bets=bets_on(lead, differing(lead, 0.24)))
    x = (rng.random((400, most)) < 0.4 + lead) * 1.0 - (rng.random((400, most)) < 0.4)
    accepted, taken = many_tests(x, threshold(1, 0, gate), gate)
    seen = float(taken[accepted].mean())
    assert 0.6 < expected_pairs(lead, 0.24, threshold(1, 0, gate)) / seen < 1.4
    mixed = many_tests(x, threshold(1, 0, gate), replace(gate, bets=()))[1]
    if lead > 0.05:
        assert float(taken.mean()) < float(mixed.mean()), "all five bets take longer"


def test_the_description_of_the_key_that_pooled_does_not_heed_names_what_it_heeds_instead() -> None:
    needed = f"pooled, which needs {first_lead(1):g} to {first_lead(100_000):g} over the seed and {LEAD} later"
    assert needed in (SearchConfig.model_fields["min_z"].description or "")


def test_patches_of_which_little_is_known_are_measured_together_in_a_panel() -> None:
    built = run(archive([None, *[0] * 12]), dict.fromkeys(range(13), 0.3), START)
    chooser, rng = Pooled(), np.random.default_rng(1)
    step = chooser.next(built, rng)
    assert isinstance(step, Compose)
    assert PANEL_LEAST <= len(step.patches) <= PANEL
    built.begin(step)
    assert not isinstance(chooser.next(built, rng), Compose), "the next one only after PAUSE trials"


def test_a_panel_with_a_patch_that_does_nothing_meets_the_champion_without_it() -> None:
    built = archive([None, 0, 0, 0, 0])
    built.add(5, 0, patches=frozenset({1, 2, 3, 4}))
    run(built, {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.4, 4: 0.2, 5: 0.8}, 200)
    chooser, rng = Pooled(), np.random.default_rng(1)
    assert chooser.contender(built, RICH) != 5
    assert chooser.next(built, rng) == Compose(frozenset({1, 2, 3}))
    built.add(6, 0, patches=frozenset({1, 2, 3}))
    run(built, {6: 0.8}, 200)
    assert chooser.contender(built, RICH) == 6


def test_a_panel_may_meet_the_champion_as_it_is_towards_the_end_if_nothing_better_can() -> None:
    built = archive([None, 0, 0, 0, 0])
    built.add(5, 0, patches=frozenset({1, 2, 3, 4}))
    run(built, {0: 0.2, 1: 0.2, 2: 0.2, 3: 0.5, 4: 0.2, 5: 0.55}, 200)
    built.tried |= {(3, 0)}
    assert Pooled().contender(built, RICH) is None
    late = replace(RICH, used=RICH.foreseen * 3 // 4)
    assert Pooled().contender(built, late) == 5
    built.tried.clear()
    assert Pooled().contender(built, late) == 3, "of which each patch does something"


@pytest.mark.parametrize(("out", "how"), [((2, 3, 4), "lost"), ((5, 6, 7), "lost"), ((5, 6, 7), "retired")])
def test_candidates_that_are_out_do_not_keep_a_good_one_from_being_made_lean(out: tuple[int, ...], how: str) -> None:
    built = archive([None, 0, 0, 0, 0])  # patch 1 does nothing
    for node, patches in ((5, {1, 2}), (6, {1, 3}), (7, {1, 4}), (8, {1, 9})):
        built.add(node, 0, patches=frozenset(patches))
    run(built, {0: 0.3, 1: 0.3, 2: 0.9, 3: 0.88, 4: 0.86, 5: 0.9, 6: 0.88, 7: 0.86, 8: 0.7}, 100)
    built.composed |= {frozenset({2, 3, 4, 9})}
    for node in out:
        if how == "retired":
            built.retire(node)
        else:
            built.tried.add((node, 0))
    assert Pooled().next(built, np.random.default_rng(1)) == Compose(frozenset({9}))


def test_the_smaller_a_campaign_the_more_of_its_trials_go_to_panels() -> None:
    shares = []
    for foreseen in (math.inf, 1000.0, 500.0, 100.0):
        built = Archive(SearchSettings(foreseen=foreseen))
        for node, parent in enumerate([None, 0, 0, 0, 0]):
            built.add(node, parent)
        built.add(5, 0, patches=frozenset({1, 2, 3, 4}))  # of which one does nothing
        run(built, {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.4, 4: 0.2, 5: 0.8}, 40)
        built.measure_only, built.composed = True, built.composed | {frozenset({1, 2, 3})}
        chooser, rng = Pooled(), np.random.default_rng(1)
        steps = [chooser.next(built, rng) for _ in range(200)]
        shares.append(sum(isinstance(step, Measure) and step.node == 5 for step in steps) / len(steps))
    assert shares[0] == shares[1] < shares[2] - 0.05 < shares[3] - 0.1


def test_three_without_a_useful_patch_do_not_keep_a_fourth_from_being_made_lean() -> None:
    built, each = archive([None] + [0] * 9), frozenset(range(1, 9))  # which are worth 1.7 points each
    for left_out in (1, 2, 3):
        built.add(9 + left_out, 0, patches=each - {left_out})
    built.add(13, 0, patches=frozenset({1, 20}))
    run(built, {0: 0.3, **dict.fromkeys(each, 0.317), 9: 0.3, 10: 0.42, 11: 0.42, 12: 0.42, 13: 0.38}, 600)
    assert Pooled().next(built, np.random.default_rng(1)) == Compose(frozenset({20}))


def test_three_that_could_not_be_made_lean_do_not_keep_a_fourth_from_it() -> None:
    built = archive([None] + [0] * 9)
    for node, good in ((10, 2), (11, 3), (12, 4)):
        built.add(node, 0, patches=frozenset({1, good}))
        built.retire(good)
    built.add(13, 0, patches=frozenset({1, 20}))
    built.composed.add(frozenset({2, 3, 4, 20}))
    chances = dict.fromkeys(range(10), 0.3) | {2: 0.9, 3: 0.88, 4: 0.86, 10: 0.9, 11: 0.88, 12: 0.86, 13: 0.38}
    run(built, chances, 600)
    assert Pooled().next(built, np.random.default_rng(1)) == Compose(frozenset({20}))


def test_a_candidate_with_a_small_lead_is_not_made_lean() -> None:
    built = run(archive([None, 0, 1]), {0: 0.30, 1: 0.30, 2: 0.335}, 3000)
    assert not isinstance(Pooled().next(built, np.random.default_rng(1)), Compose)


def test_a_proposal_with_a_useless_patch_and_a_small_lead_may_meet_the_champion_late() -> None:
    built = run(archive([None, 0, 1]), {0: 0.30, 1: 0.30, 2: 0.345}, 3000)
    built.add(3, 0, patches=frozenset({2}))
    assert Pooled().contender(built, RICH) is None
    assert Pooled().contender(built, replace(RICH, used=RICH.foreseen * 3 // 4)) == 2


def test_a_panel_whose_patches_are_hardly_worth_it_together_does_not_meet_the_champion() -> None:
    late, sizes = replace(RICH, used=RICH.foreseen * 3 // 4), {}
    for size in (3, 8):
        built = archive([None, *[0] * size])
        built.add(size + 1, 0, patches=frozenset(range(1, size + 1)))
        alone = dict.fromkeys(range(1, size + 1), 0.3)
        run(built, {0: 0.3, **alone, size + 1: 0.46}, 200)
        built.tried |= {(node, 0) for node in alone}
        sizes[size] = Pooled().contender(built, late)
    assert sizes == {3: 4, 8: None}, "a lead of .16 is worth three patches, not eight"


def test_there_are_no_panels_once_the_champion_solves_nearly_everything() -> None:
    for level, expected in ((HIGH - 0.1, True), (HIGH + 0.1, False)):
        built = run(archive([None, *[0] * 12]), dict.fromkeys(range(13), level), 20)
        chooser, rng = Pooled(), np.random.default_rng(1)
        steps = [chooser.next(built, rng) for _ in range(3)]
        assert any(isinstance(step, Compose) for step in steps) is expected


def test_panels_do_not_keep_trials_from_a_candidate_that_could_meet_the_champion() -> None:
    built = archive([None, *[0] * 8])
    built.add(9, 0, patches=frozenset(range(1, 9)))
    run(built, {**dict.fromkeys(range(9), 0.3), 1: 0.95, 9: 0.95}, START)
    chooser, rng = Pooled(), np.random.default_rng(1)
    built.measure_only = True
    measured = []
    for _ in range(60):
        step = chooser.next(built, rng)
        if isinstance(step, Measure):
            built.record(step.node, float(rng.random() < 0.95) if step.node in {1, 9} else 0.0, step.turn)
            measured.append(step.node)
    assert measured.count(1) > 20
