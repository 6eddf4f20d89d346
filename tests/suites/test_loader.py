"""Loading suites: what is read, and what is refused with a line that names the fix."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import UserError
from agent.base.types import RewardKind, Split
from agent.suites.loader import load_suite, split_of
from agent.suites.quarantine import QUARANTINE, quarantine

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
    (tmp_path / "suite.yaml").write_text("name: folders\ndefaults: {submit: [a.py], check: pytest}\n")
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


LONG_TEST = "def test_one(): assert one() == 1  # forty bytes or so"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("junit: 1", "junit: 0", "line 12: task one: tasks.0.junit: 0 is too small"),
        ("junit: 1", "junit: true", "junit"),
        ("junit: 1", "", "junit: is missing"),
        ("id: one", "id: ../one", "line 7: tasks.0.id|task ../one: tasks.0.id"),
        ("id: one", "id: One", "not a plain name"),
        ("id: one", "id: 007", "line 7: tasks.id: '007'"),
        ("id: one", "id: 7", "Put it in quotes"),
        ("id: one", "id: no", "'no' can be read"),
        ("split: search", "split: train", "split"),
        ("instruction: Write one().", "instruction: 1.5", "line 9: task one: tasks.0.instruction"),
        ("instruction: Write one().", "instruction: ' '", "instruction: is empty"),
        (
            "instruction: Write one().",
            "instruction: {file: nowhere.md}",
            "nowhere.md: cannot be read",
        ),
        ("instruction: Write one().", "instruction: {file: ../x.md}", "plain relative path"),
        ("instruction: Write one().", "instruction: {fiel: x.md}", "Did you mean 'file'"),
        ("{solution.py:", "{/etc/passwd:", "'/etc/passwd' is absolute"),
        ("{solution.py:", "{../x.py:", "'../x.py'"),
        ("{solution.py:", "{a/.GIT/config:", "reaches into .git"),
        ("{solution.py:", "{'a\\\\b':", "backslash"),
        ("{solution.py:", '{"a\\nb":', "control character"),
        ("{solution.py:", "{Solution.py: '', solution.py:", "one name where case"),
        ("{solution.py:", "{src/a.py: '', SRC/b.py: '', solution.py:", "one name where case"),
        ("{solution.py:", "{'caf\u00e9': '', 'cafe\u0301': '', solution.py:", "one name where case"),
        ("{solution.py:", "{a: '', a/b: '', solution.py:", "is a file and a folder"),
        ("junit: 1", "jnuit: 1", "line 12: task one: tasks.0.jnuit: unknown key. Did you mean 'junit'"),
        ("name: tiny", "name: tiny\nname: tiny", "line 3: duplicate key 'name'"),
        ("name: tiny", "name: &a tiny", "anchors"),
        ("junit: 1", "junit: 1\n    solve_timeout: .nan", "not a finite number"),
        ("junit: 1", "junit: 1\n    solve_timeout: true", "solve_timeout"),
        ("junit: 1", "junit: 1\n    solve_timeout: 0", "line 13: task one: tasks.0.solve_timeout"),
        ("junit: 1", "junit: 1\n    check_timeout: -1.5", "check_timeout"),
        ("junit: 1", "junit: 1\n    weight: 2", "weight: does nothing in the search split"),
        ("split: search", "split: gate\n    weight: 0", "the gate tasks weigh nothing"),
        ("split: search", "split: gate\n    weight: -1.0", "weight"),
        ("junit: 1", "junit: 1\n    network: bridge", "'none'"),
        ("junit: 1", "junit: 1\n    user: 0", "user"),
        ("junit: 1", "junit: 1\n    user: root", "user"),
        ("junit: 1", "junit: 1\n    env: {PYTHONPATH: x}", "set by Ratchet itself"),
        ("junit: 1", "junit: 1\n    env: {'a b': x}", "the name of an environment variable"),
        ("junit: 1", "junit: 1\n    env: {DEBUG: 1}", "env.DEBUG: 1 is not text. Put it in quotes"),
        ("junit: 1", "junit: 1\n    workdir: /app", "is absolute"),
        ("junit: 1", "junit: 1\n    workdir: app", "no starting file stands in 'app'"),
        ("junit: 1", "junit: 1\n    build: [ADD a b]", "'ADD a b' is not offered"),
        ("junit: 1", "junit: 1\n    build: [COPY a b]", "COPY takes `a`, which is not in the task's starting files"),
        ("junit: 1", "junit: 1\n    check_build: [COPY ../a b]", "not below the top"),
        ("junit: 1", "junit: 1\n    stages: {s: [RUN a]}", "stages.s: does not begin with FROM and an image"),
        ("junit: 1", "junit: 1\n    stages: {s: [FROM $X]}", "stages.s: does not begin with FROM and an image"),
        ("junit: 1", "junit: 1\n    stages: {s: [FROM a, COPY --from=t /x /y]}", "stages.s: 'COPY --from=t /x /y' has"),
        ("junit: 1", "junit: 1\n    build: [COPY --from=s /x /y]", "has the option '--from=s'"),
        ("junit: 1", 'junit: 1\n    build: ["RUN a\\nUSER root"]', "more than one instruction"),
        ("junit: 1", "junit: 1\n    reward_path: out", "does nothing with reward: junit"),
        ("junit: 1", "reward: file", "reward_path: is missing"),
        ("junit: 1", "reward: file\n    reward_path: /logs/r.txt", "is absolute"),
        ("junit: 1", "reward: exit\n    junit: 1", "does nothing with reward: exit"),
        ("[solution.py]", "[]", "submit: is missing"),
        ("[solution.py]", "['/x']", "is absolute"),
        ("[solution.py]", "['**']", "line 4: task one: submit|matches the hidden test 'test_solution.py'"),
        ("check: [", "check: [' ', ", "empty word"),
        ("def test_one(): assert True", " ", "tests: is empty"),
        ('{test_solution.py: "def test_one(): assert True"}', "{}", "tests: is empty"),
        ("junit: 1", "junit: 1\n    solution: {other.py: x}", "matched by no submit glob"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError) as error:
        load_suite(write(tmp_path, GOOD.replace(old, new)))
    assert any(part in str(error.value) for part in named.split("|")), str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in error.value.field


@pytest.mark.parametrize("leak", ["instruction", "files"])
def test_a_hidden_test_that_shows_where_the_solver_looks_is_refused(tmp_path: Path, leak: str) -> None:
    text = GOOD.replace("def test_one(): assert True", LONG_TEST)
    load_suite(write(tmp_path, text))
    told = {"instruction": ("Write one().", f"'Make it pass: {LONG_TEST}'"), "files": ("def one(): ...", LONG_TEST)}
    with pytest.raises(UserError, match=rf"{leak}: .*holds the hidden test 'test_solution.py'"):
        load_suite(write(tmp_path, text.replace(*told[leak])))


def test_equal_ids_are_named_with_both_places(tmp_path: Path) -> None:
    task = GOOD[GOOD.index("  - id: one") :]
    with pytest.raises(UserError, match=r"line 13: task one: id: the id stands twice, also in .*suite.yaml task 'one'"):
        load_suite(write(tmp_path, GOOD + task.replace("one()", "other()")))


def make_task(root: Path, name: str = "add-two", yaml: str = "junit: 2\nsplit: gate\n") -> Path:
    (root / "suite.yaml").write_text("name: folders\ndefaults: {submit: [a.py], check: pytest}\n")
    task = root / name
    for part in ("files", "tests", "solution"):
        (task / part).mkdir(parents=True)
    (task / "task.yaml").write_text(yaml)
    (task / "instruction.md").write_text("Add two.\n")
    (task / "files" / "a.py").write_text("")
    (task / "tests" / "test_a.py").write_text("import a\n")
    (task / "solution" / "a.py").write_text("x = 1\n")
    return task


def test_bytes_that_are_no_text_may_be_a_tasks_files(tmp_path: Path) -> None:
    (make_task(tmp_path) / "files" / "data.bin").write_bytes(b"\xff\x00")
    assert load_suite(tmp_path).tasks[0].files["data.bin"] == b"\xff\x00"


def test_what_tools_leave_behind_is_no_part_of_a_task(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    before = load_suite(tmp_path).hash
    (task / "tests" / "__pycache__").mkdir()
    (task / "tests" / "__pycache__" / "test_a.pyc").write_bytes(b"x")
    assert load_suite(tmp_path).hash == before


def _link(task: Path) -> None:
    (task / "files" / "b.py").symlink_to("/etc/passwd")


def _linked_part(task: Path) -> None:
    (task / "files").rename(task / "real")
    (task / "files").symlink_to(task / "real")


def _linked_task(task: Path) -> None:
    task.rename(task.parent / "real")
    task.symlink_to(task.parent / "real")


def _pipe(task: Path) -> None:
    os.mkfifo(task / "files" / "b.py")


def _bad_name(task: Path) -> None:
    (task / os.fsdecode(b"files/\xff.py")).write_text("")


def _git(task: Path) -> None:
    (task / "files" / ".git").mkdir()
    (task / "files" / ".git" / "config").write_text("")


def _latin(task: Path) -> None:
    (task / "instruction.md").write_bytes("Zähle.".encode("latin-1"))


def _nul(task: Path) -> None:
    (task / "instruction.md").write_bytes(b"one\ntwo\0")


def _twice(task: Path) -> None:
    (task / "task.yaml").write_text("junit: 2\ninstruction: Other.\n")


def _both_trees(task: Path) -> None:
    (task / "task.yaml").write_text("junit: 2\nfiles: {a.py: x}\n")


def _path_like(task: Path) -> None:
    task.rename(task.parent / "Add Two")


def _too_much(task: Path) -> None:
    (task / "files" / "big").write_bytes(bytes((8 << 20) + 1))


def _unknown_key(task: Path) -> None:
    (task / "task.yaml").write_text("split: gate\njunti: 2\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_link, "'b.py' is a link"),
        (_linked_part, "link"),
        (_linked_task, "is a link"),
        (_pipe, "special file"),
        (_bad_name, "not valid UTF-8"),
        (_git, "reaches into .git"),
        (_latin, "instruction.md line 1: not UTF-8"),
        (_nul, "instruction.md line 2: holds the control character U\\+0000"),
        (_twice, "line 2: task add-two: instruction: is in task.yaml and in instruction.md"),
        (_both_trees, "line 2: task add-two: files: is in task.yaml and in the folder"),
        (_path_like, "not a plain name"),
        (_too_much, "larger than 8 MiB"),
        (_unknown_key, "task.yaml line 2: task add-two: junti: unknown key. Did you mean 'junit'"),
    ],
)
def test_a_spoilt_task_folder_is_refused(tmp_path: Path, spoil: Callable[[Path], None], named: str) -> None:
    spoil(make_task(tmp_path))
    with pytest.raises(UserError, match=named):
        load_suite(tmp_path)


def test_every_field_reaches_the_task(tmp_path: Path) -> None:
    extra = """
    instruction: {file: ask.md}
    workdir: app
    solve_timeout: 60
    check_timeout: 9.5
    env: {MODE: "1"}
    user: 1000
    cpus: 2
    memory_mb: 256
    network: none
    tags: [easy]
    image: "some/image:1"
    build: [RUN true, "ENV A=b"]
    reward: file
    reward_path: app/score.json
    reward_key: points
    meta: {source: {id: "007", at: [1, 2.5, null]}}
