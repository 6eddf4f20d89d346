"""An acceptance that became a commit a patch, as its reviewer sees it: one thing that was proven, in two commits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.kernel.git.messages import Commit, format_message
from agent.kernel.record.ledger import Ledger
from agent.review.act.promote import Checkout, carry_out, plan
from agent.review.audit.decisions import audit_log
from agent.review.audit.verify import verify
from agent.review.audit.verify_ledger import anchors, verify_ledger
from agent.review.commits import accepted
from agent.review.lookup import find_candidate, find_commit
from agent.review.report.facts import collect
from agent.review.report.page import render
from tests.kernel.lab import SETTINGS, Lab
from tests.kernel.loop.test_attributing import conclude, idle
from tests.kernel.loop.test_series import BONUS, EACH, SKILL, proven, together
from tests.review.act.test_revert import take_back
from tests.review.conftest import Night, copied


@pytest.fixture(scope="session")
def in_two(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A campaign whose one acceptance, #3, became the commits of #1 and #2."""
    lab = Lab(tmp_path_factory.mktemp("series"), idle, solve=together, options=EACH, trials=2000)

    async def night() -> None:
        async with lab.campaign() as campaign:
            await proven(campaign, SKILL, BONUS)
            await conclude(campaign)

    asyncio.run(night())
    return lab


@pytest.fixture
def series(in_two: Lab, tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Night:
    return copied(in_two, tmp_path_factory.mktemp("n") / "night", checkout)


def failed(night: Night, commit: Commit, ledger: Ledger) -> list[str]:
    return [one.what for one in verify(commit, night.evidence(ledger)) if one.ok is False]


def test_each_of_the_commits_verifies_and_names_the_whole(series: Night) -> None:
    with series.ledger() as ledger:
        for commit in series.commits():
            assert failed(series, commit, ledger) == []
        first, _ = series.commits()
        said = {one.what: one.said for one in verify(first, series.evidence(ledger))}
        assert "is the part #1 of #3" in said["commit"]
        assert said["series"].startswith("2 commits")
        assert said["accepted"] == "by the gate"
        assert not verify_ledger(ledger, anchors(series.commits()))
    assert series.ratchet("verify", "champion").exit_code in {0, 3}  # the lab's suite is not the shipped one


@pytest.mark.parametrize("what", ["subject", "tree", "trailer", "order"])
def test_a_commit_of_a_series_that_was_made_over_is_told(series: Night, what: str) -> None:
    """The ledger is made to agree, so that only what is computed can differ."""
    first, last = series.commits()
    trailers = {**first.trailers}
    subject, tree = first.subject, first.tree
    if what == "subject":
        subject = "Another subject"
    elif what == "tree":
        tree = last.tree
    elif what == "trailer":
        trailers["Ratchet-Evidence"] = "e-value 1000, threshold 10"
    else:
        trailers["Ratchet-Series"] = trailers["Ratchet-Series"].replace("1 of 2", "2 of 2")
    text = format_message(subject, first.body, trailers)
    forged = series.git("commit-tree", tree, "-p", first.parents[0], "-m", text.rstrip("\n"))
    series.sql("UPDATE meta SET value = replace(value, ?, ?) WHERE key LIKE 'series:%'", first.sha, forged)
    with series.ledger() as ledger:
        wrong = failed(series, series.repository().commit(forged), ledger)
    assert "series" in wrong or "series' trees" in wrong


def test_the_log_lists_one_acceptance_with_its_commits(series: Night) -> None:
    [row] = accepted(series.repository().accepted())
    assert (row.candidate, row.subject) == (3, "Patch 0; Patch 1")
    assert row.parent == series.git("rev-parse", "main")
    printed = series.ratchet("log").output
    assert "1 of 2, #1: Patch 0" in printed
    assert "2 of 2, #2: Patch 1" in printed
    [told] = json.loads(series.ratchet("log", "--json").output)["commits"]
    assert [(one["patch"], one["subject"]) for one in told["series"]] == [(1, "Patch 0"), (2, "Patch 1")]
    assert told["parent"] == row.parent


def test_a_commit_of_a_series_is_found_by_its_patch_and_the_other_way_round(series: Night) -> None:
    first, last = series.commits()
    with series.ledger() as ledger:
        repository = series.repository()
        assert find_commit("1", ledger, repository).sha == first.sha
        assert find_commit("3", ledger, repository).sha == last.sha
        assert [find_candidate(one.sha, ledger, repository).id for one in (first, last)] == [1, 3]
        series.git("commit", "--allow-empty", "-m", "mine")
        series.git("cherry-pick", "-x", first.sha)  # another hash, the same trailers
        assert find_candidate("HEAD", ledger, repository).id == 1
    assert f"after {first.sha[:10]} Patch 0" in series.ratchet("show", "3").output
    assert SETTINGS in series.ratchet("diff", "seed", first.sha).output


def test_a_revert_takes_the_whole_back_and_verifies(series: Night) -> None:
    with pytest.raises(UserError, match="is a part of #3"):
        take_back(series, "1")
    done = take_back(series, "3")
    assert series.git("rev-parse", f"{done.sha}^{{tree}}") == series.git("rev-parse", "main^{tree}")
    with series.ledger() as ledger:
        for commit in series.commits():
            assert failed(series, commit, ledger) == []
    rows = accepted(series.repository().accepted())
    assert [bool(row.reverted_by) for row in rows] == [False, True]


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("only", [(), (3,)])
def test_promoting_brings_every_commit_and_nothing_twice(series: Night, only: tuple[int, ...], squash: bool) -> None:
    def planned() -> list[str]:
        wanted = plan(Checkout(series.repo), "ratchet/night", series.repository().accepted(), only, squash=squash)
        carry_out(Checkout(series.repo), wanted, lambda _: None)
        return [commit.subject for commit in wanted.commits]

    assert planned() == ["Patch 0", "Patch 1"]
    assert series.git("rev-parse", "main^{tree}") == series.git("rev-parse", "ratchet/night^{tree}")
    candidates = series.git("log", "--format=%(trailers:key=Ratchet-Candidate,valueonly)", "main")
    assert candidates.split() == ["3"]
    with pytest.raises(UserError, match="already has all of it"):
        planned()


def test_a_part_is_not_promoted_as_if_it_were_proven(series: Night) -> None:
    with pytest.raises(UserError, match="is a part of #3"):
        plan(Checkout(series.repo), "ratchet/night", series.repository().accepted(), (1,), squash=False)


def test_report_and_audit_name_each_commit(series: Night) -> None:
    first, last = series.commits()
    with series.ledger() as ledger:
        facts = collect(ledger)
        [one] = audit_log("night", ledger).commits
    [patch] = [patch for patch in facts.patches if patch.commit]
    assert [(step.candidate, step.commit) for step in patch.steps] == [(1, first.sha), (2, last.sha)]
    assert first.sha[:12] in render(facts)
    assert one.series == [(first.sha, 1), (last.sha, 2)]
    assert f"{first.sha[:12]} (#1), {last.sha[:12]} (#2)" in series.ratchet("audit").output


def test_a_resumed_campaign_finds_its_champion_again(series: Night) -> None:
    async def resumed() -> tuple[int, int]:
        async with series.lab.campaign() as campaign:
            await campaign.resume()
            return campaign.state.champion, campaign.state.accepted

    assert asyncio.run(resumed()) == (3, 1)
