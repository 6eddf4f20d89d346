"""The repository in the improver's workspace is one that git itself finds sound, and holds the archive."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.executable import Executable
from agent.kernel.git.clone import Snapshot, clone
from tests.kernel.lab import git

SEED = {
    "prompts/a.md": b"a\n",
    "run.sh": Executable(b"exit 0\n"),
    "a-b": b"1",
    "a/b/c": b"2",
    'odd "n\xc3\xa9w" name': b"",
}
CHANGED = {**SEED, "prompts/a.md": b"b\n", "run.sh": b"exit 0\n"}
SNAPSHOTS = [
    Snapshot(id=0, parent=None, files=SEED, text="seed\n"),
    Snapshot(id=3, parent=0, files=CHANGED, text="Change a\n\nBecause.\n"),
    Snapshot(id=7, parent=5, files={"x": b"1"}, text="An orphan\n"),
]


def laid(folder: Path, snapshots: list[Snapshot], head: int) -> Path:
    work = next(one.files for one in snapshots if one.id == head)
    for path, body in {**work, **clone(snapshots, head, 1_700_000_000)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
        (folder / path).chmod(0o755 if isinstance(body, Executable) else 0o644)
    return folder


def test_git_finds_it_sound_and_clean(tmp_path: Path) -> None:
    laid(tmp_path, SNAPSHOTS, 3)
    assert git(tmp_path, "fsck", "--strict", "--no-dangling") == ""
    assert git(tmp_path, "status", "--porcelain") == ""
    assert git(tmp_path, "log", "--format=%s %at") == "Change a 1700000001\nseed 1700000000"
    assert git(tmp_path, "branch", "--format=%(refname:short)").split() == [
        "candidate/0", "candidate/3", "candidate/7", "main",
    ]  # fmt: skip
    assert "old mode 100755" in git(tmp_path, "diff", "candidate/0")
    assert git(tmp_path, "log", "-1", "--format=%s", "candidate/7") == "An orphan"


def test_a_change_shows_and_can_be_committed(tmp_path: Path) -> None:
    laid(tmp_path, SNAPSHOTS, 0)
    (tmp_path / "prompts/a.md").write_text("c\n")
    assert git(tmp_path, "diff", "--stat", "--format=").startswith("prompts/a.md")
    git(tmp_path, "commit", "-qam", "mine")
    assert git(tmp_path, "show", "HEAD:prompts/a.md") == "c"


NAME = st.text(st.characters(exclude_characters="/\0\n", exclude_categories=["Cs"]), min_size=1, max_size=5)
PATH = st.tuples(NAME, NAME).map(lambda two: f"d{two[0]}/f{two[1]}")


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(st.tuples(NAME, NAME).map(lambda two: f"d{two[0]}/f{two[1]}"), st.binary(max_size=60), min_size=1)
)
def test_any_files_survive(tmp_path_factory: object, files: dict[str, bytes]) -> None:
    folder = laid(tmp_path_factory.mktemp("clone"), [Snapshot(id=0, parent=None, files=files, text="x\n")], 0)
    git(folder, "fsck", "--strict")
    assert git(folder, "status", "--porcelain") == ""
