"""Harbor tasks by dataset.toml, registry.json and hub package: what is pinned is checked and kept."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import UserError
from agent.suites.importing import harbor_sources, repositories
from agent.suites.importing.draft import OWN_IMAGE, Options
from agent.suites.importing.harbor_sources import digest_of
from agent.suites.importing.run import Imported, import_suite
from agent.suites.loader import load_suite
from tests.suites.importing.repos import git, repository_of_paths_out
from tests.suites.importing.shapes import TASK

NAMED = TASK | {"task.toml": f'{TASK["task.toml"]}[task]\nname = "me/one"\n'}


def digest(files: dict[str, str]) -> str:
    return digest_of({path: body.encode() for path, body in files.items()})


def bring(source: Path, dest: Path, **options: Any) -> Imported:
    return import_suite("harbor", source, dest, options=Options(image=OWN_IMAGE, **options))


def kept_digest(suite: Path) -> object:
    (task,) = load_suite(suite).tasks
    said = task.meta["harbor"]
    assert isinstance(said, dict)
    return said["digest"]


def dataset(*tasks: tuple[str, str]) -> str:
    return "[dataset]\nname = 'me/set'\n" + "".join(f"[[tasks]]\nname = '{n}'\ndigest = '{d}'\n" for n, d in tasks)


def test_a_digest_is_over_what_harbor_publishes_only() -> None:
    whole = digest(TASK)
    assert digest(TASK | {"notes.txt": "x", "tests/a.pyc": "x", "tests/x~": "x"}) == whole
    assert digest(TASK | {"tests/more.txt": "x"}) != whole
    assert digest(TASK | {"tests/more.txt": "x", ".gitignore": "more.txt\n"}) == whole


def test_a_dataset_takes_the_tasks_that_it_names_with_their_digests(plant: Any, under: Any, tmp_path: Path) -> None:
    other = NAMED | {"task.toml": NAMED["task.toml"].replace("me/one", "me/two"), "instruction.md": "Another.\n"}
    files = under("one", NAMED) | under("two", other)
    source = plant(files | {"dataset.toml": dataset(("me/one", digest(NAMED)), ("me/gone", "sha256:" + "0" * 64))})
    done = bring(source, tmp_path / "suite")
    assert kept_digest(done.dest) == digest(NAMED)
    assert {refusal.id: refusal.feature for refusal in done.refused} == {
        "two": "dataset.toml does not name it",
        "me-gone": "dataset.toml names it, and it is not there",
    }
    assert bring(source / "dataset.toml", tmp_path / "again").taken == 1


def test_a_task_that_is_not_what_its_digest_names_is_refused(plant: Any, under: Any, tmp_path: Path) -> None:
    changed = NAMED | {"tests/test.sh": NAMED["tests/test.sh"] + "# changed\n"}
    source = plant(under("one", changed) | {"dataset.toml": dataset(("me/one", digest(NAMED)))})
    with pytest.raises(UserError, match="its content is not what the digest"):
        bring(source, tmp_path / "suite")


@pytest.fixture
def registry(plant: Any, under: Any, tmp_path: Path) -> Path:
    """A registry of two datasets: tasks beside it, and one in a git repository at a commit that is not the last."""
    clone = tmp_path / "clones" / "me" / "tasks"
    for path, text in under("tasks/first", TASK).items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(text)
    git(clone, "init", "-q")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "One")
    commit = git(clone, "rev-parse", "HEAD").strip()
    git(clone, "rm", "-rq", "tasks")
    git(clone, "commit", "-qm", "Remove")
    there = {"name": "first", "git_url": "https://x.org/me/tasks.git", "git_commit_id": commit, "path": "tasks/first"}
    sets = [
        {"name": "git", "version": "1", "description": "", "tasks": [there, {**there, "path": "nowhere"}]},
        {"name": "local", "version": "1", "description": "", "tasks": [{"name": "one", "path": "one"}]},
        {"name": "local", "version": "2", "description": "", "tasks": [{"name": "one", "path": "../one"}]},
    ]
    root: Path = plant(under("one", TASK) | {"registry.json": json.dumps(sets)})
    return root / "registry.json"


def test_a_registry_gives_tasks_of_a_commit(registry: Path, tmp_path: Path) -> None:
    done = bring(registry, tmp_path / "suite", dataset="git", repos=tmp_path / "clones")
    assert [refusal.feature for refusal in done.refused] == ["https://x.org/me/tasks.git: 'nowhere' holds no task.toml"]
    (task,) = load_suite(done.dest).tasks
    said = task.meta["harbor"]
    assert isinstance(said, dict)
    assert (task.id, said["digest"], said["git_url"]) == ("first", digest(TASK), "https://x.org/me/tasks.git")


def test_a_commit_is_read_from_its_clone_whatever_a_hook_says(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere" / ".git"))
    assert bring(registry, tmp_path / "suite", dataset="git", repos=tmp_path / "clones").taken == 1


def test_a_registry_gives_tasks_beside_it(registry: Path, tmp_path: Path) -> None:
    assert bring(registry, tmp_path / "suite", dataset="local@1").taken == 1
    with pytest.raises(UserError, match=r"'\.\./one' is not a task's folder beside it"):
        bring(registry, tmp_path / "other", dataset="local@2")


@pytest.mark.parametrize("wanted", [None, "local", "none"])
def test_a_dataset_must_be_named_where_there_are_several(wanted: str | None, registry: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Name one with --dataset: git@1, local@1, local@2"):
        bring(registry, tmp_path / "suite", dataset=wanted)


def test_only_https_is_fetched(plant: Any, tmp_path: Path) -> None:
    task = {"name": "x", "git_url": "ext::sh -c touch% /tmp/pwned", "path": "x"}
    source = plant({"registry.json": json.dumps([{"name": "a", "version": "1", "tasks": [task]}])})
    with pytest.raises(UserError, match="is not an https address"):
        bring(source / "registry.json", tmp_path / "suite")


def test_a_repository_cannot_write_outside_of_the_work_folder(
    plant: Any, under: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "a" / "b" / "c"
    temporary.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    commit = repository_of_paths_out(tmp_path / "clones" / "me" / "tasks", under("tasks/first", TASK), "tasks/first")
    task = {"name": "x", "git_url": "https://x.org/me/tasks.git", "git_commit_id": commit, "path": "tasks/first"}
    source = plant({"registry.json": json.dumps([{"name": "a", "version": "1", "tasks": [task]}])})
    with pytest.raises(UserError, match="planted-by-the-repository' is not a plain relative path"):
        bring(source / "registry.json", tmp_path / "suite", repos=tmp_path / "clones")
    assert not list(tmp_path.rglob("planted-by-the-repository"))


def test_a_fetch_refuses_paths_that_lead_out(under: Any, tmp_path: Path) -> None:
    far, near = tmp_path / "far", tmp_path / "near"
    commit = repository_of_paths_out(far, under("one", TASK), "one")
    near.mkdir()
    git(near, "init", "-q")
    allowed = ["git", "-C", str(near), "-c", "protocol.file.allow=always"]
    bare = [*allowed, "fetch", "-q", "--depth", "1", f"file://{far}", "HEAD"]
    fetch = [*allowed, *repositories.FETCH, f"file://{far}", commit]
    done = subprocess.run(fetch, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "hasDotdot" in done.stderr
    assert subprocess.run(bare, capture_output=True, check=False).returncode == 0, "git alone takes it"


@pytest.mark.parametrize("commit", ["--help", "main", "HEAD~1", "abc1234"])
def test_a_commit_of_a_registry_is_a_whole_id(commit: str, plant: Any, tmp_path: Path) -> None:
    task = {"name": "x", "git_url": "https://x.org/me/tasks.git", "git_commit_id": commit, "path": "x"}
    source = plant({"registry.json": json.dumps([{"name": "a", "version": "1", "tasks": [task]}])})
    with pytest.raises(UserError, match=f"git_commit_id: '{commit}' is not a whole commit id"):
        bring(source / "registry.json", tmp_path / "suite", repos=tmp_path)


COMMAND = """#!/bin/sh
test "$1 $2 $3" = "download me/one@sha256:{digest} --export" || exit 3
cp -r {source} "$5/one"
"""


def test_a_package_of_the_hub_is_fetched_by_harbors_own_command(
    plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plant(TASK)
    command(tmp_path / "bin", "harbor", monkeypatch, COMMAND.format(source=source, digest="1" * 64))
    done = bring(Path(f"harbor://me/one@sha256:{'1' * 64}"), tmp_path / "suite")
    assert kept_digest(done.dest) == digest(TASK)
    assert json.loads((done.dest / "import.json").read_text())["source"] == f"harbor://me/one@sha256:{'1' * 64}"
    with pytest.raises(UserError, match="cannot be downloaded"):
        bring(Path("harbor://me/other"), tmp_path / "other")


def test_without_harbors_command_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"`harbor` is not installed.*uv tool install harbor"):
        bring(Path("harbor://me/one"), tmp_path / "suite")


def command(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a program into the search path."""
    folder.mkdir()
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_fetch_that_does_not_end_refuses_its_task(
    plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"name": "far", "git_url": "https://x.org/me/tasks.git", "git_commit_id": "1" * 40, "path": "far"}
    rows = [task, {"name": "near", "path": "near"}]
    source = plant({f"near/{path}": text for path, text in TASK.items()})
    (source / "registry.json").write_text(json.dumps([{"name": "set", "version": "1", "tasks": rows}]))
    command(tmp_path / "bin", "git", monkeypatch, "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(repositories, "GIT_SECONDS", 0.1)
    done = bring(source / "registry.json", tmp_path / "suite")
    (refusal,) = done.refused
    assert (done.taken, refusal.id, "took more than 0.1 s" in refusal.feature) == (1, "far", True)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexec sleep 60\n", "#!/nowhere/to/be/found\n"])
def test_a_download_that_does_not_end_or_start_is_said_in_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path / "bin", "harbor", monkeypatch, text)
    monkeypatch.setattr(harbor_sources, "DOWNLOAD_SECONDS", 0.1)
    with pytest.raises(UserError, match="cannot be downloaded"):
        bring(Path("harbor://me/one"), tmp_path / "suite")
