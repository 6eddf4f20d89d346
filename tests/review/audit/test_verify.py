"""A commit that was tampered with, or a ledger that was, is found, and what was touched is named."""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Split
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.pooled import Pooled
from agent.kernel.git.repository import Repository
from agent.kernel.loop.match import Opening, opened_with
from agent.review.audit.fresh import GRID, Comparison, betting_interval, compare
from agent.review.audit.judgement import (
    TAMPERED,
    UNPROVEN,
    Claim,
    claim_of,
    facts,
    fresh_sentence,
    replay_check,
    verdict,
)
from agent.review.audit.replay import replay
from agent.review.audit.verify import Checked, Evidence, verify
from tests.kernel import lab as kernel_lab
from tests.kernel.lab import SETTINGS, Lab
from tests.review.conftest import Night, improve, solve


def look(night: Night, rev: str = "ratchet/night~1") -> list[Checked]:
    with night.ledger() as ledger:
        evidence = night.evidence(ledger)
        return verify(evidence.repository.commit(rev), evidence)


def faults(night: Night, rev: str = "ratchet/night~1") -> set[str]:
    return {finding.what for finding in look(night, rev) if finding.ok is False}


def test_honest_commits_match_in_every_point(night: Night) -> None:
    for rev in ("ratchet/night", "ratchet/night~1"):
        found = look(night, rev)
        assert [one for one in found if one.ok is False] == []
        assert {"tree", "parent", "verdict", "figures", "draw", "trials", "Ratchet-Score", "Ratchet-Holdout"} <= {
            one.what for one in found if one.ok
        }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"max_pairs": 3000}, None),
        ({"spending": 4}, "campaign.yaml has others now; the test's own are used"),
    ],
)
def test_a_test_that_bet_on_what_search_expected_is_recomputed(
    tmp_path: Path, changed: dict[str, int], said: str | None
) -> None:
    lab = Lab(tmp_path, improve, trials=900, solve=solve, strategy=Pooled())
    asyncio.run(lab.run())
    opening = Opening(settings=replace(GateSettings(), **changed), runs=10)
    with lab.ledger() as ledger:
        repository = Repository.open(lab.repo, "night", DEFAULT_MUTABLE, ledger.recollect("base"))
        evidence = Evidence(ledger=ledger, repository=repository, opening=opening, seed=0, suite=kernel_lab.suite())
        found = verify(repository.accepted()[-1], evidence)
        opened = opened_with(ledger, 1)
    assert opened is not None
    assert opened.settings.bets
    assert [one for one in found if one.ok is False] == []
    assert {"verdict", "figures"} <= {one.what for one in found if one.ok}
    assert next((one.said for one in found if one.what == "gate's numbers"), None) == said


def amend(night: Night, old: str, new: str) -> None:
    """Rewrite the champion's message, as `git commit --amend` would, and move the branch."""
    message = night.git("log", "-1", "--format=%B", "ratchet/night")
    assert old in message
    tree, parent = night.git("rev-parse", "ratchet/night^{tree}"), night.git("rev-parse", "ratchet/night~1")
    sha = night.git("commit-tree", tree, "-p", parent, "-m", message.replace(old, new))
    night.git("update-ref", "refs/heads/ratchet/night", sha)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("-> 0.", "-> 1.", "Ratchet-Score"),
        ("e-value ", "e-value 9", "Ratchet-Evidence"),
        ("used for no decision", "used for the decision", "Ratchet-Holdout"),
        ("Ratchet-Derived-From: ", "Ratchet-Derived-From: #9, ", "Ratchet-Derived-From"),
        ("toy@abc", "toy@abd", "Ratchet-Suite"),
        ("Say how in the prompt", "Say nothing", "subject"),
        ("Ratchet-Cost: ", "Ratchet-Blessed-By: me\nRatchet-Cost: ", "trailers"),
    ],
)
def test_a_rewritten_message_is_found_and_located(night: Night, old: str, new: str, named: str) -> None:
    amend(night, old, new)
    assert {"commit", named} <= faults(night, "ratchet/night")


def test_a_commit_with_another_tree_is_found(night: Night) -> None:
    message = night.git("log", "-1", "--format=%B", "ratchet/night")
    night.git("switch", "-q", "ratchet/night")
    (night.repo / "other.txt").write_text("changed\n")
    night.git("commit", "-qa", "--amend", "-m", message)
    assert {"commit", "tree", "mutable paths"} <= faults(night, "ratchet/night")


