"""Taking a patch back on the campaign's branch: one commit by plumbing that ledger, gate and git agree about."""

from __future__ import annotations

import asyncio

import pytest

from agent.base.errors import UserError
from agent.base.types import Fate
from agent.kernel.decide.gate import GateSettings
from agent.kernel.loop.match import Opening
from agent.kernel.record.lock import held
from agent.review.act.revert import Reverted, revert
from agent.review.audit.verify import verify
from agent.review.lookup import find_candidate
from agent.review.terminal.log import accepted
from tests.kernel.lab import SETTINGS
from tests.review.conftest import PROMPT, Night


def take_back(night: Night, name: str) -> Reverted:
    repository = night.repository()
    with night.ledger(write=True) as ledger:
        target = find_candidate(name, ledger, repository)
        return revert(target, ledger, repository, Opening(settings=GateSettings(), runs=10))


def test_an_older_patch_is_taken_back_and_the_later_one_stays(night: Night) -> None:
    before = night.git("rev-parse", "HEAD"), night.git("status", "--porcelain")
    done = take_back(night, "ratchet/night~1")
    assert night.git("rev-parse", "ratchet/night") == done.sha
    assert night.git("show", f"ratchet/night:{SETTINGS}") == "SKILL = 20"
    assert "BONUS" in night.git("show", f"ratchet/night:{PROMPT}")
    assert (night.git("rev-parse", "HEAD"), night.git("status", "--porcelain")) == before
    assert night.git("log", "-1", "--format=%s", "ratchet/night") == 'Revert "Raise SKILL to 60"'
    reverted = night.git("log", "-1", "--format=%(trailers:key=Ratchet-Reverts,valueonly)", "ratchet/night")
    assert reverted == night.git("rev-parse", "ratchet/night~2")


def test_a_revert_verifies_and_so_does_what_it_took_back(night: Night) -> None:
    done = take_back(night, "ratchet/night~1")
    with night.ledger() as ledger:
        evidence = night.evidence(ledger)
        for commit in evidence.repository.accepted():
            assert [one for one in verify(commit, evidence) if one.ok is False] == []
        night.sql("UPDATE meta SET value = replace(value, ': ', ': 9') WHERE key = 'reverts'")
        forged = verify(evidence.repository.commit(done.sha), evidence)
    assert [one.what for one in forged if one.ok is False] == ["ledger chain", "revert"]


def test_the_log_and_the_dossier_say_that_it_was_taken_back(night: Night) -> None:
    done = take_back(night, "ratchet/night~1")
    rows = accepted(night.repository().accepted())
    assert [(bool(row.reverts), bool(row.reverted_by)) for row in rows] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    shown = night.ratchet("show", "ratchet/night~2").output
    assert f"Reverted later by {done.sha[:10]}" in " ".join(shown.split())
    assert "reverted" in night.ratchet("log").output


def test_the_newest_patch_and_then_its_revert_can_be_reverted(night: Night) -> None:
    champion = night.git("rev-parse", "ratchet/night^{tree}")
    take_back(night, "champion")
    assert night.git("rev-parse", "ratchet/night^{tree}") == night.git("rev-parse", "ratchet/night~2^{tree}")
    with pytest.raises(UserError, match="no longer has anything of that patch"):
        take_back(night, "ratchet/night~1")
    take_back(night, "champion")
    assert night.git("rev-parse", "ratchet/night^{tree}") == champion


def test_what_was_never_accepted_cannot_be_taken_back(night: Night) -> None:
    with pytest.raises(UserError, match="#0 was not accepted"):
        take_back(night, "seed")


def test_a_campaign_resumes_after_a_revert_that_spends_no_error(night: Night) -> None:
    take_back(night, "ratchet/night~1")
    with night.ledger() as ledger:
        tests = len(ledger.tests())
    night.lab.trials = 1400
    asyncio.run(night.lab.run())
    with night.ledger() as ledger:
        later = ledger.tests()[tests:]
        fates = {candidate.id: candidate.fate for candidate in ledger.candidates()}
        commits = ledger.commits()
    # The campaign continued; two commits count for the level of a new test, the revert does not.
    assert ledger_trials(night) > 900
    assert all(row.commits == 2 for row in later if row.champion == commits[2].candidate)
    assert all(fates[candidate] is Fate.CHAMPION for candidate in [row.candidate for row in commits])


def ledger_trials(night: Night) -> int:
    with night.ledger() as ledger:
        return ledger.count_trials()


def test_a_revert_that_was_killed_before_the_branch_moved_is_finished_at_the_next_start(night: Night) -> None:
    tip = night.git("rev-parse", "ratchet/night")
    done = take_back(night, "ratchet/night~1")
    night.git("update-ref", "refs/heads/ratchet/night", tip)
    with night.ledger() as ledger:
        commits = [row.move for row in ledger.commits()]
        night.repository().reconcile(commits, len(ledger.candidates()))
    assert night.git("rev-parse", "ratchet/night") == done.sha


def test_an_open_test_against_the_old_champion_ends_void(night: Night) -> None:
    night.sql("DELETE FROM commits WHERE test = 2")
    night.sql("DELETE FROM verdicts WHERE test = 2")
    night.sql("DELETE FROM pairs WHERE test = 2 AND pair_index > 3")
    night.git("update-ref", "refs/heads/ratchet/night", night.git("rev-parse", "ratchet/night~1"))
    take_back(night, "champion")
    with night.ledger() as ledger:
        last = ledger.tests()[-1]
    assert last.verdict == "void"
    assert last.decision is not None
    assert "the champion was reverted during the test" in last.decision["sentence"]


def test_an_accepted_patch_that_waits_for_its_commit_goes_first(night: Night) -> None:
    night.sql("DELETE FROM commits WHERE test = 2")
    night.git("update-ref", "refs/heads/ratchet/night", night.git("rev-parse", "ratchet/night~1"))
    with pytest.raises(UserError, match="waits for its commit"):
        take_back(night, "champion")


def test_later_patches_that_build_on_it_are_a_conflict_with_a_fix(night: Night) -> None:
    first, second = night.commits()
    tree = night.repository().write(second.tree, {**night.repository().read(second.tree), SETTINGS: b"SKILL = 61\n"})
    sha = night.git("commit-tree", tree, "-p", first.sha, "-m", "x")
    night.sql("UPDATE commits SET sha = ? WHERE test = 2", sha)
    night.git("update-ref", "refs/heads/ratchet/night", sha)
    with pytest.raises(UserError, match=r"later patches build on it .*git revert"):
        take_back(night, first.sha)
    assert night.git("rev-parse", "ratchet/night") == sha


def test_the_command_refuses_while_a_campaign_runs(night: Night) -> None:
    with held(night.lab.folder):
        done = night.ratchet("revert", "champion", "--fresh", "0")
    assert "is running this campaign" in str(done.exception)
    done = night.ratchet("revert", "champion", "--fresh", "0")
    assert done.exit_code == 0, done.output
    assert "was reverted by #" in done.output
