"""Each format: what becomes of a task, and what is refused by the name of its feature."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import UserError
from agent.base.types import RewardKind, Task
from agent.suites.importing.draft import Options
from agent.suites.importing.run import Imported, chosen, import_suite
from agent.suites.loader import load_suite

Trees = dict[str, dict[str, str]]


@pytest.fixture
def altered(plant: Any, under: Any, formats: Trees) -> Any:
    """A task of a format in which one text is replaced, or to which a file is added."""

    def write(kind: str, path: str, old: str, new: str) -> Path:
        files = dict(formats[kind])
        assert not old or old in files[path]
        files[path] = files[path].replace(old, new) if old else new
        root: Path = plant(under("one", files))
        return root

    return write


def imported(source: Path, kind: str = "auto", **options: Any) -> Imported:
    return import_suite(kind, source, source.parent / "suite", options=Options(**options))


def only(source: Path, kind: str = "auto", **options: Any) -> Task:
    (task,) = load_suite(imported(source, kind, **options).dest).tasks
    return task


def refused(source: Path, kind: str = "auto") -> str:
    """The reason of the one task that is refused, beside a good one or none."""
    with pytest.raises(UserError) as error:
        imported(source, kind)
    assert not (source.parent / "suite").exists()
    return str(error.value)


@pytest.mark.parametrize("kind", ["exercism", "harbor", "terminal-bench", "pytest"])
def test_a_format_is_recognised(kind: str, plant: Any, under: Any, formats: Trees) -> None:
    assert chosen("auto", plant(under("one", formats[kind]))).kind == kind


def test_humaneval_is_checked_in_another_process_with_the_helpers_of_the_prompt(rows: Any, human: Any) -> None:
    task = only(rows(human))
    assert (task.id, task.junit, task.submit) == ("human-7", 1, ("solution.py",))
    assert task.solution["solution.py"].decode() == human["prompt"] + human["canonical_solution"]
    namespace: dict[str, Any] = {}
    hidden = task.tests["test_solution.py"].decode()
    reference = task.solution["solution.py"].decode()
    called = []

    def remote(file: str, name: str, seconds: float) -> Any:
        called.append((file, name, seconds > 0))
        inside: dict[str, Any] = {}
        exec(reference, inside)  # noqa: S102 - this file's own text
        return inside[name]

    exec(hidden.replace("from ratchet_check import remote", ""), {"remote": remote} | namespace, namespace := {})  # noqa: S102
    assert called == [("solution.py", "four", True)]
    assert "test_check" in namespace


def test_a_compressed_file_is_read_and_mbpp_counts_its_asserts(tmp_path: Path, rows: Any, mbpp: Any) -> None:
    plain = rows(mbpp)
    packed = tmp_path / "mbpp.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    task = only(packed)
    assert (task.id, task.junit) == ("mbpp-11", 2)
    assert task.files["solution.py"].decode() == "import math\n\ndef odds(n):\n    raise NotImplementedError\n"
    assert "assert odds(1) == 1" in task.instruction
    assert "assert odds(4)" not in task.instruction


def test_a_function_that_is_called_like_a_test_is_none(rows: Any, mbpp: Any) -> None:
    code = "def test_odd(n):\n    return n % 2 == 1"
    task = only(rows(mbpp | {"code": code, "test_list": ["assert test_odd(1)", "assert not test_odd(4)"]}))
    hidden = task.tests["test_solution.py"].decode()
    assert task.junit == 2
    namespace: dict[str, Any] = {"remote": lambda *_, **__: lambda n: n % 2 == 1}
    exec(hidden.replace("from ratchet_check import remote", ""), namespace)  # noqa: S102 - this file's own text
    tests = [name for name in namespace if name.startswith("test")]
    assert tests == ["test_1", "test_2"]
    for name in tests:
        namespace[name]()


def test_mbpp_with_a_class_of_the_solution_is_refused(rows: Any, mbpp: Any) -> None:
    code = "class Pair:\n    pass\n\ndef odds(n):\n    return n"
    said = refused(rows(mbpp | {"code": code, "test_list": ["assert odds(Pair()) == 1"]}))
    assert "class Pair" in said


def test_exercism_gives_solution_tests_and_all_of_its_instructions(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("exercises/practice/purse", formats["exercism"]))
    task = only(source)
    assert (task.id, task.submit, task.junit) == ("purse", ("purse.py",), 2)
    assert set(task.files) == {"purse.py"}
    assert set(task.tests) == {"purse_test.py"}
    assert task.solution["purse.py"] == b"def total(coins):\n    return sum(coins)\n"
    assert [word in task.instruction for word in ("A purse", "Write `total", "No coins", "in `purse.py`")] == [True] * 4
    assert task.meta["exercism"]["authors"] == ["someone"]


def test_tests_in_other_languages_need_a_check(plant: Any, under: Any, formats: Trees) -> None:
    config = {"files": {"solution": ["lib.rs"], "test": ["t.rs"], "example": [".meta/example.rs"]}}
    files = {
        ".meta/config.json": json.dumps(config),
        ".meta/example.rs": "fn a() -> i32 { 1 }",
        ".docs/instructions.md": "Do it.",
        "lib.rs": "fn a() -> i32 { todo!() }",
        "t.rs": "#[test] fn x() {}",
        "Cargo.toml": "[package]",
    }
    source = plant(
        under("rust/exercises/practice/one", files) | under("python/exercises/practice/two", formats["exercism"])
    )
    report = imported(source)
    assert [(r.id, ".rs files" in r.feature) for r in report.refused] == [("rust-one", True)]
    again = import_suite(
        "exercism", source, source.parent / "other", options=Options(check="cargo test", image="rust:1")
    )
    tasks = {task.id: task for task in load_suite(again.dest).tasks}
    assert tasks["rust-one"].check == ("bash", "-c", "cargo test")
    assert (tasks["rust-one"].reward, tasks["rust-one"].image) == (RewardKind.EXIT, "rust:1")
    assert set(tasks["rust-one"].files) == {"lib.rs", "Cargo.toml"}


def test_a_harbor_task_that_runs_pytest_is_judged_by_its_report(plant: Any, under: Any, formats: Trees) -> None:
    task = only(plant(under("count-lines", formats["harbor"])))
    assert (task.id, task.image, task.junit, task.tags) == ("count-lines", "ubuntu:24.04", 2, ("files",))
    assert (task.solve_timeout, task.check_timeout, task.cpus, task.memory_mb) == (90, 30, 1, 512)
    assert task.files == {"log.txt": b"one\ntwo\nthree\n"}
    assert ".tests/test_state.py" in task.tests
    assert task.check[-1] == "/tests/test_state.py"
    assert "ln -s /workspace /app" in task.build[-1]
    assert task.meta["harbor"]["task.toml"]["metadata"]["author_name"] == "someone"
    assert task.meta["harbor"]["solution"]["solve.sh"].startswith("#!/bin/bash\nwc")


def test_a_harbor_task_with_a_script_of_its_own_gives_its_reward_file(plant: Any, under: Any, formats: Trees) -> None:
    task = only(plant(under("count", formats["rewarded"])), image="own")
    assert (task.reward, task.reward_path, task.image) == (RewardKind.FILE, "/logs/verifier/reward.json", None)
    assert task.whole  # its reference works outside of the working directory
    assert "bash /tests/test.sh" in task.check[-2]


@pytest.mark.parametrize(
    ("path", "old", "new", "feature"),
    [
        ("task.toml", "cpus = 1", "gpus = 1", "environment.gpus"),
        ("task.toml", "cpus = 1", "cpus = 1\n[environment.healthcheck]\ncommand = 'x'", "environment.healthcheck"),
        (
            "task.toml",
            "cpus = 1",
            'cpus = 1\n[environment.env]\nKEY = "${KEY}"',
            "env.KEY takes a variable of the host",
        ),
        ("task.toml", "timeout_sec = 30.0", "timeout_sec = -1.0", "check_timeout"),
        ("environment/docker-compose.yaml", "", "services: {}\n", "several containers"),
        ("environment/Dockerfile", "WORKDIR /app", "WORKDIR /app\nUSER $X", "Dockerfile line 5: USER"),
        ("environment/Dockerfile", "COPY log.txt ./", "COPY log.txt /tests/", "which a box fills itself"),
        ("environment/Dockerfile", "COPY log.txt ./", "COPY --from=$A log.txt ./", "line 5: COPY"),
        ("environment/Dockerfile", "COPY log.txt ./", "COPY ../log.txt ./", "from outside of the build context"),
        ("environment/Dockerfile", "COPY log.txt ./", "RUN <<E\nx\n", "here-document"),
        ("environment/Dockerfile", "COPY log.txt ./", "FROM scratch", "line 5: FROM scratch"),
        ("environment/Dockerfile", "WORKDIR /app", "WORKDIR /proc", "a working directory /proc"),
        ("tests/test.sh", "#!/bin/bash\n", "#!/bin/bash\ngit clone https://x.org/y\n", "line 2: needs a network"),
        ("steps/1/instruction.md", "", "Go.", "several steps"),
    ],
)
def test_what_a_box_cannot_do_is_refused_by_its_name(path: str, old: str, new: str, feature: str, altered: Any) -> None:
    assert feature in refused(altered("harbor", path, old, new), "harbor")


def test_terminal_bench_runs_pytest_by_itself(plant: Any, under: Any, formats: Trees) -> None:
    task = only(plant(under("words", formats["terminal-bench"])))
    assert (task.id, task.junit, task.solve_timeout, task.check_timeout) == ("words", 1, 180, 40)
    assert task.files == {"words.txt": b"a b c\n"}
    assert task.env["TEST_DIR"] == "/tests"
    assert task.meta["terminal-bench"]["solution"]["solution.sh"].endswith("count.txt\n")


@pytest.mark.parametrize(
    ("path", "old", "new", "feature"),
    [
        ("task.yaml", "parser_name: pytest", "parser_name: swebench", "parser_name = 'swebench'"),
        ("task.yaml", "same_shell: false", "same_shell: true", "run_tests_in_same_shell"),
        ("task.yaml", "difficulty: easy", "difficulty: easy\nbase_image: x", "task.yaml: base_image"),
        ("docker-compose.yaml", "services:\n", "services:\n  db: {image: x}\n", "several containers"),
        ("docker-compose.yaml", "    volumes:\n", "    privileged: true\n    volumes:\n", "services.client.privileged"),
        ("run-tests.sh", "bash $TEST", "./start-server &\nbash $TEST", "does more than to install and run pytest"),
    ],
)
def test_terminal_bench_features_are_refused_by_their_names(
    path: str, old: str, new: str, feature: str, altered: Any
) -> None:
    assert feature in refused(altered("terminal-bench", path, old, new), "terminal-bench")


def test_a_plain_folder_is_one_task(plant: Any, formats: Trees) -> None:
    task = only(plant(formats["pytest"]))
    assert (task.id, task.submit, task.junit) == ("source", ("sums.py",), 1)
    assert (set(task.files), set(task.tests)) == ({"sums.py"}, {"tests/test_sums.py"})
    assert set(task.solution) == {"sums.py"}


def test_a_plain_folder_without_a_question_is_refused(plant: Any, formats: Trees) -> None:
    files = {path: text for path, text in formats["pytest"].items() if path != "README.md"}
    assert "no instruction.md" in refused(plant(files))