def test_a_commit_that_no_campaign_made_is_in_no_row(night: Night) -> None:
    night.git("switch", "-q", "-c", "mine", "main~0")
    night.git("commit", "-q", "--allow-empty", "-m", "one")
    night.git("commit", "-q", "--allow-empty", "-m", "two")
    assert faults(night, "mine") == {"commit"}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE trials SET score = 1 - score WHERE id = $TRIAL", {"figures", "Ratchet-Score"}),
        ("DELETE FROM pairs WHERE test = 1 AND pair_index = 5", {"verdict"}),
        ("UPDATE verdicts SET decision = replace(decision, '\"accepted', '\"rejected') WHERE test = 1", {"figures"}),
        ("UPDATE verdicts SET verdict = 'rejected' WHERE test = 1", {"verdict"}),
        ("UPDATE tests SET commits = 0 WHERE id = 2", {"commits before the test"}),
        ("UPDATE pairs SET task = 'gate-99' WHERE test = 1 AND pair_index = 2", {"draw"}),
        ("UPDATE trials SET tree = 'feed' WHERE id = $TRIAL", {"trials"}),
        ("UPDATE trials SET seed = seed + 1 WHERE id = $TRIAL", {"trials"}),
        ("UPDATE candidates SET tree = 'feed' WHERE id = (SELECT candidate FROM tests WHERE id = 1)", {"tree"}),
        ("UPDATE fates SET reason = 'luck' WHERE candidate = 1", {"candidate's reason"}),
        ("UPDATE commits SET parent = 'feed'", {"parent"}),
        ("UPDATE commits SET sha = 'feed' WHERE test = 1", {"commit"}),
        ("UPDATE trials SET score = 0 WHERE purpose = 'holdout' AND candidate = 1", {"Ratchet-Holdout"}),
        ("UPDATE meta SET value = replace(value, '30', '3') WHERE key = 'gate of test 1'", {"figures"}),
    ],
)
def test_a_changed_ledger_is_found_and_the_change_is_named(night: Night, statement: str, named: set[str]) -> None:
    rev = "ratchet/night" if "id = 2" in statement else "ratchet/night~1"
    night.sql(statement)
    found = faults(night, rev)
    assert named & found, found
    assert "ledger chain" in found


def test_a_body_that_is_not_what_its_hash_says_is_named(night: Night) -> None:
    night.sql(
        "UPDATE blobs SET body = ? WHERE hash = (SELECT transcript FROM trials WHERE id = $TRIAL)",
        zlib.compress(b"forged"),
    )
    [chain, finding] = [one for one in look(night) if one.ok is False]
    assert (chain.what, finding.what) == ("ledger chain", "ledger")
    assert "was changed; it is the transcript of trials" in chain.said
    assert "was changed" in finding.said


def test_a_test_that_was_struck_out_is_missed(night: Night) -> None:
    night.sql("UPDATE tests SET id = 9 WHERE id = 2")
    assert {"ledger file", "tests"} <= faults(night)


async def test_a_replay_gives_the_recorded_scores_and_finds_one_that_was_raised(night: Night) -> None:
    tasks = {task.id: task for task in kernel_lab.suite().tasks}
    with night.ledger() as ledger:
        trials = [trial for _, *sides in ledger.pair_trials(1) for trial in sides][:12]
    steps: list[int] = []
    async with night.lab.campaign() as campaign:
        evaluator = campaign.parts.evaluator
        honest = await replay(evaluator, tasks, trials, lambda: steps.append(1))
        night.sql("UPDATE trials SET score = 1 - score WHERE id = $TRIAL")
        with night.ledger() as ledger:
            trials = [trial for _, *sides in ledger.pair_trials(1) for trial in sides][:12]
        forged = await replay(evaluator, tasks, trials, lambda: None)
    assert len(steps) == 12
    assert replay_check(honest).ok
    finding = replay_check(forged)
    assert finding.ok is False
    assert finding.said.startswith("1 of 12 trials differ: trial ")