"""
    text = GOOD.replace("    instruction: Write one().\n    files: {", "    files: {app/x: z, ")
    (tmp_path / "ask.md").write_text("Write one().\n")
    (task,) = load_suite(write(tmp_path, text.replace("    junit: 1\n", extra.lstrip("\n")))).tasks
    assert (task.instruction, task.workdir, task.solve_timeout, task.check_timeout) == (
        "Write one().\n",
        "app",
        60,
        9.5,
    )
    assert (task.env, task.user, task.cpus, task.memory_mb) == ({"MODE": "1"}, 1000, 2, 256)
    assert (task.image, task.build) == ("some/image:1", ("RUN true", "ENV A=b"))
    assert (task.reward, task.reward_path, task.reward_key) == (RewardKind.FILE, "app/score.json", "points")
    assert (task.tags, task.meta) == (("easy",), {"source": {"id": "007", "at": [1, 2.5, None]}})


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        ("junit: 1", "junit: 1\n    check_timeout: 31", True),
        ("junit: 1", "junit: 1\n    env: {A: b}", True),
        ("junit: 1", "junit: 1\n    build: [RUN true]", True),
        ("junit: 1", "junit: 1\n    files: {b.py: x}", True),
        ("split: search", "split: gate", True),
        ("junit: 1", "junit: 1\n    tags: [easy]", False),
        ("junit: 1", "junit: 1\n    meta: {a: b}", False),
        ("junit: 1", "junit: 1\n    solution: {solution.py: x}", False),
        ("junit: 1", "junit: 1\n    check_timeout: 30", False),
    ],
)
def test_the_hash_covers_what_can_change_a_score(tmp_path: Path, old: str, new: str, moves: bool) -> None:
    first = load_suite(write(tmp_path, GOOD)).hash
    text = GOOD.replace('    files: {solution.py: "def one(): ..."}\n', "") if "files" in new else GOOD
    assert (load_suite(write(tmp_path, text.replace(old, new))).hash != first) is moves


def test_the_hash_is_the_same_for_a_task_inline_and_in_a_folder(tmp_path: Path) -> None:
    make_task(tmp_path)
    in_folder = load_suite(tmp_path).hash
    inline = tmp_path / "inline"
    inline.mkdir()
    head = "name: x\ntasks:\n- {id: add-two, split: gate, junit: 2, submit: [a.py], check: pytest, files: {a.py: ''}"
    (inline / "suite.yaml").write_text(head + ', instruction: "Add two.\\n", tests: {test_a.py: "import a\\n"}}\n')
    assert load_suite(inline).hash == in_folder


def test_a_task_in_quarantine_is_in_no_split(tmp_path: Path) -> None:
    make_task(tmp_path)
    make_task(tmp_path, "add-three")
    (tmp_path / "add-three" / "instruction.md").write_text("Add three.\n")
    whole = load_suite(tmp_path)
    quarantine(tmp_path, {"add-three": "flaky: 1 and 0"})
    suite = load_suite(tmp_path)
    assert ([task.id for task in suite.tasks], suite.quarantined) == (["add-two"], ("add-three",))
    assert suite.hash != whole.hash
    with pytest.raises(UserError, match="every task is in quarantine"):
        load_suite(_also(tmp_path, "add-two"))
    with pytest.raises(UserError, match="line 4: gone: there is no such task"):
        load_suite(_also(tmp_path, "gone"))


def _also(folder: Path, name: str) -> Path:
    (folder / QUARANTINE).unlink()
    quarantine(folder, {"add-three": "flaky", name: "flaky"})
    return folder


def test_a_quarantine_whose_lines_were_taken_out_holds_nobody(tmp_path: Path) -> None:
    make_task(tmp_path)
    (tmp_path / QUARANTINE).write_text("# nobody\n")
    assert load_suite(tmp_path).quarantined == ()


def test_the_same_content_may_not_stand_in_two_tasks(tmp_path: Path) -> None:
    task = GOOD[GOOD.index("  - id: one") :]
    with pytest.raises(UserError, match="same content"):
        load_suite(write(tmp_path, GOOD + task.replace("id: one", "id: two").replace("search", "holdout")))


def test_a_link_in_a_task_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "solution.py").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="link"):
        load_suite(write(tmp_path, GOOD.replace('{solution.py: "def one(): ..."}', "start")))


@given(st.text(min_size=1))
def test_a_split_is_a_stable_function_of_the_id(task_id: str) -> None:
    assert split_of(task_id) is split_of(task_id)


def test_the_shipped_suite_loads_and_its_splits_are_disjoint(checkout: Path) -> None:
    suite = load_suite(checkout / "tasks" / "starter")
    assert len(suite.tasks) >= 60
    ids = [task.id for task in suite.tasks]
    assert len(set(ids)) == len(ids)
    assert all(suite.split(split) for split in Split)


def test_a_shipped_suite_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_suite(Path("polyglot-mini")).name == "polyglot-mini"
    with pytest.raises(UserError, match=r"no such suite.*agentic, polyglot-mini, starter"):
        load_suite(Path("startr"))
