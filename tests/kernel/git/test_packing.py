"""Packs and indexes made here are those that git makes and reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.kernel.git.objects import Entry
from agent.kernel.git.packing import Pack, add_tree, work_tree_index

SIZES = (0, 1, 15, 16, 2047, 2048, 300_000)
"""On both sides of where the size of an object takes another byte."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(params=["sha1", "sha256"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    git(tmp_path, "init", "-q", f"--object-format={request.param}", ".")
    return tmp_path, request.param


def put_in(folder: Path, pack: Pack) -> Path:
    for name, body in pack.files().items():
        (folder / ".git/objects/pack" / name).write_bytes(body)
    return next((folder / ".git/objects/pack").glob("*.pack"))


def test_a_pack_and_its_index_are_byte_for_byte_what_git_takes_them_for(repo: tuple[Path, str]) -> None:
    folder, algorithm = repo
    pack = Pack(algorithm, {})
    bodies = [bytes(range(256)) * (size // 256) + b"x" * (size % 256) for size in SIZES]
    names = [pack.add("blob", body) for body in bodies]
    file = put_in(folder, pack)
    git(folder, "index-pack", f"--object-format={algorithm}", "-o", "made.idx", str(file))
    assert (folder / "made.idx").read_bytes() == file.with_suffix(".idx").read_bytes()
    assert [git(folder, "cat-file", "blob", name) for name in names] == bodies


def test_an_object_that_is_known_is_not_made_again(repo: tuple[Path, str]) -> None:
    first = Pack(repo[1], {})
    name = first.add("blob", b"body")
    second = Pack(repo[1], first.packed)
    assert (second.keep(name), second.keep("f" * 40)) == (True, False)
    assert second.add("blob", b"body") == name
    assert second.packed[name] is first.packed[name]


segments = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=6)
names = st.lists(segments.filter(lambda name: name not in {".", ".."} and ".git" not in name.lower()), max_size=3)
trees = st.dictionaries(names.filter(bool).map("/".join), st.sampled_from(["100644", "100755"]), max_size=8)


def without_clashes(files: dict[str, str]) -> dict[str, str]:
    return {path: mode for path, mode in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=trees.map(without_clashes))
def test_folders_and_the_index_of_any_files_are_those_of_git(repo: tuple[Path, str], files: dict[str, str]) -> None:
    folder, algorithm = repo
    pack = Pack(algorithm, {})
    blob = pack.add("blob", b"body")
    entries = {path: Entry(mode, blob) for path, mode in files.items()}
    tree = add_tree(pack, entries)
    put_in(folder, pack)
    (folder / ".git/index").write_bytes(work_tree_index(entries, algorithm))
    assert git(folder, "write-tree").decode().strip() == tree
    listed = git(folder, "ls-files", "-z").decode().split("\0")[:-1]
    assert sorted(listed) == sorted(files)
