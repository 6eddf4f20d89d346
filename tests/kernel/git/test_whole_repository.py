"""A scaffold at the top of its repository: `mutable: ["."]` with frozen exceptions, modes, and what has no content."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import Refused, UserError
from agent.base.executable import Executable
from agent.base.trust import inside
from agent.kernel.decide.boundary import Boundary
from agent.kernel.git.repository import Repository
from tests.kernel.git.test_repository import git

FROZEN = ("tests", "campaign.yaml", ".github")
SEED = {
    "run.sh": b"#!/bin/sh\n",
    "src/a.py": b"a = 1\n",
    "tests/hidden.py": b"secret\n",
    "campaign.yaml": b"suite: s\n",
    ".github/ci.yml": b"on: push\n",
}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for path, body in SEED.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(body)
    (tmp_path / "run.sh").chmod(0o755)
    git(tmp_path, "init", "-q", "-b", "main", "--template=")
    commit(tmp_path)
    return tmp_path


def commit(home: Path) -> None:
    git(home, "add", "-A")
    git(home, "commit", "-qm", "Start")


def enter(home: Path, frozen: tuple[str, ...] = FROZEN) -> Repository:
    repository = Repository.open(home, "night", (".",), frozen=frozen)
    repository.claim()
    return repository


def test_everything_but_the_frozen_paths_is_mutable(home: Path) -> None:
    files = enter(home).read("HEAD")
    assert dict(files) == {path: SEED[path] for path in ("run.sh", "src/a.py")}
    assert isinstance(files["run.sh"], Executable)
    assert not isinstance(files["src/a.py"], Executable)


def test_a_patch_may_touch_the_rest_and_nothing_frozen(home: Path) -> None:
    repository, boundary = enter(home), Boundary(mutable=(".",), frozen=FROZEN)
    before = repository.read("HEAD")
    new = {**before, "top.py": b"b = 2\n", "go": Executable(b"#!/bin/sh\n")}
    change = boundary.admit(before, new)
    assert change.added == ("go", "top.py")
    tree = repository.write(repository.tree_of("HEAD"), change.files)
    listed = git(home, "ls-tree", "-r", tree)
    assert [line.split()[0] for line in listed.splitlines() if line.endswith(("go", "run.sh"))] == ["100755"] * 2
    assert repository.outside(repository.tree_of("HEAD"), tree) == []
    assert git(home, "show", f"{tree}:tests/hidden.py") == "secret"
    for path in ("tests/hidden.py", "tests/deep/new.py", "campaign.yaml"):
        with pytest.raises(Refused, match="outside the mutable paths"):
            boundary.admit(before, {**before, path: b"x"})
        with pytest.raises(Refused, match="outside the mutable paths"):
            repository.write(repository.tree_of("HEAD"), {**before, path: b"x"})
    with pytest.raises(Refused, match="a name that git reads"):
        boundary.admit(before, {**before, ".gitattributes": b"* -diff\n"})


def test_a_file_does_not_take_the_place_of_a_folder_that_holds_what_is_frozen(home: Path) -> None:
    frozen = ("src/a.py", "tests", "campaign.yaml", ".github")
    repository, boundary = enter(home, frozen), Boundary(mutable=(".",), frozen=frozen)
    before = repository.read("HEAD")
    left = {**before, "src": b"x = 1\n"}
    with pytest.raises(Refused, match="`src` would replace a folder with files that may not change"):
        boundary.admit(before, left)
    with pytest.raises(Refused, match="`src` would replace a folder with files that may not change"):
        repository.write(repository.tree_of("HEAD"), left)


def test_a_tree_that_touches_a_frozen_path_never_becomes_champion(home: Path) -> None:
    whole = Repository.open(home, "night", (".",))
    tree = whole.write(whole.tree_of("HEAD"), {**whole.read("HEAD"), "tests/hidden.py": b"easy\n"})
    repository = enter(home)
    repository.create_branch()
    assert repository.outside("HEAD", tree) == ["tests/hidden.py"]
    with pytest.raises(Refused, match="outside the mutable paths"):
        repository.prepare(tree, "text", repository.champion())


def test_notes_that_git_does_not_know_are_no_reason_to_stop_but_changes_are(home: Path) -> None:
    (home / "runs").mkdir()
    (home / "runs/ledger").write_text("x")
    (home / "tests/hidden.py").write_text("mine\n")
    enter(home)
    (home / "src/a.py").write_text("a = 3\n")
    with pytest.raises(UserError, match="not committed"):
        enter(home)


def test_a_frozen_path_that_is_not_there_is_said(home: Path) -> None:
    with pytest.raises(UserError, match=r"scaffold\.frozen: `test` is not in commit"):
        enter(home, ("test",))
    with pytest.raises(UserError, match=r"scaffold\.frozen: `\.\./up` is absolute"):
        enter(home, ("../up",))


def test_a_misspelt_include_is_said(home: Path) -> None:
    repository = enter(home)
    repository.check_include(["tests"], ["campaign.yaml"])
    with pytest.raises(UserError, match=r"scaffold\.include: `tset` is not in commit"):
        repository.check_include(["tests", "tset"], [])
    with pytest.raises(UserError, match=r"improve\.include: `tool` is not in commit"):
        repository.check_include([], ["tool"])


def test_a_pointer_in_place_of_a_file_is_said(home: Path) -> None:
    (home / "src/model.bin").write_bytes(LFS)
    commit(home)
    with pytest.raises(UserError, match=r"`src/model\.bin` is a Git LFS pointer"):
        enter(home)
    assert enter(home, (*FROZEN, "src/model.bin")).remarks(["src"]) == [
        "scaffold.include: `src/model.bin` is a Git LFS pointer; boxes do not get what it stands for"
    ]


def test_submodules_and_links_are_named(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q", "--template=")
    (other / "x").write_text("x")
    commit(other)
    git(home, "-c", "protocol.file.allow=always", "submodule", "-q", "add", str(other), "vendor/sub")
    (home / "link").symlink_to("run.sh")
    commit(home)
    with pytest.raises(UserError, match=r"`link` is a symbolic link.*scaffold\.frozen"):
        enter(home)
    frozen = (*FROZEN, "link", "vendor", ".gitmodules")
    assert [line.split("`")[1] for line in enter(home, frozen).remarks(["link", "vendor"])] == ["link", "vendor/sub"]


def test_the_rule_of_paths() -> None:
    assert inside("a", (".",))
    assert inside("a/b", ("a",), ("a/c",))
    assert not inside("a/c/d", ("a",), ("a/c",))
    assert not inside("a", (".",), ("a",))
    assert inside("ab", (".",), ("a",))


def test_layers_of_an_image_copy_files_of_the_seeds_commit_and_nothing_else(home: Path) -> None:
    repository = enter(home)
    (home / "src/a.py").write_bytes(b"not committed\n")
    made = repository.layers(["COPY src/a.py run.sh /opt/", "RUN true"], "scaffold.build")
    assert sorted(made.files.values()) == sorted([SEED["src/a.py"], SEED["run.sh"]])
    assert {isinstance(body, Executable) for path, body in made.files.items() if path.endswith("run.sh")} == {True}
    with pytest.raises(UserError, match=r"scaffold.build: COPY takes `missing`, which is not in commit"):
        repository.layers(["COPY missing /opt/"], "scaffold.build")


def test_what_holds_no_content_is_not_copied(home: Path) -> None:
    (home / "model.bin").write_bytes(LFS)
    (home / "secret").symlink_to("/etc/passwd")
    commit(home)
    repository = Repository.open(home, "night", ("src",))
    for path, kind in (("model.bin", "Git LFS pointer"), ("secret", "symbolic link")):
        with pytest.raises(UserError, match=f"improve.build: `{path}` is a {kind}"):
            repository.layers([f"COPY {path} /opt/"], "improve.build")


def test_a_copy_of_what_patches_change_is_remarked(home: Path) -> None:
    [remark] = enter(home).remarks((), ["COPY src/a.py campaign.yaml /opt/"])
    assert "`src/a.py` is mutable; the image keeps the seed's" in remark


def test_no_box_may_see_the_suite(home: Path) -> None:
    suite = home / "evals"
    enter(home).check_suite(suite, (), ())  # git does not know it yet
    suite.mkdir()
    (suite / "suite.yaml").write_text("name: s\n")
    commit(home)
    with pytest.raises(UserError, match=r"scaffold.mutable: boxes would see `evals`.* Name it in `scaffold.frozen`"):
        enter(home).check_suite(suite, (), ())
    kept = enter(home, (*FROZEN, "evals"))
    kept.check_suite(suite, ("campaign.yaml",), ())
    kept.check_suite(home.parent / "elsewhere", ("evals",), ())
    with pytest.raises(UserError, match=r"scaffold.include: boxes would see"):
        kept.check_suite(suite, ("evals/suite.yaml",), ())
    with pytest.raises(UserError, match=r"improve.include: boxes would see"):
        kept.check_suite(suite, (), (".",))


def test_a_suite_at_the_top_hides_only_its_own_files(home: Path) -> None:
    (home / "suite.yaml").write_text("name: s\n")
    (home / "one" / "solution").mkdir(parents=True)
    (home / "one" / "task.yaml").write_text("split: gate\n")
    (home / "one" / "solution" / "answer.txt").write_text("yes\n")
    commit(home)
    kept = enter(home, (*FROZEN, "suite.yaml", "one"))
    for suite in (home, home / "suite.yaml"):
        kept.check_suite(suite, ("campaign.yaml",), ())
        for seen in ("suite.yaml", "one/task.yaml", "one/solution"):
            with pytest.raises(UserError, match=r"scaffold.include: boxes would see"):
                kept.check_suite(suite, (seen,), ())
