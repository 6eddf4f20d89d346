"""What people do with git and nothing else: read, bisect, revert, clone, send a patch."""

from __future__ import annotations

from pathlib import Path

from agent.review.audit.verify import verify
from tests.kernel.lab import SETTINGS, git
from tests.review.conftest import PROMPT, Night


def clone(night: Night, folder: Path) -> Path:
    """Branches only: `refs/ratchet` does not come along."""
    git(folder, "clone", "-q", "--branch", "ratchet/night", str(night.repo), "clone")
    return folder / "clone"


def test_git_log_alone_tells_the_story(night: Night) -> None:
    assert night.git("log", "--reverse", "--format=%s", "main..ratchet/night").splitlines() == [
        "Raise SKILL to 60",
        "Say how in the prompt",
    ]
    for sha in night.git("log", "--format=%H", "main..ratchet/night").splitlines():
        form = "%(trailers:key={},valueonly)"
        assert " pairs)" in night.git("log", "-1", f"--format={form.format('Ratchet-Score')}", sha)
        assert "e-value" in night.git("log", "-1", f"--format={form.format('Ratchet-Evidence')}", sha)
    body = night.git("log", "-1", "--format=%b", "ratchet/night~1")
    assert body.startswith("More tasks are solved at the first try.")


def test_git_bisect_finds_the_patch(night: Night, tmp_path: Path) -> None:
    copy = clone(night, tmp_path)
    git(copy, "bisect", "start", "ratchet/night", "origin/main")
    said = git(copy, "bisect", "run", "sh", "-c", f"! grep -q BONUS {PROMPT}")
    assert f"{git(copy, 'rev-parse', 'ratchet/night')} is the first bad commit" in said


def test_git_revert_takes_an_older_patch_back_in_a_clone(night: Night, tmp_path: Path) -> None:
    copy = clone(night, tmp_path)
    git(copy, "revert", "--no-edit", "HEAD~1")
    assert (copy / SETTINGS).read_text() == "SKILL = 20\n"
    assert "BONUS" in (copy / PROMPT).read_text()


def test_a_clone_without_the_archive_still_verifies_against_the_ledger(night: Night, tmp_path: Path) -> None:
    copy = clone(night, tmp_path)
    assert git(copy, "for-each-ref", "refs/ratchet") == ""
    with night.ledger() as ledger:
        evidence = night.evidence(ledger, copy)
        for commit in evidence.repository.accepted():
            found = verify(commit, evidence)
            assert [one for one in found if one.ok is False] == []
            assert [one.what for one in found if one.ok is None and "ref" in one.said] == ["archive"]


def test_patches_sent_by_mail_give_the_same_tree_and_keep_their_trailers(night: Night, tmp_path: Path) -> None:
    copy = clone(night, tmp_path)
    git(copy, "format-patch", "-q", "-o", str(tmp_path / "mail"), "origin/main")
    git(copy, "switch", "-q", "-c", "theirs", "origin/main")
    git(copy, "am", "-q", *map(str, sorted((tmp_path / "mail").iterdir())))
    assert git(copy, "rev-parse", "theirs^{tree}") == git(copy, "rev-parse", "ratchet/night^{tree}")
    assert git(copy, "log", "-1", "--format=%(trailers:key=Ratchet-Campaign,valueonly)") == "night"


def test_a_pull_request_shows_the_mutable_paths_and_nothing_else(night: Night) -> None:
    said = night.git("request-pull", "main", ".", "ratchet/night")
    assert "Raise SKILL to 60" in said
    assert night.git("diff", "--name-only", "main...ratchet/night").splitlines() == [SETTINGS, PROMPT]
