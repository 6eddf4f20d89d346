"""A box gets the candidates as a repository, and nothing else of the user's."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.types import Files
from agent.kernel.git.excerpt import WORK, Branch, Excerpt
from agent.kernel.git.objects import Entry
from agent.kernel.git.plumbing import Git
from agent.kernel.git.repository import Repository

MUTABLE = ("agent/scaffold", "prompts")
ODD = 'prompts/o"d\\d é.md'


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(params=["sha1", "sha256"])
def user(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A user's repository with a secret beside the mutable paths."""
    repo = tmp_path / "user"
    for path, text in {"agent/scaffold/a.py": "A = 1\n", ODD: "say\n", "secret.txt": "the key\n"}.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(text)
    git(repo, "init", "-q", f"--object-format={request.param}")
    git(repo, "add", "-A")
    git(repo, "-c", "user.name=Somebody", "-c", "user.email=s@x", "commit", "-qm", "hidden history")
    return repo


def branches(repository: Repository, count: int = 3) -> list[Branch]:
    base = repository.tree_of(repository.base)
    trees = [base]
    for number in range(1, count):
        files = {**repository.read(base), "agent/scaffold/a.py": b"A = %d\n" % number * 200}
        trees.append(repository.write(base, files))
    return [
        Branch(
            name=f"candidate/{n}",
            tree=tree,
            parent=None if n == 0 else "candidate/0",
            message=f"Change {n}\n\nFrom: nobody\ndata 3\nM 100644 inline x\n",
            note=f"score of {n}",
        )
        for n, tree in enumerate(trees)
    ]


def unpacked(files: Files, repository: Repository, tree: str, folder: Path) -> Path:
    for path, body in {**repository.read(tree), **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


def test_every_candidate_is_a_branch_with_its_results_as_a_note(user: Path, tmp_path: Path) -> None:
    repository = Repository.open(user, "night", MUTABLE)
    made = branches(repository)
    objects = {path for path in (user / ".git/objects").rglob("*") if path.is_file()}
    files = repository.excerpt().files(made, "candidate/2", {"champion": "candidate/1"}, 1 << 20)
    box = unpacked(files, repository, made[2].tree, tmp_path / "box")
    assert objects == {path for path in (user / ".git/objects").rglob("*") if path.is_file()}
    assert git(box, "status", "--porcelain") == ""
    assert git(box, "branch", "--show-current") == WORK
    assert git(box, "for-each-ref", "--format=%(refname:short)", "refs/heads").split() == [
        "candidate/0", "candidate/1", "candidate/2", "champion", WORK,
    ]  # fmt: skip
    assert git(box, "rev-parse", "champion") == git(box, "rev-parse", "candidate/1")
    assert "score of 2" in git(box, "log", "-1", "--format=%N")
    assert git(box, "log", "--format=%s") == "Change 2\nChange 0"
    assert git(box, "show", "candidate/1:agent/scaffold/a.py") == "\n".join(["A = 1"] * 200)
    assert set(git(box, "ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")) == {"agent/scaffold/a.py", ODD, ""}
    git(box, "fsck", "--strict")
    (box / "agent/scaffold/a.py").write_text("A = 9\n")
    (box / "PATCH.md").write_text("Say it\n")
    assert git(box, "status", "--porcelain") == "M agent/scaffold/a.py"


def test_nothing_else_of_the_user_gets_into_the_box(user: Path, tmp_path: Path) -> None:
    repository = Repository.open(user, "night", MUTABLE)
    made = branches(repository)
    files = repository.excerpt().files(made, "candidate/2", {}, 1 << 20)
    box = unpacked(files, repository, made[2].tree, tmp_path / "box")
    objects = git(box, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)").splitlines()
    bodies = "".join(git(box, "cat-file", "-p", line.split()[0]) for line in objects if "tree" not in line)
    assert "the key" not in bodies
    assert "Somebody" not in bodies
    assert "hidden history" not in bodies


def test_the_oldest_candidates_are_left_out_where_there_is_no_room(user: Path, tmp_path: Path) -> None:
    repository = Repository.open(user, "night", MUTABLE)
    made = branches(repository, count=8)
    files = repository.excerpt().files(made, "candidate/7", {"champion": "candidate/1"}, 1)
    box = unpacked(files, repository, made[7].tree, tmp_path / "box")
    assert git(box, "for-each-ref", "--format=%(refname:short)", "refs/heads").split() == ["candidate/7", WORK]


class Counted(Git):
    """A repository that notes of which trees it is asked for the files."""

    asked: list[str]

    def listing(self, tree: str, paths: Sequence[str]) -> Mapping[str, Entry]:
        self.asked.append(tree)
        return super().listing(tree, paths)


def test_the_next_repository_is_made_of_the_last_one_and_what_is_new(user: Path, tmp_path: Path) -> None:
    repository, opened = Repository.open(user, "night", MUTABLE), Counted.open(user)
    made, opened.asked = branches(repository, count=9), list[str]()
    excerpt = Excerpt(opened, MUTABLE, lambda _: True)
    excerpt.files(made[:8], "candidate/7", {}, 1 << 20)
    opened.asked.clear()
    changed = [*made[:3], replace(made[3], note="another score"), *made[4:]]
    files = excerpt.files(changed, "candidate/8", {}, 1 << 20)
    assert opened.asked == [made[8].tree, made[8].tree], "its objects, and the index of the work tree"
    box = unpacked(files, repository, made[8].tree, tmp_path / "box")
    git(box, "fsck", "--strict")
    assert git(box, "status", "--porcelain") == ""
    assert git(box, "log", "-1", "--format=%N", "candidate/3") == "another score"
    assert git(box, "log", "-1", "--format=%N", "candidate/2") == "score of 2"
    assert git(box, "log", "--format=%s", "candidate/8") == "Change 8\nChange 0"
