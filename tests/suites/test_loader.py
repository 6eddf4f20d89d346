"""Loading suites: what is read, and what is refused with a line that names the mend."""

from __future__ import annotations

import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.errors import UserError
from agent.kernel.types import RewardKind, Split
from agent.suites import strictyaml
from agent.suites.loader import load_suite, split_of

GOOD = """
name: tiny
defaults:
  submit: [solution.py]
  check: [python3, -m, ratchet_check, test_solution.py]
tasks:
  - id: one
    split: search
    instruction: Write one().
    files: {solution.py: "def one(): ..."}
    tests: {test_solution.py: "def test_one(): assert True"}
    junit: 1
"""


def write(folder: Path, text: str) -> Path:
    (folder / "suite.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def test_a_good_suite_is_read(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))
    assert suite.name == "tiny"
    (task,) = suite.tasks
    assert (task.id, task.split, task.reward) == ("one", Split.SEARCH, RewardKind.JUNIT)
    assert task.files == {"solution.py": b"def one(): ..."}


def test_the_hash_changes_with_a_hidden_test_and_not_with_a_comment(tmp_path: Path) -> None:
    first = load_suite(write(tmp_path, GOOD)).hash
    assert load_suite(write(tmp_path, GOOD + "\n# a remark\n")).hash == first
    assert load_suite(write(tmp_path, GOOD.replace("assert True", "assert 1"))).hash != first


def test_a_folder_per_task_is_read(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("name: folders\ndefaults: {submit: ['*.py'], check: pytest}\n")
    task = tmp_path / "add-two"
    for part in ("files", "tests", "solution"):
        (task / part).mkdir(parents=True)
    (task / "task.yaml").write_text("junit: 2\nsplit: gate\n")
    (task / "instruction.md").write_text("Add two.\n")
    (task / "files" / "a.py").write_text("")
    (task / "tests" / "test_a.py").write_text("import a\n")
    (task / "solution" / "a.py").write_text("x = 1\n")
    (loaded,) = load_suite(tmp_path).tasks
    assert (loaded.id, loaded.split, loaded.check) == ("add-two", Split.GATE, ("bash", "-c", "pytest"))
    assert loaded.solution == {"a.py": b"x = 1\n"}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("junit: 1", "junit: 0", "junit"),
        ("junit: 1", "junit: true", "junit"),
        ("junit: 1", "", "junit"),
        ("id: one", "id: ../one", "id"),
        ("id: one", "id: 007", "id"),
        ("split: search", "split: train", "split"),
        ("instruction: Write one().", "instruction: 1.5", "instruction"),
        ("{solution.py:", "{/etc/passwd:", "/etc/passwd"),
        ("{solution.py:", "{../x.py:", "../x.py"),
        ("{solution.py:", "{.git/config:", ".git"),
        ("junit: 1", "jnuit: 1", "jnuit"),
        ("name: tiny", "name: tiny\nname: tiny", "duplicate"),
        ("name: tiny", "name: &a tiny", "anchors"),
        ("junit: 1", "junit: 1\n    solve_timeout: .nan", "solve_timeout"),
        ("junit: 1", "junit: 1\n    solve_timeout: 0", "solve_timeout"),
        ("junit: 1", "junit: 1\n    weight: -1.0", "weight"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(UserError) as error:
        load_suite(write(tmp_path, GOOD.replace(old, new)))
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_the_same_content_may_not_stand_in_two_tasks(tmp_path: Path) -> None:
    task = GOOD[GOOD.index("  - id: one") :]
    with pytest.raises(UserError, match="same content"):
        load_suite(write(tmp_path, GOOD + task.replace("id: one", "id: two").replace("search", "holdout")))


def test_equal_ids_are_refused(tmp_path: Path) -> None:
    task = GOOD[GOOD.index("  - id: one") :]
    with pytest.raises(UserError, match="twice"):
        load_suite(write(tmp_path, GOOD + task.replace("one()", "other()")))


def test_a_link_in_a_task_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "solution.py").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="link"):
        load_suite(write(tmp_path, GOOD.replace('{solution.py: "def one(): ..."}', "start")))


@given(st.text(min_size=1))
def test_a_split_is_a_stable_function_of_the_id(task_id: str) -> None:
    assert split_of(task_id) is split_of(task_id)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_as_a_user_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("yaml") / "suite.yaml"
    path.write_bytes(raw)
    with suppress(UserError):
        assert isinstance(strictyaml.load(path), dict)


def test_the_shipped_suite_loads_and_its_splits_are_disjoint(checkout: Path) -> None:
    suite = load_suite(checkout / "tasks" / "starter")
    assert len(suite.tasks) >= 60
    ids = [task.id for task in suite.tasks]
    assert len(set(ids)) == len(ids)
    assert all(suite.split(split) for split in Split)