async def test_fresh_pairs_bear_a_true_claim_out_and_leave_an_empty_one_unsettled(night: Night) -> None:
    tasks = kernel_lab.suite().split(Split.GATE)
    before, after = (night.repository().tree_of(rev) for rev in ("main", "ratchet/night"))
    async with night.lab.campaign() as campaign:
        evaluator = campaign.parts.evaluator
        true = await compare(evaluator, tasks, (before, after), 40, lambda: None)
        backwards = await compare(evaluator, tasks, (after, before), 40, lambda: None)
        empty = await compare(evaluator, tasks, (after, after), 10, lambda: None)
    assert [claim_of(one) for one in (true, backwards, empty)] == [Claim.CONFIRMED, Claim.REFUTED, Claim.UNSETTLED]
    assert "40 fresh pairs" in fresh_sentence(true, 0.9)
    assert verdict([], true) == 0
    assert verdict([], empty) == UNPROVEN
    assert verdict([Checked(what="x", ok=False, said="")], true) == TAMPERED
    assert json.dumps(facts(night.commits()[0], [], true, 0.5))


def test_pairs_that_a_patch_voided_do_not_make_it_look_better() -> None:
    """Nine won of forty confirm a gain; with nine that were void, they may have been lost."""
    pairs = ((0.0, 1.0),) * 9 + ((1.0, 1.0),) * 31
    assert claim_of(Comparison(pairs=pairs, voids=0)) is Claim.CONFIRMED
    voided = Comparison(pairs=pairs, voids=9)
    assert claim_of(voided) is Claim.UNSETTLED
    assert voided.difference.mean == Comparison(pairs=pairs, voids=0).difference.mean
    assert "whatever 9 more that were void would have shown" in fresh_sentence(voided, None)


@given(st.lists(st.floats(-1, 1), max_size=12), st.lists(st.floats(-1, 1), max_size=4))
def test_an_interval_holds_for_all_that_voids_may_hide(values: list[float], hidden: list[float]) -> None:
    seen = Comparison(pairs=tuple((max(-x, 0.0), max(x, 0.0)) for x in values), voids=len(hidden)).difference
    whole = betting_interval([*values, *hidden])
    assert seen.low <= whole.low + 2 / (GRID - 1)
    assert whole.high <= seen.high + 2 / (GRID - 1)


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_an_interval_holds_its_mean_and_stays_on_the_scale(values: list[float]) -> None:
    interval = betting_interval(values)
    assert -1 <= interval.low <= interval.mean + 1e-9
    assert interval.mean - 1e-9 <= interval.high <= 1


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, missed = np.random.default_rng(5), 0
    for _ in range(300):
        values = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=40)
        interval = betting_interval([float(v) for v in values])
        missed += not interval.low <= 0.2 <= interval.high
    assert missed <= 15


@pytest.mark.parametrize("value", [1 / 3, -1 / 3, 0.9999])
def test_the_interval_of_very_many_pairs_is_as_wide_as_a_step_of_its_grid(value: float) -> None:
    interval = betting_interval([value] * 20000)
    assert interval.low <= interval.mean <= interval.high <= 1
    assert 0 < interval.high - interval.low < 0.006


def test_equal_pairs_alone_prove_nothing() -> None:
    interval = betting_interval([0.0] * 20)
    assert interval.low < -0.1
    assert interval.high > 0.1


def test_the_command_says_what_it_found_by_its_exit_code(night: Night) -> None:
    done = night.ratchet("verify", "champion")
    assert done.exit_code == 0, done.output
    assert "matches the record" in done.output
    night.sql("UPDATE verdicts SET verdict = 'rejected' WHERE test = 2")
    done = night.ratchet("verify", "ratchet/night", "--json")
    assert done.exit_code == TAMPERED
    assert [one["what"] for one in json.loads(done.stdout)["findings"] if one["ok"] is False] == [
        "ledger chain",
        "verdict",
    ]


def test_a_candidate_that_was_not_accepted_claims_nothing(night: Night) -> None:
    done = night.ratchet("verify", "seed")
    assert done.exit_code != 0
    assert "was not accepted, so it has no commit" in str(done.exception)


def test_what_a_patch_changed_is_read_from_git(night: Night) -> None:
    done = night.ratchet("diff", "seed", "ratchet/night~1")
    assert done.exit_code == 0, done.output
    assert "-SKILL = 20" in done.output
    assert "+SKILL = 60" in done.output
    assert SETTINGS in done.output
