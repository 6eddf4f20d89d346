"""Bringing patches to the user's branch: the one command that touches their files, and only after a yes."""

from __future__ import annotations

import pytest

from agent.base.errors import UserError
from agent.review.act.promote import Checkout, Plan, carry_out, plan
from tests.kernel.lab import SETTINGS
from tests.review.conftest import PROMPT, Night


def planned(night: Night, *only: int, squash: bool = False) -> Plan:
    return plan(Checkout(night.repo), "ratchet/night", night.repository().accepted(), only, squash=squash)


def promote(night: Night, *only: int, squash: bool = False) -> list[str]:
    said: list[str] = []
    carry_out(Checkout(night.repo), planned(night, *only, squash=squash), said.append)
    return said


def numbers(night: Night) -> list[int]:
    """The accepted candidates, oldest first."""
    return [int(commit.trailers["Ratchet-Candidate"]) for commit in night.commits()]


def subjects(night: Night) -> list[str]:
    return night.git("log", "--reverse", "--format=%s", "main").splitlines()


def change(night: Night, path: str, text: str) -> None:
    (night.repo / path).write_text(text)
    night.git("commit", "-qam", "mine")


def test_all_patches_come_as_the_very_commits_that_were_measured(night: Night) -> None:
    promote(night)
    assert night.git("rev-parse", "main") == night.git("rev-parse", "ratchet/night")
    assert (night.repo / SETTINGS).read_text() == "SKILL = 60\n"
    assert night.git("status", "--porcelain") == ""


def test_a_branch_that_went_on_gets_a_merge_that_keeps_both(night: Night) -> None:
    change(night, "other.txt", "continued\n")
    promote(night)
    assert len(night.git("log", "-1", "--format=%P").split()) == 2
    assert (night.repo / "other.txt").read_text() == "continued\n"
    assert "BONUS" in (night.repo / PROMPT).read_text()


def test_one_patch_alone_is_picked_and_says_where_it_is_from(night: Night) -> None:
    _, second = numbers(night)
    promote(night, second)
    assert subjects(night) == ["start", "Say how in the prompt"]
    assert (night.repo / SETTINGS).read_text() == "SKILL = 20\n"
    source = night.git("rev-parse", "ratchet/night")
    assert f"(cherry picked from commit {source})" in night.git("log", "-1", "--format=%B")


def test_a_squash_is_one_commit_that_names_every_patch(night: Night) -> None:
    promote(night, squash=True)
    assert subjects(night) == ["start", "Bring 2 patches of ratchet/night"]
    message = night.git("log", "-1", "--format=%B")
    assert "- Raise SKILL to 60 (" in message
    found = night.git("log", "-1", "--format=%(trailers:key=Ratchet-Candidate,valueonly,separator=%x20)")
    assert found.split() == [str(number) for number in numbers(night)]


def test_picked_patches_can_be_squashed_too(night: Night) -> None:
    promote(night, *numbers(night), squash=True)
    assert len(subjects(night)) == 2
    assert night.git("rev-parse", "main^{tree}") == night.git("rev-parse", "ratchet/night^{tree}")


@pytest.mark.parametrize("squash", [False, True])
def test_patches_that_are_there_already_are_not_promoted_again(night: Night, squash: bool) -> None:
    promote(night, squash=squash)
    for only in ((), tuple(numbers(night))):
        with pytest.raises(UserError, match="already has all of it"):
            planned(night, *only)


@pytest.mark.parametrize("only", [False, True])
def test_changes_of_a_file_that_a_patch_changes_are_refused_with_the_fix(night: Night, only: bool) -> None:
    (night.repo / PROMPT).write_text("not committed\n")
    with pytest.raises(UserError, match=r"has changes that are not committed\. Run `git stash` first"):
        promote(night, *(numbers(night) if only else ()))


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("only", [False, True])
def test_changes_of_other_files_stay_as_they_are(night: Night, only: bool, squash: bool) -> None:
    """As those of the campaign.yaml that the campaign itself read."""
    change(night, "other.txt", "mine\n")
    (night.repo / "other.txt").write_text("not committed\n")
    promote(night, *(numbers(night) if only else ()), squash=squash)
    assert (night.repo / SETTINGS).read_text() == "SKILL = 60\n"
    assert night.git("status", "--porcelain") == "M other.txt"
    assert (night.repo / "other.txt").read_text() == "not committed\n"


