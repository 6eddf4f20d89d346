"""The search line: sums over clades, steps that know what is in flight, promotion, duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc

from agent.kernel.decide.search import (
    FRESH,
    STRATEGIES,
    TRIALS,
    Archive,
    Draws,
    Expand,
    Floats,
    Measure,
    SearchSettings,
    Strategy,
    beta_cdf,
    fingerprint,
    promising,
)

TREES = st.lists(st.integers(0, 10_000), max_size=40).map(
    lambda picks: [None, *(pick % (place + 1) for place, pick in enumerate(picks))]
)


def archive(parents: list[int | None], **settings_: float) -> Archive:
    """An archive with the given parents, ids in order."""
    built = Archive(SearchSettings(**settings_))  # type: ignore[arg-type]
    for node, parent in enumerate(parents):
        built.add(node, parent)
    return built


def score(built: Archive, node: int, wins: int, trials: int) -> None:
    """Record `wins` successes in `trials` trials."""
    for turn in range(trials):
        built.record(node, float(turn < wins))


# ------------------------------------------------------------------------------------ archive


@given(TREES, st.data())
def test_clade_sums_equal_walking_the_tree(parents: list[int | None], data: st.DataObject) -> None:
    built = archive(parents)
    scores = data.draw(st.lists(st.tuples(st.integers(0, len(parents) - 1), st.floats(0, 1)), max_size=60))
    for node, value in scores:
        built.record(node, value)
    for _ in range(3):
        won, lost = built.clades()
    for node in range(len(parents)):
        below = {node}
        for child in range(node + 1, len(parents)):
            if parents[child] in below:
                below.add(child)
        values = [value for place, value in scores if place in below]
        assert won[node] == pytest.approx(sum(values))
        assert lost[node] == pytest.approx(sum(1 - value for value in values))


def test_ids_need_not_be_consecutive() -> None:
    built = Archive(SearchSettings())
    built.add(0, None)
    built.add(7, 0)
    built.add(9, 7)
    built.record(9, 1.0)
    assert built.ids == [0, 7, 9]
    assert built.clades()[0].tolist() == [1.0, 1.0, 1.0]
    assert built.node(9).parent == 7


@pytest.mark.parametrize(("node", "parent"), [(0, 0), (5, 3), (5, None)])
def test_a_candidate_without_a_place_in_the_tree_is_refused(node: int, parent: int | None) -> None:
    with pytest.raises(ValueError, match="candidate"):
        archive([None]).add(node, parent)


def test_the_champion_must_be_in_the_archive() -> None:
    built = archive([None, 0])
    built.crown(1)
    assert built.champion == 1
    with pytest.raises(ValueError, match="not in the archive"):
        built.crown(2)


def test_a_score_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        archive([None]).record(0, 1.2)


def test_trials_in_flight_count_and_are_forgotten_when_they_end() -> None:
    built = archive([None])
    step = Measure(0, 0)
    built.begin(step)
    assert built.trials == 1
    assert built.node(0).trials == 0
    assert built.own().tolist() == [[0.5], [0.5]]
    built.end(step)
    assert built.trials == 0
    assert built.own().tolist() == [[0.0], [0.0]]


# ------------------------------------------------------------------------------------ strategies


@pytest.fixture(params=sorted(STRATEGIES))
def strategy(request: pytest.FixtureRequest) -> Strategy:
    """Every strategy in turn."""
    return STRATEGIES[request.param]()


@given(seed=st.integers(0, 2**32), workers=st.integers(1, 8), kind=st.sampled_from(sorted(STRATEGIES)))
@settings(max_examples=40, deadline=None)
def test_no_strategy_ever_touches_a_dead_node(seed: int, workers: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    built, chooser, flying = archive([None], min_trials=6), STRATEGIES[kind](), []
    for _ in range(120):
        step = chooser.next(built, rng)
        node = built.node(step.node if isinstance(step, Measure) else step.parent)
        assert node.alive
        assert node.expandable or isinstance(step, Measure)
        built.begin(step)
        flying.append(step)
        if len(flying) == workers:
            done = flying.pop(int(rng.integers(workers)))
            if isinstance(done, Measure):
                built.record(done.node, float(rng.random()))
            else:
                built.add(len(built), done.parent, alive=bool(rng.integers(2)))
            built.end(done)


def test_the_same_seed_gives_the_same_steps(strategy: Strategy) -> None:
    built = archive([None, 0, 0, 1], min_trials=2)
    for node in range(4):
        score(built, node, 1, 2)
    first, second = (strategy.next(built, np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_parallel_workers_are_not_all_given_the_same_work() -> None:
    built, chooser, rng = archive([None]), STRATEGIES["thompson"](), np.random.default_rng(1)
    score(built, 0, 30, 60)
    steps = []
    for _ in range(20):
        steps.append(chooser.next(built, rng))
        built.begin(steps[-1])
    proposals = [step for step in steps if isinstance(step, Expand)]
    turns = [step.turn for step in steps if isinstance(step, Measure)]
    assert 0 < len(proposals) < 20
    assert turns == list(range(60, 60 + len(turns)))


def test_the_archive_grows_with_the_power_of_the_trials() -> None:
    built, chooser, rng = archive([None]), STRATEGIES["thompson"](), np.random.default_rng(2)
    for _ in range(600):
        step = chooser.next(built, rng)
        if isinstance(step, Measure):
            built.record(step.node, float(rng.integers(2)))
        else:
            built.add(len(built), step.parent)
    assert len(built) == pytest.approx(built.trials**0.6, abs=1.5)


def test_an_improver_that_only_fails_does_not_starve_the_trials() -> None:
    built, chooser, rng = archive([None]), STRATEGIES["thompson"](), np.random.default_rng(2)
    for _ in range(400):
        step = chooser.next(built, rng)
        if isinstance(step, Measure):
            built.record(step.node, 0.5)
        else:
            built.fail(step.parent)
    assert built.trials > 200


def test_thompson_prefers_the_clade_that_does_well() -> None:
    built, chooser, rng = archive([None, 0, 0, 1, 2]), STRATEGIES["thompson"](), np.random.default_rng(3)
    score(built, 3, 90, 100)
    score(built, 4, 10, 100)
    parents = [step.parent for step in (chooser.next(built, rng) for _ in range(100)) if isinstance(step, Expand)]
    assert len(parents) == 100
    assert sum(parent in {1, 3} for parent in parents) > 90


def test_the_offspring_of_a_failure_gets_neither_proposals_nor_trials_beside_a_node_that_works() -> None:
    built = archive([None, 0, *[1] * 12], growth=0.9)
    score(built, 0, 10, 20)
    score(built, 1, 0, 20)
    for node in range(2, len(built)):
        score(built, node, 0, 1)

    def parents(kind: str) -> list[int]:
        draws, chooser = np.random.default_rng(3), STRATEGIES[kind]()
        steps = [chooser.next(built, draws) for _ in range(200)]
        chosen = [step.parent for step in steps if isinstance(step, Expand)]
        assert len(chosen) == len(steps)
        return chosen

    assert parents("thompson").count(0) > 0.4 * 200
    assert parents("hgm").count(0) == 0  # Beta(1, 1) for all, as published


def test_a_new_node_is_expected_to_score_what_its_parent_does() -> None:
    built = archive([None, 0, 1, 0])
    score(built, 0, 10, 20)
    score(built, 1, 0, 20)
    a, b = built.priors()
    assert np.allclose(a + b, 2.0)
    assert np.allclose(a[0], 1.0)
    assert np.allclose(a[2], 2.0 * (2.0 * 0.5) / 22.0)  # two of the champion's mean, twenty of its own
    assert np.allclose(a[3], 2.0 * 11.0 / 22.0)


def test_a_trial_in_flight_of_a_new_node_counts_as_the_strategy_expects_it_to_score() -> None:
    built = archive([None, 0])
    score(built, 0, 1, 3)
    built.begin(Measure(1, 0))
    assert np.allclose(built.own()[:, 1], [0.36, 0.64])  # its parent: two trials at .4, one of three won
    assert np.allclose(built.own(np.ones((2, 2)))[:, 1], [0.5, 0.5])


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


def test_a_large_archive_still_finds_its_best_nodes() -> None:
    built, chooser = archive([None, *[0] * 2 * FRESH], growth=0.01), STRATEGIES["thompson"]()
    rng = np.random.default_rng(4)
    true = np.linspace(0.0, 0.8, len(built))
    for _ in range(12_000):
        step = chooser.next(built, rng)
        assert isinstance(step, Measure)
        built.record(step.node, float(rng.random() < true[step.node]))
    trials = built.column(TRIALS)
    assert trials[true > 0.7].mean() > 5 * trials[true < 0.4].mean()


def test_a_parent_whose_proposals_fail_is_asked_less() -> None:
    built, chooser, rng = archive([None, 0, 0]), STRATEGIES["thompson"](), np.random.default_rng(3)
    for node in (1, 2):
        score(built, node, 50, 100)
    for _ in range(60):
        built.fail(1)
    parents = [step.parent for step in (chooser.next(built, rng) for _ in range(100)) if isinstance(step, Expand)]
    assert parents.count(1) < parents.count(2) / 5


def test_greedy_takes_the_best_mean_and_on_a_tie_the_smaller_tree() -> None:
    built = Archive(SearchSettings(min_trials=4))
    for node, (parent, size) in enumerate([(None, 90), (0, 80), (0, 70), (0, 60)]):
        built.add(node, parent, size=size)
        score(built, node, [1, 3, 3, 2][node], 4)
    assert STRATEGIES["greedy"]().next(built, np.random.default_rng(0)) == Expand(2)


def test_greedy_and_dgm_give_every_node_its_full_number_of_trials_first() -> None:
    for kind in ("greedy", "dgm"):
        built = archive([None, 0], min_trials=3)
        score(built, 0, 1, 3)
        assert STRATEGIES[kind]().next(built, np.random.default_rng(0)) == Measure(1, 0)


def test_dgm_prefers_good_nodes_with_few_children() -> None:
    built = archive([None, 0, 0, 0, 0], min_trials=10)
    for node, wins in enumerate([8, 1, 8, 1, 1]):
        score(built, node, wins, 10)
    rng = np.random.default_rng(4)
    steps = [STRATEGIES["dgm"]().next(built, rng) for _ in range(200)]
    parents = [step.parent for step in steps if isinstance(step, Expand)]
    assert parents.count(2) > 2 * parents.count(0) > 0


# ------------------------------------------------------------------------------------ promotion


def ready(wins: int, trials: int = 40, **settings_: float) -> Archive:
    """A champion with 20 successes in 40 trials and one child."""
    built = archive([None, 0], **settings_)
    score(built, 0, 20, 40)
    score(built, 1, wins, trials)
    return built


@pytest.mark.parametrize(("wins", "trials", "answer"), [(22, 40, 1), (21, 40, None), (39, 39, None)])
def test_a_node_goes_to_the_gate_with_enough_trials_and_a_margin(wins: int, trials: int, answer: int | None) -> None:
    assert promising(ready(wins, trials, sureness=0.0)) == answer


@pytest.mark.parametrize(("wins", "answer"), [(30, None), (31, 1)])
def test_a_lead_that_chance_explains_is_not_worth_a_test(wins: int, answer: int | None) -> None:
    assert promising(ready(wins)) == answer


def test_a_small_suite_needs_two_trials_a_task() -> None:
    built = archive([None, 0], task_count=6)
    for node, wins in ((0, 3), (1, 9)):
        score(built, node, wins, 12)
    assert promising(built) == 1


def test_an_uncertain_node_waits() -> None:
    built = archive([None, 0], min_trials=4)
    score(built, 0, 50, 100)
    score(built, 1, 3, 4)
    assert promising(built) is None


def test_a_champion_without_trials_is_measured_before_anyone_meets_it() -> None:
    built = archive([None, 0])
    score(built, 1, 40, 40)
    assert promising(built) is None


def test_a_node_meets_a_champion_once_and_a_new_champion_again() -> None:
    built = ready(40)
    built.tried.add((1, 0))
    assert promising(built) is None
    built.add(2, 0)
    score(built, 2, 21, 40)
    built.crown(2)
    assert promising(built) == 1


def test_the_gate_may_use_half_of_the_trials() -> None:
    assert promising(ready(40), gate_share=0.5) == 1
    assert promising(ready(40), gate_share=0.51) is None


def test_a_tie_goes_to_the_smaller_tree() -> None:
    built = Archive(SearchSettings())
    for node, size in enumerate([50, 70, 60]):
        built.add(node, None if node == 0 else 0, size=size)
        score(built, node, 20 if node == 0 else 35, 40)
    assert promising(built) == 2


def test_a_dead_node_never_goes_to_the_gate() -> None:
    built = archive([None])
    built.add(1, 0, alive=False)
    score(built, 0, 20, 40)
    score(built, 1, 40, 40)
    assert promising(built) is None
    assert built.node(0).failed_proposals == 1


@given(st.floats(0.001, 0.999), st.floats(1, 900), st.floats(1, 900))
def test_the_beta_distribution_agrees_with_scipy(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(float(betainc(a, b, x)), abs=1e-10)


def test_the_beta_distribution_is_right_at_its_ends() -> None:
    assert [beta_cdf(x, 2, 3) for x in (-0.1, 0.0, 1.0, 1.1)] == [0.0, 0.0, 1.0, 1.0]


# ------------------------------------------------------------------------------------ duplicates

SOURCE = b'def f(x):\n    """Doc."""\n    return x + 1\n'


@pytest.mark.parametrize(
    "other",
    [
        b'def f(x):  # why\n    """Doc."""\n\n    return (x + 1)\n',
        b'# coding: latin-1\ndef f( x ):\n\t"""Doc."""\n\treturn x+1',
        SOURCE.replace(b"\n", b"\r\n"),
    ],
)
def test_comments_and_layout_make_no_new_candidate(other: bytes) -> None:
    assert fingerprint({"a.py": SOURCE}) == fingerprint({"a.py": other})


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": SOURCE.replace(b"1", b"2")},
        {"a.py": SOURCE.replace(b"Doc", b"Other")},
        {"b.py": SOURCE},
        {"a.py": SOURCE, "b.py": b""},
        {"a.md": SOURCE},
        {},
    ],
)
def test_anything_that_a_program_can_tell_is_a_new_candidate(files: dict[str, bytes]) -> None:
    assert fingerprint(files) != fingerprint({"a.py": SOURCE})


def test_prompts_are_compared_byte_by_byte() -> None:
    assert fingerprint({"a.md": b"x"}) != fingerprint({"a.md": b"x\n"})


@pytest.mark.parametrize(
    "hostile",
    [b"def (", b"\x00", b"\xff\xfe", b"# coding: nonsense\n", b"(" * 5000, b"-" * 50_000 + b"1", b"x=0x" + b"f" * 9000],
)
def test_python_that_does_not_parse_is_compared_byte_by_byte(hostile: bytes) -> None:
    assert fingerprint({"a.py": hostile}) == fingerprint({"a.py": hostile})
    assert fingerprint({"a.py": hostile}) != fingerprint({"a.py": hostile + b" "})


@given(st.dictionaries(st.text(max_size=6), st.binary(max_size=40), max_size=4))
def test_every_tree_has_a_fingerprint_whatever_its_bytes(files: dict[str, bytes]) -> None:
    assert fingerprint(files) == fingerprint(dict(reversed(files.items())))
