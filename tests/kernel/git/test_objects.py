"""Trees that are written are those that git's own index gives."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import IO, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.base.errors import RecordBroken
from agent.kernel.git.lasting import Lasting
from agent.kernel.git.objects import Entry, Objects
from agent.kernel.git.plumbing import Git

T = TypeVar("T")
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


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_diff_with_a_tree_that_is_not_there_is_a_broken_record_and_the_next_one_works(
    repo: tuple[Path, Git], *, asked_before: bool
) -> None:
    folder, opened = repo
    one, other, missing = by_index(folder, {"a": b"1\n"}), by_index(folder, {"a": b"2\n"}), "f" * 40
    if asked_before:
        opened.objects.diff(one, other)
    for pair in ((one, missing), (missing, one), (missing, missing)):
        answer: Future[bytes] = Future()
        Thread(target=answered, args=(answer, opened.objects, pair), daemon=True).start()
        with pytest.raises(RecordBroken, match="git diff-tree failed"):
            answer.result(timeout=30)
    assert opened.objects.diff(one, other).endswith(b"-1\n+2\n")


def answered(answer: Future[bytes], objects: Objects, pair: tuple[str, str]) -> None:
    """Ask in a thread that may be left to hang."""
    try:
        answer.set_result(objects.diff(*pair))
    except RecordBroken as fault:
        answer.set_exception(fault)


class Counted(Lasting):
    """A git process that notes each request."""

    def __init__(self, folder: Path, asked: list[str], arguments: tuple[str, ...]) -> None:
        super().__init__(arguments[0], ["git", *arguments], folder, os.environ)
        self._asked_for, self._what = asked, " ".join(arguments)

    def ask(self, request: bytes, read: Callable[[IO[bytes]], T]) -> T:
        self._asked_for.append(self._what)
        return super().ask(request, read)


def test_git_is_told_of_all_folders_at_once_and_asked_for_nothing_that_it_was_given(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")
    start, asked = by_index(tmp_path, {"a/b/c/d": b"1\n", "e": b"1\n"}), list[str]()
    objects = Objects(lambda *arguments: Counted(tmp_path, asked, arguments))
    objects.change(start, {"a/b/c/d": Entry("100644", objects.blob(b"2\n"))})
    asked.clear()
    blob = objects.blob(b"3\n")
    tree = objects.change(start, {"a/b/c/d": Entry("100644", blob), "f/g": Entry("100644", blob)})
    assert [what.split()[0] for what in asked] == ["hash-object", "mktree"]
    assert dict(objects.files(tree, lambda _: True))["a/b/c/d"].oid == blob
    assert objects.blobs([blob]) == {blob: b"3\n"}
    assert (objects.knows(tree), objects.holds(blob, b"3\n"), objects.holds(blob, b"4\n")) == (True, True, False)
    assert len(asked) == 2
    assert tree == by_index(tmp_path, {"a/b/c/d": b"3\n", "e": b"1\n", "f/g": b"3\n"})


def test_a_patch_of_more_folders_than_are_told_at_once_is_written(repo: tuple[Path, Git]) -> None:
    folder, opened = repo
    start = by_index(folder, {"a": b"1\n"})
    files = {f"{n}/x": b"1\n" for n in range(600)}
    assert opened.read(opened.write(start, {}, files), ["."]) == {"a": b"1\n", **files}