def test_changes_that_are_staged_are_refused_since_git_would_commit_them(night: Night) -> None:
    (night.repo / "other.txt").write_text("staged\n")
    night.git("add", "other.txt")
    with pytest.raises(UserError, match=r"other\.txt has changes that are staged\. Run `git stash` first"):
        promote(night)


def test_an_untracked_file_does_not_matter_unless_it_would_be_overwritten(night: Night) -> None:
    (night.repo / "notes.txt").write_text("mine\n")
    promote(night)
    assert (night.repo / "notes.txt").read_text() == "mine\n"


def test_without_a_branch_or_on_the_campaigns_own_nothing_is_planned(night: Night) -> None:
    night.git("switch", "-q", "--detach")
    with pytest.raises(UserError, match="HEAD is detached"):
        planned(night)
    night.git("switch", "-q", "ratchet/night")
    with pytest.raises(UserError, match="the campaign's own branch"):
        planned(night)


def test_an_unknown_patch_is_refused(night: Night) -> None:
    with pytest.raises(UserError, match="#99 is not an accepted patch"):
        planned(night, 99)


@pytest.mark.parametrize(
    ("squash", "only", "go_on", "go_back"),
    [
        (False, False, "git merge --continue", ["merge", "--abort"]),
        (True, False, "git commit", ["reset", "--merge"]),
        (False, True, "git cherry-pick --continue", ["cherry-pick", "--abort"]),
        (True, True, "without --squash", ["reset", "--merge"]),
    ],
)
def test_a_conflict_says_how_to_continue_and_how_to_go_back(
    night: Night, squash: bool, only: bool, go_on: str, go_back: list[str]
) -> None:
    change(night, SETTINGS, "SKILL = 30\n")
    before = night.git("rev-parse", "main")
    with pytest.raises(UserError) as caught:
        promote(night, *(numbers(night) if only else ()), squash=squash)
    assert f"conflict in {SETTINGS}" in str(caught.value)
    assert go_on in str(caught.value)
    assert "<<<<<<<" in (night.repo / SETTINGS).read_text()
    assert f"git {' '.join(go_back)}" in str(caught.value)
    night.git(*go_back)
    assert (night.repo / SETTINGS).read_text() == "SKILL = 30\n"
    assert night.git("rev-parse", "main") == before
    assert night.git("status", "--porcelain", "--untracked-files=no") == ""


def test_a_merge_in_progress_is_named(night: Night) -> None:
    change(night, SETTINGS, "SKILL = 30\n")
    with pytest.raises(UserError):
        promote(night)
    with pytest.raises(UserError, match="a merge is in progress"):
        planned(night)


def test_the_users_hooks_run_and_may_refuse(night: Night) -> None:
    change(night, "other.txt", "continued\n")
    hook = night.repo / ".git" / "hooks" / "pre-merge-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no merges on Mondays >&2\nexit 1\n")
    hook.chmod(0o755)
    said: list[str] = []
    with pytest.raises(UserError, match="git merge stopped"):
        carry_out(Checkout(night.repo), planned(night), said.append)
    assert any("no merges on Mondays" in line for line in said)


def test_the_command_asks_first_and_without_anybody_to_ask_does_nothing(night: Night) -> None:
    before = night.git("rev-parse", "main")
    done = night.ratchet("promote")
    assert "Raise SKILL to 60" in done.output
    assert "standard input is not a terminal. Add --yes" in str(done.exception)
    assert night.git("rev-parse", "main") == before
    done = night.ratchet("promote", "--yes", "--only", "ratchet/night")
    assert done.exit_code == 0, done.output
    assert "2 files changed" not in done.output
    assert subjects(night) == ["start", "Say how in the prompt"]


def test_a_campaign_without_an_accepted_patch_has_nothing_to_promote(night: Night) -> None:
    checkout = Checkout(night.repo)
    with pytest.raises(UserError, match=r"no patch of ratchet/night was accepted yet.*log --rejected"):
        plan(checkout, "ratchet/night", [], [], squash=False)
