"""Real git in temporary folders: what is written, and above all what is left alone."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.base.errors import InfrastructureError, RecordBroken, Refused, UserError
from agent.base.trust import DEFAULT_MUTABLE, trusted_hash
from agent.kernel.git.history import SavedCandidate
from agent.kernel.git.messages import format_message
from agent.kernel.git.plumbing import Git
from agent.kernel.git.repository import BranchMoved, Repository

SEED = {
    "agent/scaffold/main.py": b"a = 1\nb = 2\nc = 3\n",
    "agent/scaffold/run.sh": b"#!/bin/sh\n",
    "prompts/go.md": b"Go.\n",
}
OURS = {"Ratchet-Campaign": "night"}


def git(folder: Path, *arguments: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    identity = {f"GIT_{who}_{what}": "user@home" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env={**clean, **identity, "GIT_CONFIG_GLOBAL": "/dev/null"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def make(folder: Path, *init: str) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", "--template=", *init)
    for path, data in {**SEED, "README.md": b"read me\n"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "agent/scaffold/run.sh").chmod(0o755)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Start")
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("template") / "home")


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "home"))


def enter(folder: Path, base: str = "HEAD") -> Repository:
    repository = Repository.open(folder, "night", DEFAULT_MUTABLE, base)
    repository.claim()
    repository.create_branch()
    return repository


def patched(repository: Repository, base: str | None = None, **changes: bytes) -> str:
    base = repository.tree_of(base or repository.base)
    renamed = {f"agent/scaffold/{name}.py": data for name, data in changes.items()}
    return repository.write(base, {**repository.read(base), **renamed})


def advance(repository: Repository, tree: str, text: str, expected: str) -> str:
    commit = repository.prepare(tree, text, expected)
    repository.advance(commit, expected)
    return commit


def accept(repository: Repository, tree: str, subject: str = "Better") -> str:
    return advance(repository, tree, format_message(subject, "", OURS), repository.champion())


def footprint(folder: Path) -> dict[str, bytes | str]:
    """Everything of the user's that must not change, byte for byte."""
    files = {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".git" not in p.parts}
    own = {name: (folder / ".git" / name).read_bytes() for name in ("HEAD", "index", "config")}
    return {**files, **own, "main": git(folder, "rev-parse", "main"), "log": git(folder, "reflog", "HEAD")}


# ------------------------------------------------------------------------------------ round trips


def test_what_is_written_is_read_back_and_the_rest_of_the_tree_stays(home: Path) -> None:
    repository = enter(home)
    files = {**SEED, "prompts/new é ☃.md": "naïve\n".encode(), "agent/scaffold/deep/er/x.py": b"x = 1"}
    del files["prompts/go.md"]
    tree = repository.write(repository.tree_of("HEAD"), files)
    assert repository.read(tree) == files
    assert git(home, "show", f"{tree}:README.md") == "read me"
    assert git(home, "ls-tree", tree, "README.md") == git(home, "ls-tree", "HEAD", "README.md")


def test_writing_what_is_there_gives_the_same_tree_and_keeps_the_executable_bit(home: Path) -> None:
    repository = enter(home)
    base = repository.tree_of(repository.base)
    assert repository.write(base, repository.read(base)) == base
    tree = patched(repository, fresh=b"f = 1\n")
    assert git(home, "ls-tree", tree, "agent/scaffold/run.sh").startswith("100755 ")
    assert git(home, "ls-tree", tree, "agent/scaffold/fresh.py").startswith("100644 ")


def test_a_file_may_become_a_folder_and_a_folder_a_file(home: Path) -> None:
    repository = enter(home)
    base = repository.tree_of(repository.base)
    there = {"agent/scaffold/main.py/x.md": b"x", "prompts/go.md": b"Go.\n"}
    tree = repository.write(base, there)
    assert repository.read(tree) == there
    assert repository.write(tree, SEED) != tree
    assert repository.read(repository.write(tree, SEED)) == SEED


def test_every_mutable_file_may_go(home: Path) -> None:
    repository = enter(home)
    tree = repository.write(repository.tree_of(repository.base), {})
    assert repository.read(tree) == {}
    assert git(home, "ls-tree", "-r", "--name-only", tree) == "README.md"


NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=12)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(NAMES.map(lambda name: f"prompts/x{name}.md"), st.binary(max_size=64), max_size=5))
def test_odd_names_and_any_bytes_survive_the_round_trip(home: Path, files: dict[str, bytes]) -> None:
    repository = Repository.open(home, "night", DEFAULT_MUTABLE)
    try:
        tree = repository.write(repository.tree_of("HEAD"), files)
    except Refused:
        return  # not in normal form C: the boundary's business
    assert repository.read(tree) == files


def test_some_paths_can_be_read_alone(home: Path) -> None:
    repository = enter(home)
    assert repository.read("HEAD", ["prompts"]) == {"prompts/go.md": b"Go.\n"}
    assert repository.read("HEAD", ["README.md"]) == {"README.md": b"read me\n"}


@pytest.mark.parametrize(
    "path", ["README.md", "agent/kernel/x.py", "agent/scaffold/../x", "prompts/.git/config", "/etc/x"]
)
def test_a_path_outside_is_refused_even_without_the_boundary(home: Path, path: str) -> None:
    repository = enter(home)
    with pytest.raises(Refused):
        repository.write(repository.tree_of("HEAD"), {**SEED, path: b"x"})


def test_line_endings_and_filters_of_the_user_do_not_change_content(home: Path) -> None:
    git(home, "config", "core.autocrlf", "true")
    git(home, "config", "filter.loud.clean", "tr a-z A-Z")
    (home / ".git/info").mkdir(exist_ok=True)
    (home / ".git/info/attributes").write_text("* filter=loud\n")
    repository = Repository.open(home, "night", DEFAULT_MUTABLE, git(home, "rev-parse", "HEAD"))
    files = {"prompts/go.md": b"one\r\ntwo\n"}
    assert repository.read(repository.write(repository.tree_of("HEAD"), files)) == files


# ------------------------------------------------------------------------------------ left alone


def test_the_users_head_index_files_and_configuration_stay_as_they_are(home: Path) -> None:
    (home / "README.md").write_text("not committed\n")
    (home / "staged.txt").write_text("staged\n")
    git(home, "add", "staged.txt")
    before = footprint(home)
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    repository.save_candidate(1, tree, repository.base, "One\n")
    accept(repository, tree)
    repository.merge(repository.tree_of(repository.base), tree, tree)
    repository.diff(repository.base, tree)
    repository.accepted()
    assert footprint(home) == before


def test_no_hook_ever_runs(home: Path, tmp_path: Path) -> None:
    flag = tmp_path / "a hook ran"
    hooks = [home / ".git/hooks", tmp_path / "own-hooks"]
    git(home, "config", "core.hooksPath", str(hooks[1]))
    for folder in hooks:
        folder.mkdir(exist_ok=True)
        for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"):
            (folder / name).write_text(f"#!/bin/sh\ntouch '{flag}'\nexit 1\n")
            (folder / name).chmod(0o755)
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    repository.save_candidate(1, tree, repository.base, "One\n")
    accept(repository, tree)
    assert not flag.exists()


def test_signing_identity_and_external_programs_of_the_user_are_not_used(home: Path, tmp_path: Path) -> None:
    flag = tmp_path / "a program ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{flag}'\nexit 1\n")
    program.chmod(0o755)
    settings_ = {"commit.gpgSign": "true", "log.showSignature": "true", "user.name": "Somebody"}
    programs = ("gpg.program", "diff.external", "diff.odd.command", "merge.odd.driver", "core.fsmonitor")
    for key, value in (settings_ | dict.fromkeys(programs, str(program))).items():
        git(home, "config", key, value)
    (home / ".gitattributes").write_text("*.py diff=odd merge=odd\n")
    repository = Repository.open(home, "night", DEFAULT_MUTABLE)
    repository.create_branch()
    one = patched(repository, main=b"a = 9\nb = 2\nc = 3\n")
    two = patched(repository, main=b"a = 1\nb = 2\nc = 9\n")
    commit = accept(repository, one)
    repository.diff(one, two)
    merged = repository.read(repository.merge(repository.tree_of(repository.base), one, two))
    assert merged["agent/scaffold/main.py"] == b"a = 9\nb = 2\nc = 9\n"
    assert (
        git(home, "show", "-s", "--no-show-signature", "--format=%an %ae %cn %G?", commit)
        == "Ratchet ratchet@localhost Ratchet N"
    )
    assert not flag.exists()


