"""The gate: better is accepted, equal and worse are not, and every look is free."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from online_fdr import e_values
from online_fdr.core.abstract.abstract_gamma_seq import AbstractGammaSequence

from agent.base.types import Side
from agent.kernel.decide.bets import Terms, bets_for, bets_on, differing, expected_pairs
from agent.kernel.decide.gate import (
    BetterTest,
    Control,
    Decision,
    Fixed,
    GateSettings,
    PairedTest,
    PairOutcome,
    Verdict,
    pairs_to_prove,
    threshold,
)
from agent.kernel.decide.promotion import within
from agent.kernel.decide.statistics import sign_flip
from agent.kernel.decide.voids import VoidPair

DEFAULT = GateSettings()
SCORES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
VOIDS = st.one_of(
    st.builds(VoidPair, st.sampled_from(Side), st.none() | SCORES),
    st.builds(VoidPair, st.sampled_from(Side), st.none(), SCORES),
)
LEADS = st.floats(0.001, 1.0)
OUTCOMES = st.lists(st.one_of(st.tuples(SCORES, SCORES), VOIDS), max_size=60)


def run(champion: float, candidate: float, pairs: int = 1500, seed: int = 1) -> Decision:
    """A whole test of Bernoulli scores on default settings."""
    rng = np.random.default_rng(seed)
    test = PairedTest(DEFAULT, 1, 0)
    for a, b in rng.random((pairs, 2)):
        test.add(float(a < champion), float(b < candidate))
    decision = test.decide()
    assert decision is not None
    return decision


class GateGamma(AbstractGammaSequence):
    """The spending sequence of the gate, for the oracle."""

    def __init__(self) -> None:
        super().__init__(c=30.0)

    def calc_gamma(self, j: int, **_: float) -> float:
        return 30 / ((j + 29) * (j + 30))


# ---------------------------------------------------------------------------------------- bets


@given(effect=st.floats(0.0, 1.0), mean=st.floats(0.01, 1.0), spread=st.floats(0.0, 1.0))
def test_no_bet_that_is_best_for_an_effect_worth_finding_is_left_out(effect: float, mean: float, spread: float) -> None:
    mean = max(mean, effect)
    win, loss = (spread + mean) / 2, (spread - mean) / 2  # of wins and losses; the rest are ties
    if loss < 0.0 or win + loss > 1.0:
        win, loss = mean, 0.0
    growth = {bet: win * math.log1p(bet) + loss * math.log1p(-bet) for bet in DEFAULT.lambdas}
    kept = bets_for(effect)
    lost = [bet for bet in DEFAULT.lambdas if bet not in kept]
    assert kept
    assert max(growth[bet] for bet in kept) >= max((growth[bet] for bet in lost), default=-math.inf)


def test_small_effects_keep_every_bet_and_the_largest_effect_keeps_what_futility_needs() -> None:
    assert bets_for(0.05) == DEFAULT.lambdas
    assert bets_for(0.2) == (0.24, 0.48, 0.9)
    assert DEFAULT.futility_lambda_max in bets_for(1.0)


@given(lead=LEADS, differ=st.floats(0.0, 1.0))
def test_a_test_bets_what_grows_fastest_for_its_lead_and_half_of_it_and_the_most(lead: float, differ: float) -> None:
    differ = max(lead, differ)
    best, half, largest = bets_on(lead, differ)
    assert (half, largest) == (best / 2, DEFAULT.lambdas[-1])
    assert 0.0 < best <= 0.95, "no pair takes more than 95 % of the evidence away"

    def growth(bet: float) -> float:
        return (differ + lead) / 2 * math.log1p(bet) + (differ - lead) / 2 * math.log1p(-bet)

    assert growth(best) >= max(growth(other) for other in (0.01, 0.1, 0.3, 0.6, 0.9)) - 1e-12


def test_sides_differ_as_often_as_the_noise_of_two_trials_and_the_lead_say() -> None:
    assert differing(0.2, 0.1) == pytest.approx(0.24)
    assert differing(0.5, 0.0) == 0.5, "a patch that never harms"
    assert differing(0.9, 0.25) == 1.0


@pytest.mark.parametrize("lead", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("score", [0.05, 0.5])
def test_a_candidate_without_effect_passes_no_more_often_than_its_level_whatever_is_bet(
    lead: float, score: float
) -> None:
    from agent.kernel.decide.simulate import many_tests  # noqa: PLC0415

    rng, gate = np.random.default_rng(4), GateSettings(bets=bets_on(lead, 1.0))
    x = (rng.random((4000, 300)) < score) * 1.0 - (rng.random((4000, 300)) < score)
    accepted, _ = many_tests(x, math.log(20.0), gate)
    assert accepted.mean() <= 0.05


def test_sides_that_differ_less_often_than_search_has_seen_make_a_test_hardly_longer() -> None:
    """A lead of 10 points by a patch that never harms, where search saw noise of .24 a trial."""
    from agent.kernel.decide.simulate import many_tests  # noqa: PLC0415

    x = (np.random.default_rng(4).random((500, 600)) < 0.1) * 1.0
    expected, mixed = (GateSettings(bets=bets, max_pairs=600) for bets in (bets_on(0.1, differing(0.1, 0.24)), ()))
    taken, usual = (many_tests(x, threshold(1, 0, gate), gate)[1].mean() for gate in (expected, mixed))
    assert taken < 1.1 * usual


@pytest.mark.parametrize("lead", [-2.0, -0.1, 0.0])
def test_nothing_is_ever_proven_of_a_candidate_that_does_not_lead(lead: float) -> None:
    assert expected_pairs(lead, 0.03, 3.4) == math.inf


@given(lead=st.floats(1e-9, 5.0), noise=st.floats(0.0, 0.25), bar=st.floats(1.0, 20.0))
def test_a_test_is_expected_to_take_no_fewer_pairs_than_it_takes_to_win_them_all(
    lead: float, noise: float, bar: float
) -> None:
    gate = GateSettings(alpha=math.exp(-bar), spending=1, bets=bets_on(1.0, 1.0))
    assert math.ceil(expected_pairs(lead, noise, threshold(1, 0, gate))) >= pairs_to_prove(gate) - 1


def test_a_test_bets_no_less_than_the_gate_would_on_the_effects_that_it_looks_for() -> None:
    gate = GateSettings(lambdas=bets_for(0.2), smallest_effect=0.2)
    assert within(gate, Terms(pairs=50, bets=(0.1, 0.05, 0.9))).bets == (0.24, 0.24, 0.9)
    assert within(gate, None) == gate


def test_what_is_bet_on_a_large_lead_does_not_change_when_a_test_is_out_of_hope() -> None:
    history = [(0.0, 1.0), (1.0, 0.0), (1.0, 0.0), (1.0, 1.0)] * 100
    plain, bold = (PairedTest(GateSettings(bets=bets), 1, 0, history=history).decide() for bets in ((), (0.9, 0.6)))
    assert plain is not None
    assert bold is not None
    assert (plain.verdict, plain.pairs) == (bold.verdict, bold.pairs) == (Verdict.FUTILE, plain.pairs)


# ------------------------------------------------------------------------------------ verdicts


@given(alpha=st.floats(0.001, 0.5), spending=st.integers(1, 60))
def test_the_fewest_pairs_to_prove_anything_are_those_of_a_candidate_that_wins_all(alpha: float, spending: int) -> None:
    chosen = GateSettings(alpha=alpha, spending=spending)
    fewest, test = pairs_to_prove(chosen), PairedTest(chosen, 1, 0)
    test.feed([(0.0, 1.0)] * (fewest - 1))
    assert test.decide() is None
    assert test.add(0.0, 1.0).verdict is Verdict.ACCEPTED


def test_a_clearly_better_candidate_is_accepted() -> None:
    decision = run(0.4, 0.7)
    assert decision.verdict is Verdict.ACCEPTED
    assert decision.accepted
    assert decision.log_e is not None
    assert decision.log_threshold is not None
    assert decision.log_e >= decision.log_threshold


def test_an_equal_candidate_is_futile() -> None:
    decision = run(0.5, 0.5)
    assert decision.verdict is Verdict.FUTILE
    assert not decision.accepted


def test_a_worse_candidate_is_futile_soon() -> None:
    decision = run(0.7, 0.4)
    assert decision.verdict is Verdict.FUTILE
    assert decision.pairs < 100


def test_a_small_improvement_runs_to_the_last_pair_and_is_rejected() -> None:
    test = PairedTest(GateSettings(max_pairs=50), 1, 0)
    for _ in range(10):
        for pair in [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.3, 0.8)]:
            test.add(*pair)
    decision = test.decide()
    assert decision is not None
    assert decision.verdict is Verdict.REJECTED
    assert decision.pairs == 50


def test_the_sentence_carries_the_figures() -> None:
    decision = run(0.4, 0.7)
    for figure in (
        f"{decision.pairs} fresh pairs",
        f"champion {decision.champion_mean:.3f}",
        f"candidate {decision.candidate_mean:.3f}",
        f"{decision.delta:+.3f}",
        "e-value",
        "310 needed",
    ):
        assert figure in decision.sentence


def test_every_verdict_has_its_own_words() -> None:
    decisions = [run(0.4, 0.7), run(0.5, 0.5)]
    closed = (Verdict.OUT_OF_BUDGET, Verdict.VOID)
    decisions += [PairedTest(DEFAULT, 1, 0).close(verdict, "because") for verdict in closed]
    last = PairedTest(GateSettings(max_pairs=1), 1, 0)
    last.add(0.5, 0.5)
    decisions += [d for d in [last.decide()] if d]
    assert {d.verdict for d in decisions} == set(Verdict)
    assert all(d.sentence.startswith(f"{d.verdict}: ") for d in decisions)
    assert len({d.sentence for d in decisions}) == len(decisions)


def test_only_the_evidence_can_accept_or_reject() -> None:
    for verdict in (Verdict.ACCEPTED, Verdict.REJECTED, Verdict.FUTILE):
        with pytest.raises(ValueError, match="only the evidence"):
            PairedTest(DEFAULT, 1, 0).close(verdict, "please")


def test_closing_does_not_change_a_decision() -> None:
    test = PairedTest(DEFAULT, 1, 0, history=[(0.0, 1.0)] * 30)
    accepted = test.decide()
    assert test.close(Verdict.VOID, "too late") == accepted


@pytest.mark.parametrize("scores", [(-0.1, 0.5), (0.5, 1.1), (math.nan, 0.5), (0.5, math.inf)])
def test_a_score_outside_the_unit_interval_is_refused(scores: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="outside"):
        PairedTest(DEFAULT, 1, 0).add(*scores)


# ------------------------------------------------------------------------------------ deterministic part


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [(0.6, Verdict.ACCEPTED), (0.5, Verdict.REJECTED), (0.4, Verdict.REJECTED)],
)
@pytest.mark.parametrize("policy", ["proven", "better"])
def test_deterministic_tasks_alone_decide_at_once(candidate: float, verdict: Verdict, policy: str) -> None:
    fixed = Fixed(champion=0.5, candidate=candidate, share=1.0)
    test = PairedTest(DEFAULT, 1, 0, fixed) if policy == "proven" else BetterTest(DEFAULT, 5, fixed)
    decision = test.decide()
    assert decision is not None
    assert decision.verdict is verdict
    assert decision.pairs == 0
    assert decision.log_e is None


def test_a_gain_on_deterministic_tasks_is_evidence_in_every_pair() -> None:
    rng = np.random.default_rng(3)
    scores = [(float(a), float(b)) for a, b in rng.integers(0, 2, (1500, 2))]
    plain = PairedTest(DEFAULT, 1, 0, history=scores).decide()
    helped = PairedTest(DEFAULT, 1, 0, Fixed(champion=0.1, candidate=0.3, share=0.4), scores).decide()
    assert plain is not None
    assert helped is not None
    assert not plain.accepted
    assert helped.verdict is Verdict.ACCEPTED
    assert helped.delta == pytest.approx(helped.candidate_mean - helped.champion_mean)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99), st.lists(st.tuples(SCORES, SCORES), max_size=30))
def test_no_pair_takes_all_evidence_away(
    champion: float, candidate: float, share: float, pairs: list[tuple[float, float]]
) -> None:
    fixed = Fixed(champion=champion * share, candidate=candidate * share, share=share)
    test, before = PairedTest(DEFAULT, 1, 0, fixed), 0.0
    for pair in pairs:
        if test.decide() is None:
            test.add(*pair)
            assert test.log_e >= before + math.log(0.05) - 1e-9
            before = test.log_e


# ------------------------------------------------------------------------------------ replay and restart


@given(OUTCOMES, st.integers(1, 40), st.data())
@settings(max_examples=150)
def test_a_restart_at_any_prefix_gives_the_same_verdict(
    outcomes: list[PairOutcome], index: int, data: st.DataObject
) -> None:
    easy = GateSettings(max_pairs=40, alpha=0.5, futility_min_pairs=5)
    commits = data.draw(st.integers(0, index - 1))
    whole = PairedTest(easy, index, commits)
    whole.feed(outcomes)
    cut = data.draw(st.integers(0, len(outcomes)))
    resumed = PairedTest(easy, index, commits, history=outcomes[:cut])
    resumed.feed(outcomes[cut:])
    assert resumed.decide() == whole.decide()
    assert resumed.log_e == whole.log_e


@given(OUTCOMES)
def test_pairs_after_the_decision_change_nothing(outcomes: list[PairOutcome]) -> None:
    test = PairedTest(DEFAULT, 1, 0, history=[(0.0, 1.0)] * 20)
    accepted = test.decide()
    assert accepted is not None
    test.feed(outcomes)
    assert test.decide() == accepted


# ------------------------------------------------------------------------------------ levels


def test_the_spending_sums_to_one() -> None:
    whole = GateSettings(control=Control.FAMILYWISE, alpha=1.0)
    assert sum(math.exp(-threshold(i, 0, whole)) for i in range(1, 200_000)) == pytest.approx(1, abs=2e-4)


def test_commits_earn_level_back_under_fdr_and_not_familywise() -> None:
    family = GateSettings(control=Control.FAMILYWISE)
    assert threshold(5, 1, DEFAULT) == pytest.approx(threshold(5, 0, DEFAULT) - math.log(2))
    assert threshold(5, 1, family) == threshold(5, 0, family)
    assert math.exp(threshold(1, 0, DEFAULT)) == pytest.approx(310)
    assert math.exp(threshold(1, 0, family)) == pytest.approx(620)


@pytest.mark.parametrize(("index", "commits"), [(0, 0), (3, 3), (2, -1)])
def test_impossible_indices_are_refused(index: int, commits: int) -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        threshold(index, commits, DEFAULT)


@given(st.lists(st.floats(0, 2000), max_size=40))
def test_levels_agree_with_the_elond_of_online_fdr(values: list[float]) -> None:
    oracle = e_values.ELond(alpha=0.10, gamma_seq=GateGamma())
    commits = 0
    for index, value in enumerate(values, start=1):
        decision = oracle.test_one(value)
        ours = value > 0 and math.log(value) >= threshold(index, commits, DEFAULT)
        assert oracle.current_level == pytest.approx(math.exp(-threshold(index, commits, DEFAULT)))
        assert ours == decision
        commits += ours


@given(
    st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=60),
    st.just(()) | st.builds(bets_on, LEADS, st.just(1.0)),
)
def test_evidence_agrees_with_the_mixture_of_online_fdr(
    pairs: list[tuple[float, float]], chosen: tuple[float, ...]
) -> None:
    bets = [lambda x, bet=bet: math.log1p(bet * x) for bet in chosen or DEFAULT.lambdas]
    oracle = e_values.MixtureLikelihoodRatioEProcess(bets)
    test = PairedTest(GateSettings(alpha=1e-9, futility_min_pairs=1000, bets=chosen), 1, 0)
    for champion, candidate in pairs:
        test.add(champion, candidate)
        oracle.update(candidate - champion)
        if test.decide() is None:
            assert test.log_e == pytest.approx(oracle.log_current, abs=1e-9)


# ------------------------------------------------------------------------------------ policy better


def test_the_plain_rule_accepts_a_better_mean_and_says_that_it_is_not_proven() -> None:
    decision = BetterTest(DEFAULT, 4, history=[(0.0, 1.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]).decide()
    assert decision is not None
    assert decision.accepted
    assert decision.null_passes == pytest.approx(0.5)
    assert decision.luck == pytest.approx(0.5)
    assert "not proven" in decision.sentence
    assert "0.50" in decision.sentence


@pytest.mark.parametrize("last", [(0.5, 0.5), (1.0, 0.0)])
def test_the_plain_rule_rejects_an_equal_or_worse_mean(last: tuple[float, float]) -> None:
    decision = BetterTest(DEFAULT, 2, history=[(1.0, 1.0), last]).decide()
    assert decision is not None
    assert decision.verdict is Verdict.REJECTED
    assert decision.log_e is None


def test_the_plain_rule_waits_for_all_its_pairs() -> None:
    test = BetterTest(DEFAULT, 20, history=[(0.0, 1.0)] * 19)
    assert test.decide() is None
    with pytest.raises(ValueError, match="cannot be compared"):
        BetterTest(DEFAULT, 0)


@given(st.lists(st.integers(-1000, 1000), max_size=10))
def test_the_chance_of_luck_equals_counting_all_signs(steps: list[int]) -> None:
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(steps))).reshape(len(steps), -1) if steps else np.zeros((0, 1))
    sums = (signs * np.array(steps, dtype=int).reshape(-1, 1)).sum(axis=0)
    passes, luck = sign_flip([step / 1000 for step in steps])
    assert passes == pytest.approx(np.mean(sums > 0))
    assert luck == pytest.approx(np.mean(sums >= sum(steps)))
