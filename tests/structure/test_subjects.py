"""Commit subjects: `.ci/subjects`, which CI runs first."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "subjects"
LONG = "Say in more than seventy-two characters what this commit changes, and why"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def commit(folder: Path, subject: str) -> str:
    git(folder, "commit", "-q", "--allow-empty", "-m", subject, "-m", "A body of any length. " * 9)
    return git(folder, "rev-parse", "HEAD")


def check(folder: Path, base: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, base], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


@pytest.fixture
def base(repo: Path) -> str:
    """An old commit whose subject is too long; the rule holds for what comes after it."""
    return commit(repo, LONG)


def test_subjects_of_72_characters_pass(repo: Path, base: str) -> None:
    assert len(LONG) == 73
    commit(repo, LONG[:72])
    commit(repo, "ä" * 72)
    assert check(repo, base).returncode == 0


def test_a_longer_subject_fails_and_is_named(repo: Path, base: str) -> None:
    sha = commit(repo, LONG)
    commit(repo, "Shorter")
    done = check(repo, base)
    assert done.returncode == 1
    assert sha[:7] in done.stderr
    assert LONG in done.stderr


def test_merge_commits_count_too(repo: Path, base: str) -> None:
    git(repo, "checkout", "-q", "-b", "side")
    commit(repo, "Short")
    git(repo, "checkout", "-q", "main")
    git(repo, "merge", "-q", "--no-ff", "-m", LONG, "side")
    assert check(repo, base).returncode == 1


def test_a_shallow_clone_without_the_base_checks_what_it_has(repo: Path, base: str, tmp_path: Path) -> None:
    commit(repo, "Short")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", "shallow")
    assert check(tmp_path / "shallow", base).returncode == 0
    commit(repo, LONG)
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", "again")
    assert check(tmp_path / "again", base).returncode == 1


def test_an_unpacked_archive_has_no_subjects_to_check(tmp_path: Path) -> None:
    assert check(tmp_path, "HEAD").returncode == 0