def test_variables_of_a_calling_git_lead_nowhere_else(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(tmp_path / "other")
    before = footprint(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    commit = accept(enter(home), patched(enter(home), main=b"a = 2\n"))
    assert git(home, "rev-parse", "ratchet/night") == commit
    assert git(home, "show", "-s", "--format=%an", commit) == "Ratchet"
    assert footprint(other) == before


def test_replaced_objects_do_not_deceive(home: Path) -> None:
    fake = git(home, "commit-tree", "-m", "fake", "HEAD^{tree}")
    real = git(home, "rev-parse", "HEAD")
    git(home, "replace", real, fake)
    assert Repository.open(home, "night", DEFAULT_MUTABLE).commit(real).subject == "Start"


# ------------------------------------------------------------------------------------ champion


def test_an_accepted_patch_is_one_commit_whose_parent_is_the_champion(home: Path) -> None:
    repository = enter(home)
    assert repository.champion() == repository.base
    first = accept(repository, patched(repository, main=b"a = 2\n"), "First")
    second = accept(repository, patched(repository, first, main=b"a = 3\n"), "Second")
    assert repository.champion() == second
    assert [(c.subject, c.sha, c.parents) for c in repository.accepted()] == [
        ("Second", second, (first,)),
        ("First", first, (repository.base,)),
    ]
    assert git(home, "log", "--format=%s", "ratchet/night") == "Second\nFirst\nStart"


def test_a_branch_that_somebody_moved_is_not_moved_again(home: Path) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    stranger = git(home, "commit-tree", "-m", "mine", "-p", "HEAD", "HEAD^{tree}")
    git(home, "update-ref", "refs/heads/ratchet/night", stranger)
    with pytest.raises(BranchMoved, match="somebody moved it"):
        advance(repository, tree, "Better\n", repository.base)
    assert git(home, "rev-parse", "ratchet/night") == stranger


def test_a_branch_that_moves_between_preparing_and_advancing_stays_where_it_is(home: Path) -> None:
    repository = enter(home)
    late = repository.prepare(patched(repository, main=b"a = 2\n"), "Late\n", repository.base)
    assert repository.champion() == repository.base
    first = accept(repository, patched(repository, main=b"a = 3\n"))
    with pytest.raises(BranchMoved):
        repository.advance(late, repository.base)
    assert repository.champion() == first


def test_a_commit_that_the_ledger_knows_and_the_branch_does_not_is_put_on_it(home: Path) -> None:
    repository = enter(home)
    first = accept(repository, patched(repository, main=b"a = 2\n"))
    second = repository.prepare(patched(repository, first, main=b"a = 3\n"), "Second\n", first)
    written = [(first, repository.base), (second, first)]
    repository.reconcile(written, 1)  # as after SIGKILL between ledger and ref
    assert repository.champion() == second
    repository.reconcile(written, 1)
    assert repository.champion() == second


def test_locks_that_a_killed_git_left_on_our_refs_are_removed_and_no_others(home: Path) -> None:
    repository = enter(home)
    refs = home / ".git" / "refs"
    ours = [refs / "heads" / "ratchet" / "night.lock", refs / "ratchet" / "night" / "candidates" / "1.lock"]
    others = [refs / "heads" / "main.lock", refs / "ratchet" / "night2" / "candidates" / "1.lock"]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(RecordBroken, match="cannot be written"):
        repository.save_candidate(1, repository.tree_of("HEAD"), repository.base, "One\n")
    repository.break_locks(patience=0.2)
    assert [path.exists() for path in (*ours, *others)] == [False, False, True, True]
    repository.save_candidate(1, repository.tree_of("HEAD"), repository.base, "One\n")
    accept(repository, patched(repository, main=b"a = 2\n"))


def test_a_lock_that_a_living_git_takes_again_and_again_is_left(home: Path) -> None:
    repository = enter(home)
    lock = home / ".git" / "refs" / "heads" / "ratchet" / "night.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    taken = threading.Timer(0.1, lambda: (home / "next").touch() or (home / "next").replace(lock))
    taken.start()
    repository.break_locks(patience=0.5)
    taken.join()
    assert lock.exists()


def test_a_branch_that_the_ledger_does_not_know_is_not_reconciled(home: Path) -> None:
    repository = enter(home)
    repository.reconcile([], 1)
    first = accept(repository, patched(repository, main=b"a = 2\n"))
    accept(repository, patched(repository, first, main=b"a = 3\n"))
    ledgers: list[list[tuple[str, str]]] = [[], [(first, repository.base)]]
    for written in ledgers:
        with pytest.raises(BranchMoved, match="somebody moved it"):
            repository.reconcile(written, 1)


def test_a_branch_that_was_never_created_is_made_when_reconciling(home: Path) -> None:
    repository = Repository.open(home, "night", DEFAULT_MUTABLE)
    first = Git.open(home).commit_tree(repository.tree_of("HEAD"), repository.base, "First\n")
    repository.reconcile([(first, repository.base)], 1)
    assert repository.champion() == first


def test_a_branch_that_the_user_has_checked_out_stays(home: Path, tmp_path: Path) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    git(home, "worktree", "add", "-q", str(tmp_path / "look"), "ratchet/night")
    with pytest.raises(BranchMoved, match=r"checked out in .*look"):
        accept(repository, tree)
    with pytest.raises(UserError, match="switch --detach"):
        repository.claim()
    git(tmp_path / "look", "switch", "-q", "--detach")
    repository.claim()
    assert accept(repository, tree) == repository.champion()


def test_a_tree_that_differs_outside_the_mutable_paths_never_becomes_champion(home: Path) -> None:
    repository = enter(home)
    (home / "README.md").write_text("changed\n")
    git(home, "commit", "-qam", "Outside")
    with pytest.raises(Refused, match=r"outside the mutable paths, in `README\.md`"):
        accept(repository, repository.tree_of("main"))
    assert repository.champion() == repository.base


def test_creating_the_branch_twice_is_harmless(home: Path) -> None:
    repository = enter(home)
    commit = accept(repository, patched(repository, main=b"a = 2\n"))
    repository.create_branch()
    assert repository.champion() == commit


# ------------------------------------------------------------------------------------ archive


def test_candidates_are_kept_under_their_refs_and_outlive_garbage_collection(home: Path) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    commit = repository.save_candidate(7, tree, repository.base, "Seven\n")
    repository.save_candidate(12, tree, commit, "Twelve\n")
    git(home, "gc", "-q", "--prune=now")
    fresh = Repository.open(home, "night", DEFAULT_MUTABLE)
    assert [(one.id, one.tree) for one in fresh.candidates().values()] == [(7, tree), (12, tree)]
    assert fresh.candidates()[7].commit == commit
    assert fresh.read(tree)["agent/scaffold/main.py"] == b"a = 2\n"
    assert git(home, "rev-parse", "refs/ratchet/night/candidates/7^") == repository.base


def test_saving_a_candidate_again_is_the_same_commit(home: Path) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    commit = repository.save_candidate(1, tree, repository.base, "One\n")
    assert repository.save_candidate(1, tree, repository.base, "One, told otherwise\n") == commit


def test_a_candidate_takes_the_place_of_one_that_a_killed_run_left_under_its_id(home: Path) -> None:
    repository = enter(home)
    repository.save_candidate(1, patched(repository, main=b"a = 2\n"), repository.base, "Never recorded\n")
    tree = patched(repository, main=b"a = 3\n")
    commit = repository.save_candidate(1, tree, repository.base, "One\n")
    assert repository.candidate(1) == SavedCandidate(id=1, commit=commit, tree=tree)


def test_a_candidate_that_the_ledger_does_not_have_is_dropped_when_reconciling(home: Path) -> None:
    repository = enter(home)
    for number in (1, 2):
        repository.save_candidate(number, patched(repository, main=b"a = 2\n"), repository.base, "One\n")
    repository.reconcile([], 3)
    assert list(repository.candidates()) == [1, 2]
    repository.reconcile([], 2)
    assert list(repository.candidates()) == [1]


def test_an_archive_whose_ledger_is_gone_is_left_alone(home: Path) -> None:
    repository = enter(home)
    for number in (1, 2):
        repository.save_candidate(number, patched(repository, main=b"a = 2\n"), repository.base, "One\n")
    with pytest.raises(UserError, match="holds 2 candidates that this campaign's ledger does not have"):
        repository.reconcile([], 1)
    assert list(repository.candidates()) == [1, 2]


# ------------------------------------------------------------------------------------ merging


def test_patches_in_different_places_merge(home: Path) -> None:
    repository = enter(home)
    ours = patched(repository, main=b"a = 9\nb = 2\nc = 3\n")
    theirs = patched(repository, main=b"a = 1\nb = 2\nc = 9\n", extra=b"e = 1\n")
    merged = repository.read(repository.merge(repository.tree_of(repository.base), ours, theirs))
    assert merged == {
        **SEED,
        "agent/scaffold/main.py": b"a = 9\nb = 2\nc = 9\n",
        "agent/scaffold/extra.py": b"e = 1\n",
    }


def test_patches_in_the_same_place_are_a_refusal_that_names_the_file(home: Path) -> None:
    repository = enter(home)
    ours, theirs = patched(repository, main=b"a = 8\n"), patched(repository, main=b"a = 9\n")
    with pytest.raises(Refused, match=r"^conflict with the champion in agent/scaffold/main\.py$"):
        repository.merge(repository.tree_of(repository.base), ours, theirs)


def test_the_files_that_conflict_are_shown_as_far_as_they_merge(home: Path) -> None:
    repository = enter(home)
    ours = patched(repository, main=b"a = 8\nb = 2\nc = 3\n", extra=b"e = 1\n")
    theirs = patched(repository, main=b"a = 9\nb = 2\nc = 9\n")
    tree, paths = repository.merged(repository.tree_of(repository.base), ours, theirs)
    assert paths == ["agent/scaffold/main.py"]
    marked = repository.read(tree, paths)["agent/scaffold/main.py"]
    assert "agent/scaffold/extra.py" in repository.read(tree)
    assert marked.startswith(b"<<<<<<<")
    assert b"a = 8" in marked
    assert b"a = 9" in marked
    assert b">>>>>>>" in marked


def test_a_candidate_may_have_two_parents(home: Path) -> None:
    repository = enter(home)
    trees = patched(repository, main=b"a = 8\n"), patched(repository, main=b"a = 9\n")
    first, second = [repository.save_candidate(n, tree, repository.base, "x") for n, tree in enumerate(trees, 1)]
    both = repository.save_candidate(3, trees[0], first, "both", second)
    assert repository.commit(both).parents == (first, second)
    drawn = "".join(line for line, _ in repository.graph([both]))
    assert "|\\" in drawn


def test_deleting_what_the_other_side_changed_is_a_conflict(home: Path) -> None:
    repository = enter(home)
    base = repository.tree_of(repository.base)
    ours = repository.write(base, {"prompts/go.md": b"Go.\n"})
    with pytest.raises(Refused, match="conflict"):
        repository.merge(base, ours, patched(repository, main=b"a = 9\n"))


# ------------------------------------------------------------------------------------ user errors


def refusal(
    folder: Path, campaign: str = "night", base: str = "HEAD", mutable: tuple[str, ...] = DEFAULT_MUTABLE
) -> str:
    with pytest.raises(UserError) as caught:
        Repository.open(folder, campaign, mutable, base).claim()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_repository_or_commit_is_said(tmp_path: Path) -> None:
    assert "is not a git repository" in refusal(tmp_path)
    assert "is not a git repository" in refusal(tmp_path / "missing")
    git(tmp_path, "init", "-q")
    assert "has no commit yet" in refusal(tmp_path)


def test_a_folder_inside_a_repository_is_not_taken_for_it(template: Path) -> None:
    assert "Name the top folder" in refusal(template / "agent")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_repository_that_git_does_not_trust_is_said(home: Path) -> None:
    for path in (home, home / ".git"):
        os.chown(path, 65534, 65534)
    assert "dubious ownership" in refusal(home)


@pytest.mark.parametrize("base", ["nowhere", "--all", "HEAD:README.md", "HEAD^9", "", "a\x1b[31mb", "deadbeef" * 5])
def test_an_unknown_base_is_said(template: Path, base: str) -> None:
    reason = refusal(template, base=base)
    assert reason.startswith("scaffold.base: ")
    assert "\x1b" not in reason


@pytest.mark.parametrize(
    "campaign",
    ["", "a b", "..", "a..b", "x.lock", "a/b", "-x", "a~1", "a:b", "@{", "a\nb", "a\\b", "a\u202eb"],
)
def test_a_bad_campaign_name_is_said(template: Path, campaign: str) -> None:
    assert refusal(template, campaign).startswith("campaign: ")


def test_a_base_may_be_a_tag_a_branch_or_a_short_name(home: Path) -> None:
    git(home, "tag", "-a", "-m", "tagged", "v1")
    head = git(home, "rev-parse", "HEAD")
    for base in ("v1", "main", head[:8], "HEAD"):
        assert Repository.open(home, "night", DEFAULT_MUTABLE, base).base == head


def test_a_missing_mutable_path_is_said(template: Path) -> None:
    assert "`agent/nowhere` is not in commit" in refusal(template, mutable=("prompts", "agent/nowhere"))
    assert refusal(template, mutable=()).startswith("scaffold.mutable: ")
    assert refusal(template, mutable=("../up",)).startswith("scaffold.mutable: ")


def test_a_link_or_a_submodule_in_a_mutable_path_is_said(home: Path, tmp_path: Path) -> None:
    (home / "prompts/link.md").symlink_to("go.md")
    git(home, "add", ".")
    git(home, "commit", "-qm", "Link")
    assert "`prompts/link.md` is a symbolic link" in refusal(home)
    git(home, "rm", "-q", "prompts/link.md")
    git(home, "submodule", "-q", "add", str(make(tmp_path / "sub")), "prompts/sub")
    git(home, "commit", "-qm", "Module")
    assert "`prompts/sub` is a submodule" in refusal(home)


@pytest.mark.parametrize("change", ["edit", "stage", "new", "delete"])
def test_uncommitted_changes_of_the_mutable_paths_are_said(home: Path, change: str) -> None:
    target = home / ("prompts/new.md" if change == "new" else "prompts/go.md")
    target.unlink() if change == "delete" else target.write_text("other\n")
    if change == "stage":
        git(home, "add", ".")
    assert "git stash" in refusal(home)
    (home / "README.md").write_text("elsewhere is the user's own\n")
    git(home, "stash", "-q", "--include-untracked", "--", "prompts")
    enter(home)


def test_a_named_base_does_not_care_for_uncommitted_changes(home: Path) -> None:
    (home / "prompts/go.md").write_text("other\n")
    assert enter(home, "main").champion() == git(home, "rev-parse", "main")


def test_a_branch_of_somebody_else_is_not_taken_over(home: Path) -> None:
    foreign = git(home, "commit-tree", "-m", "mine", "-p", "HEAD", "HEAD^{tree}")
    git(home, "branch", "ratchet/night", foreign)
    assert "git branch -m ratchet/night NEW-NAME" in refusal(home)
    assert git(home, "rev-parse", "ratchet/night") == foreign


def test_a_campaign_takes_up_its_own_branch_again(home: Path) -> None:
    repository = enter(home)
    commit = accept(repository, patched(repository, main=b"a = 2\n"))
    (home / "prompts/go.md").write_text("the user continued\n")
    git(home, "commit", "-qam", "User")
    assert enter(home, repository.base).champion() == commit
    assert "which this campaign did not make" in refusal(home)  # another base: another campaign


@pytest.mark.parametrize("trailers", [{"Ratchet-Campaign": "day"}, {}])
def test_a_commit_on_top_that_is_not_ours_is_said(home: Path, trailers: dict[str, str]) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    accept(repository, tree)
    advance(repository, repository.tree_of(repository.base), format_message("X", "", trailers), repository.champion())
    assert "did not make" in refusal(home, base=repository.base)
    assert [commit.subject for commit in repository.accepted()] == ["Better"]


def test_a_commit_without_parent_or_with_two_is_never_ours(home: Path) -> None:
    head = git(home, "rev-parse", "HEAD")
    forged = git(home, "commit-tree", "-m", "Root\n\nRatchet-Campaign: night", "HEAD^{tree}")
    merged = git(home, "commit-tree", "-m", "Two\n\nRatchet-Campaign: night", "-p", head, "-p", forged, "HEAD^{tree}")
    for foreign in (forged, merged):
        git(home, "update-ref", "refs/heads/ratchet/night", foreign)
        assert "did not make" in refusal(home)


def test_a_branch_named_ratchet_is_in_the_way(home: Path) -> None:
    git(home, "branch", "ratchet")
    assert "refs/heads/ratchet is in the way" in refusal(home)


# ------------------------------------------------------------------------------------ infrastructure errors


def test_a_locked_ref_is_a_broken_record(home: Path) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    (home / ".git/refs/heads/ratchet/night.lock").touch()
    with pytest.raises(RecordBroken, match="cannot be moved") as caught:
        accept(repository, tree)
    assert not isinstance(caught.value, BranchMoved)
    assert repository.champion() == repository.base


def test_a_full_disk_is_a_laboratory_fault_and_moves_nothing(home: Path) -> None:
    repository = enter(home)
    tree = patched(repository, main=b"a = 2\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        with pytest.raises(InfrastructureError):
            patched(repository, main=b"a = 3\n")
        with pytest.raises(InfrastructureError):
            accept(repository, tree)
        with pytest.raises(InfrastructureError):
            repository.save_candidate(1, tree, repository.base, "One\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert repository.champion() == repository.base
    assert repository.candidates() == {}
    assert accept(repository, tree) == repository.champion()


WRITING = """
from pathlib import Path
from agent.base.errors import RecordBroken
from agent.base.trust import DEFAULT_MUTABLE
from agent.kernel.git.repository import Repository
repository = Repository.open(Path("."), "night", DEFAULT_MUTABLE)
files = repository.read(repository.base)
try:
    repository.write(repository.tree_of(repository.base), {**files, "agent/scaffold/main.py": b"a = 2"})
except RecordBroken:
    print("broken")
"""
READ_ONLY = 'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && exec "$@"'


def test_a_read_only_repository_is_a_broken_record(home: Path) -> None:
    enter(home)
    command = [sys.executable, "-c", WRITING]
    if os.geteuid() == 0:  # root may write everywhere but where nobody may
        command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *command]
    for folder in (home / ".git/objects", *(home / ".git/objects").iterdir()):
        folder.chmod(0o555)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "broken\n"


def test_a_lost_object_is_a_broken_record(home: Path) -> None:
    repository = enter(home)
    blob = git(home, "rev-parse", "HEAD:prompts/go.md")
    (home / ".git/objects" / blob[:2] / blob[2:]).unlink()
    repository = Repository.open(home, "night", DEFAULT_MUTABLE)  # another one has read it, and keeps it
    with pytest.raises(RecordBroken, match="cannot be read"):
        repository.read(repository.base)
    with pytest.raises(RecordBroken):
        repository.tree_of("f" * 40)


def test_a_repository_that_vanished_is_a_broken_record(home: Path) -> None:
    repository = enter(home)
    shutil.rmtree(home)
    with pytest.raises(RecordBroken):
        repository.champion()


# ------------------------------------------------------------------------------------ kinds of repositories


def campaign_runs(folder: Path) -> Repository:
    repository = enter(folder)
    tree = patched(repository, main=b"a = 2\n")
    repository.save_candidate(1, tree, repository.base, "One\n")
    commit = accept(repository, tree)
    merged = repository.merge(repository.tree_of(repository.base), tree, patched(repository, extra=b"e = 1\n"))
    assert repository.read(merged)["agent/scaffold/extra.py"] == b"e = 1\n"
    assert enter(folder, repository.base).champion() == commit
    return repository


def test_it_works_with_sha256(tmp_path: Path) -> None:
    home = make(tmp_path / "home", "--object-format=sha256")
    assert len(campaign_runs(home).champion()) == 64


def test_it_works_in_a_linked_work_tree(home: Path, tmp_path: Path) -> None:
    git(home, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tmp_path / "linked/prompts/go.md").write_text("Side.\n")
    assert "git stash" in refusal(tmp_path / "linked")
    git(tmp_path / "linked", "commit", "-qam", "Side")
    assert campaign_runs(tmp_path / "linked").base == git(home, "rev-parse", "side")
    assert git(tmp_path / "linked", "status", "--porcelain") == ""


def test_it_works_in_a_submodule(home: Path, tmp_path: Path) -> None:
    top = make(tmp_path / "top")
    git(top, "submodule", "-q", "add", str(home), "module")
    campaign_runs(top / "module")
    assert git(top / "module", "status", "--porcelain") == ""


def test_it_works_in_a_bare_repository(home: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(home), "bare.git")
    campaign_runs(tmp_path / "bare.git")


def test_it_works_after_refs_and_objects_were_packed(home: Path) -> None:
    repository = campaign_runs(home)
    git(home, "gc", "-q")
    git(home, "pack-refs", "--all")
    accept(repository, patched(repository, repository.champion(), main=b"a = 5\n"))
    assert len(repository.accepted()) == 2


# ------------------------------------------------------------------------------------ messages


def test_trailers_are_what_git_reads(home: Path) -> None:
    repository = enter(home)
    trailers = {
        **OURS,
        "Ratchet-Score": "0.41 -> 0.52, 118 pairs",
        "Ratchet-Models": "é: a=b # c",
        "Ratchet-Empty": "",
    }
    text = format_message("Retry", "Because.\n\nSee-also: elsewhere", trailers)
    commit = repository.commit(advance(repository, patched(repository, main=b"a = 2\n"), text, repository.base))
    assert commit.trailers == trailers
    assert (commit.subject, commit.body) == ("Retry", "Because.\n\nSee-also: elsewhere")
    (home / "message").write_text(text)
    read = git(home, "interpret-trailers", "--parse", "message").splitlines()
    assert [line.partition(":")[0] for line in read] == list(trailers)


LINES = st.text(st.characters(exclude_characters="\0"), max_size=60)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=LINES)
def test_no_trailer_value_can_add_a_trailer(home: Path, value: str) -> None:
    text = format_message("Subject", "", {**OURS, "Ratchet-Score": value, "Ratchet-Cost": "1"})
    (home / "message").write_text(text, errors="replace")
    read = git(home, "interpret-trailers", "--parse", "message").splitlines()
    assert [line.partition(":")[0] for line in read] == ["Ratchet-Campaign", "Ratchet-Score", "Ratchet-Cost"]


def test_a_key_that_is_no_trailer_token_is_a_defect() -> None:
    with pytest.raises(ValueError, match="not a valid trailer token"):
        format_message("Subject", "", {"Ratchet Score": "1"})


def test_an_ordinary_commit_has_no_trailers(home: Path) -> None:
    git(home, "commit", "-q", "--allow-empty", "-m", "Subject\n\nBody: not a trailer\nfor: sure not\n\nEnd.")
    commit = enter(home).commit("HEAD")
    assert (commit.trailers, commit.body) == ({}, "Body: not a trailer\nfor: sure not\n\nEnd.")


def test_a_diff_is_what_git_shows(home: Path) -> None:
    repository = enter(home)
    diff = repository.diff(repository.base, patched(repository, main=b"a = 2\nb = 2\nc = 3\n"))
    assert diff.startswith("diff --git a/agent/scaffold/main.py")
    assert "\n-a = 1\n+a = 2\n" in diff


# ------------------------------------------------------------------------------------ trusted hash


def source(root: Path) -> Path:
    for path in ("agent/cli/app.py", "agent/scaffold/main.py", "agent/kernel/decide/gate.py", "sandbox/box.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def test_the_trusted_hash_covers_trusted_files_and_no_others(tmp_path: Path) -> None:
    root = source(tmp_path)
    before = trusted_hash(root)
    (root / "agent/scaffold/main.py").write_text("changed")
    (root / "agent/kernel/__pycache__").mkdir()
    (root / "agent/kernel/__pycache__/gate.pyc").write_bytes(b"x")
    assert trusted_hash(root) == before
    (root / "sandbox/box.py").write_text("changed")
    changed = trusted_hash(root)
    (root / "agent/scaffold.py").write_text("new")
    assert len({before, changed, trusted_hash(root)}) == 3


def test_the_trusted_hash_of_an_incomplete_source_is_an_error(tmp_path: Path) -> None:
    shutil.rmtree(source(tmp_path) / "sandbox")
    with pytest.raises(RecordBroken, match="sandbox is missing"):
        trusted_hash(tmp_path)


def test_the_trusted_hash_of_the_running_source_is_stable() -> None:
    program = "from agent.base.trust import trusted_hash; print(trusted_hash())"
    root = Path(__file__).resolve().parents[3]
    other = subprocess.run([sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True)
    assert len(other.stdout.strip()) == 64
