"""Commits that a user wants signed, or under a name, by git's own means."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.trust import DEFAULT_MUTABLE
from agent.config.campaign import CommitConfig
from agent.kernel.git.messages import CommitStyle
from agent.kernel.git.plumbing import IDENTITY
from agent.kernel.git.repository import Repository
from agent.kernel.loop.opening import style_of
from tests.kernel.git.test_repository import git, make


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository of somebody who signs with an SSH key."""
    folder, key = make(tmp_path / "home"), tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)], check=True)
    (tmp_path / "signers").write_text(f"{IDENTITY[1]} {key.with_suffix('.pub').read_text()}")
    git(folder, "config", "gpg.format", "ssh")
    git(folder, "config", "user.signingKey", str(key))
    git(folder, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "signers"))
    return folder


def commit(home: Path, style: CommitStyle) -> str:
    """The first commit of a campaign."""
    repository = Repository.open(home, "night", DEFAULT_MUTABLE, style=style)
    repository.claim()
    repository.create_branch()
    files = {**repository.read(repository.tree_of("HEAD")), "prompts/go.md": b"Continue.\n"}
    sha = repository.prepare(repository.write(repository.tree_of(repository.base), files), "Resume\n", repository.base)
    repository.advance(sha, repository.base)
    return sha


def test_a_commit_is_signed_with_the_users_own_key(home: Path) -> None:
    sha = commit(home, style_of(CommitConfig(sign=True)))
    assert git(home, "log", "-1", "--format=%G?", sha) == "G"
    assert git(home, "log", "-1", "--format=%ce", sha) == IDENTITY[1]


def test_a_commit_is_signed_with_the_key_that_is_named(home: Path, tmp_path: Path) -> None:
    git(home, "config", "--unset", "user.signingKey")
    sha = commit(home, style_of(CommitConfig(sign=str(tmp_path / "key"))))
    assert git(home, "log", "-1", "--format=%G?", sha) == "G"


def test_a_key_that_is_missing_is_an_error_before_anything_is_spent(home: Path) -> None:
    repository = Repository.open(home, "night", DEFAULT_MUTABLE, style=CommitStyle(sign="/nowhere/key"))
    with pytest.raises(UserError, match=r"commit\.sign.*cannot sign"):
        repository.claim()


def test_the_author_is_the_one_in_the_configuration_and_the_committer_stays(home: Path) -> None:
    sha = commit(home, style_of(CommitConfig(author="Ada Lovelace <ada@example.org>")))
    assert git(home, "log", "-1", "--format=%an|%ae|%ce|%G?", sha) == f"Ada Lovelace|ada@example.org|{IDENTITY[1]}|N"
    commit_read = Repository.open(home, "night", DEFAULT_MUTABLE).commit(sha, "ID")
    assert commit_read.email == IDENTITY[1]
