"""Trees that are written are those that git's own index gives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.base.errors import RecordBroken
from agent.kernel.git.objects import Entry
from agent.kernel.git.plumbing import Git

PATHS = st.sampled_from(["a", "a/b", "a/b/c", "a/d", "e", "e/f", "é", "é/g", "a.b", "a-b/h"])
FILES = st.dictionaries(PATHS, st.sampled_from([b"1\n", b"2\n"]), min_size=1, max_size=6)


def git(folder: Path, *arguments: str, stdin: bytes = b"", **env: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, check=True, env={**os.environ, **env})
    return done.stdout.decode().strip()


def without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: body for path, body in files.items() if not any(other.startswith(f"{path}/") for other in files)}


def by_index(folder: Path, files: dict[str, bytes]) -> str:
    """The tree of some files, as git's index gives it."""
    (folder / "index").unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(folder / "index")}
    for path, body in files.items():
        blob = git(folder, "hash-object", "-w", "--stdin", stdin=body)
        git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **env)
    return git(folder, "write-tree", **env)


@pytest.fixture
def repo(tmp_path: Path) -> tuple[Path, Git]:
    git(tmp_path, "init", "-q", ".")
    return tmp_path, Git.open(tmp_path)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=FILES.map(without_clashes), after=FILES.map(without_clashes))
def test_any_change_of_a_tree_gives_the_tree_that_git_gives(
    repo: tuple[Path, Git], before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    folder, opened = repo
    start = by_index(folder, before)
    assert opened.write(start, opened.listing(start, ["."]), after) == by_index(folder, after)
    assert opened.read(by_index(folder, after), ["."]) == after


def test_only_what_lies_below_the_paths_is_listed(repo: tuple[Path, Git]) -> None:
    folder, opened = repo
    tree = by_index(folder, {"a/b": b"1\n", "a/c/d": b"1\n", "a.b/e": b"1\n", "f": b"1\n"})
    assert list(opened.listing(tree, ["a"])) == ["a/b", "a/c/d"]
    assert list(opened.listing(tree, ["a/c", "f"])) == ["a/c/d", "f"]
    assert opened.listing(tree, ["nothing"]) == {}


def test_a_tree_with_an_object_that_is_not_there_is_not_written(repo: tuple[Path, Git]) -> None:
    folder, opened = repo
    tree = by_index(folder, {"a": b"1\n"})
    with pytest.raises(RecordBroken, match="git mktree failed"):
        opened.objects.change(tree, {"b": Entry("100644", "f" * 40)})


def test_a_patch_that_looks_like_the_end_of_an_answer_is_shown_whole(repo: tuple[Path, Git]) -> None:
    folder, opened = repo
    before, after = by_index(folder, {"a": b"1\n"}), by_index(folder, {"a": b"end 0\n" * 3, "end": b"end\n"})
    diff = git(folder, "diff-tree", "-p", "-r", "--text", "--find-renames", before, after)
    assert opened.objects.diff(before, after).decode().strip() == diff
    assert opened.objects.diff(before, before) == b""
