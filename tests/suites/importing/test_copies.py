"""Tasks whose own image would hold their tests and their reference, and volumes of the host."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.base.types import RewardKind
from agent.suites.importing import container
from tests.suites.importing.shapes import COPIED, SEPARATE, TASK, TEMPLATE

DOCKERFILE, COMPOSE = "environment/Dockerfile", "environment/docker-compose.yaml"
SECRETS = [COPIED[path] for path in ("tests/test.sh", "tests/judge.sh", "solution/solve.sh", "solution/right.txt")]
MACHINE = {DOCKERFILE: "FROM a\nCOPY . /srv/work\nWORKDIR /srv/work\nRUN git init\n"}
OURS = ".tests/.ratchet"


def readable(task: Any) -> str:
    """All that a solver can read: the starting files, and what the image's layers write."""
    layers = [base64.b64decode(text).decode() for text in re.findall(r"echo (\S+) \| base64", "\n".join(task.build))]
    return "\n".join([*layers, *task.build, *(body.decode() for body in task.files.values()), task.instruction])


def places(task: Any) -> dict[str, str]:
    """Where tests are put back to, by their paths in the image's `/tests`."""
    found = next((body for path, body in task.tests.items() if path.endswith(".ratchet/back.json")), b"[]")
    return dict(json.loads(found))


# ---------------------------------------------------------------------------- what is left out


@pytest.mark.parametrize("changes", [{}, MACHINE], ids=["strict", "machine"])
def test_copies_of_hidden_files_do_not_come_into_the_image(changes: dict[str, str], taken: Any) -> None:
    task, remarks = taken(COPIED, changes)
    top = "/srv/work" if changes else "/app"
    assert bool(changes) == task.whole
    assert not [secret for secret in SECRETS if secret.strip() in readable(task)]
    assert f"RUN mkdir -p {top}/solution {top}/tests" in task.build, "later lines may work in these folders"
    said = f"copies of hidden files in {top}/solution, {top}/tests are left out of the image"
    assert any(remark.endswith(said) for remark in remarks)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("oracle.sh", COPIED["solution/solve.sh"]),
        ("deep/solution/solve.sh", COPIED["solution/solve.sh"]),
        ("solution/solve.sh", COPIED["solution/solve.sh"] + "\n"),
        ("solution/solve.sh", COPIED["solution/solve.sh"].replace("\n", "\r\n")),
    ],
)
def test_a_reference_is_found_under_another_name_or_with_other_line_ends(path: str, body: str, taken: Any) -> None:
    changes = {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . .\n", f"environment/{path}": body}
    task, _ = taken({key: text for key, text in COPIED.items() if "environment/solution" not in key}, changes)
    assert "cp /solution/right.txt" not in readable(task).replace("\r", "")


def test_a_hidden_file_counts_even_where_harborignore_leaves_it_out(taken: Any) -> None:
    secret = {"solution/notes.md": "the answer is 42\n", "environment/solution/notes.md": "the answer is 42\n"}
    task, _ = taken(COPIED | secret, {".harborignore": "solution/notes.md\n"})
    assert "the answer is 42" not in readable(task)


def test_a_copy_that_is_named_is_left_out_as_well(taken: Any) -> None:
    dockerfile = "FROM a\nWORKDIR /app\nCOPY tests/judge.sh data.txt /app/checks/\nCOPY solution /app/ref\n"
    task, _ = taken(COPIED, {DOCKERFILE: dockerfile})
    assert sorted(task.files) == [".volumes/shared/.keep", "checks/data.txt", "ref/.keep"]
    assert places(task) == {"/tests/judge.sh": "/workspace/checks/judge.sh"}


def test_what_only_has_the_name_of_a_hidden_file_stays(taken: Any) -> None:
    """The task starts with a reference that is broken on purpose, with tests of its own, and with an empty file."""
    own = {"solution/solve.sh": "echo broken\n", "tests/mine.sh": "echo mine\n", "tests/empty": ""}
    files = {f"environment/{path}": body for path, body in own.items()}
    task, remarks = taken(TASK | {"tests/empty": ""}, {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . .\n", **files})
    assert {path: body.decode() for path, body in task.files.items()} == own
    assert places(task) == {}
    assert not any("left out" in remark or "put back" in remark for remark in remarks)


def test_data_that_the_instruction_names_is_there_to_be_worked_with(taken: Any) -> None:
    data = {f"{top}tests/cases.csv": "1,2\n" * 20 for top in ("", "environment/")}
    given = {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . .\n", **data}
    task, _ = taken(TASK, given | {"instruction.md": "Sum the numbers of tests/cases.csv into answer.txt\n"})
    assert "1,2" in readable(task)
    task, _ = taken(TASK, given)
    assert "1,2" not in readable(task)


def test_a_file_that_a_later_line_copies_over_a_hidden_one_is_the_tasks_own(taken: Any) -> None:
    stub = {
        DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . .\nCOPY stub.sh tests/judge.sh\n",
        "environment/stub.sh": "mine\n",
    }
    task, _ = taken(COPIED, stub)
    assert task.files["tests/judge.sh"] == b"mine\n"
    assert "/tests/judge.sh" not in places(task)
    task, _ = taken(COPIED, stub | {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY stub.sh tests/judge.sh\nCOPY . .\n"})
    assert "tests/judge.sh" not in task.files
    assert places(task)["/tests/judge.sh"] == "/workspace/tests/judge.sh"


def test_what_docker_does_not_send_to_the_build_was_never_in_the_image(taken: Any) -> None:
    ignored = {"environment/.dockerignore": "# not these\ntests\n./solution/\n*.txt\n!data.txt\n"}
    task, remarks = taken(COPIED, ignored)
    assert sorted(task.files) == [".dockerignore", ".volumes/shared/.keep", "data.txt"]
    assert places(task) == {}
    assert not any("left out" in remark for remark in remarks)


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("FROM a AS m\nCOPY tests /m\nFROM a\nCOPY --from=m /m /app/m\nWORKDIR /app\n", "a hidden file, into a stage"),
        ("FROM a\nWORKDIR /app\nCOPY . .\nRUN chmod +x /app/tests/test.sh\n", "RUN uses '/app/tests/"),
        ("FROM a\nWORKDIR /app\nCOPY . .\nRUN pip install -r tests/wanted.txt\n", "a hidden test"),
        ("FROM a\nWORKDIR /app\nCOPY . .\nRUN rm -rf tests solution\n", "a hidden test"),
        ("FROM a\nWORKDIR /app\nCOPY tests /opt/t\nRUN cp -r /opt/t /opt/checks\n", "a hidden test"),
        ("FROM a\nWORKDIR /app\nCOPY tests/ /tests/suite/\n", "which a box fills itself"),
        ("FROM a\nWORKDIR /app\nCOPY tests/judge.sh /tests/run.sh\n", "which a box fills itself"),
        ("FROM a\nWORKDIR /app\nCOPY tests /proc/x\n", "which a box fills itself"),
        ("FROM a\nWORKDIR /app\nCOPY <<'E' /checks/judge.sh\n" + COPIED["tests/judge.sh"] + "E\n", "holds the hidden"),
    ],
)
def test_an_image_that_needs_hidden_files_is_refused(dockerfile: str, reason: str, refused: Any) -> None:
    assert reason in refused(COPIED, {DOCKERFILE: dockerfile})


@pytest.mark.parametrize(
    "said", ["Repair tests/.", "See /app/tests/judge.sh.", "Run judge.sh.", "Look into `/app/tests/`."]
)
def test_tests_that_the_instruction_says_to_work_on_are_no_copies_to_leave_out(said: str, refused: Any) -> None:
    assert refused(COPIED, {"instruction.md": f"{said}\n"}).endswith(
        "copy of a hidden test, and the instruction names it"
    )


def test_a_line_may_work_where_the_reference_would_be(taken: Any) -> None:
    line = "RUN rm -f /app/solution/right.txt && echo start > /app/solution/right.txt\n"
    task, _ = taken(COPIED, {DOCKERFILE: f"FROM a\nWORKDIR /app\nCOPY . .\n{line}"})
    assert line.strip() in task.build


# ---------------------------------------------------------------------------- grading


@pytest.mark.parametrize("changes", [{}, MACHINE], ids=["strict", "machine"])
def test_grading_puts_the_tests_back_where_the_image_had_them(changes: dict[str, str], taken: Any) -> None:
    task, remarks = taken(COPIED, changes)
    top, helpers = ("/srv/work", "/tests/.ratchet") if changes else ("/workspace", f"/workspace/{OURS}")
    assert places(task) == {f"/tests/{name}": f"{top}/tests/{name}" for name in ("judge.sh", "test.sh", "wanted.txt")}
    command = task.check[task.check.index("-c") + 1]
    assert re.search(rf"rm -f \S+ \S+; \S+ -I {helpers}/back.py \|\| exit 1; bash /tests/test.sh; ", command)
    assert "tests of which the image would have copies are put back there to grade" in remarks


def test_tests_outside_of_the_working_directory_make_the_task_a_machine(taken: Any) -> None:
    dockerfile = "FROM a\nCOPY . /app\nWORKDIR /app/src\nCOPY data.txt .\n"
    task, _ = taken(COPIED, {DOCKERFILE: dockerfile})
    assert task.whole
    assert places(task)["/tests/judge.sh"] == "/app/tests/judge.sh"


def test_copies_to_where_grading_lays_them_need_nothing(taken: Any) -> None:
    dockerfile = "FROM a\nCOPY tests/ /tests/\nCOPY solution/ /solution/\nWORKDIR /app\n"
    task, remarks = taken(COPIED, {DOCKERFILE: dockerfile})
    assert not re.search(r"RUN mkdir -p /(tests|solution)", "\n".join(task.build)), "there a box has its own links"
    assert places(task) == {}
    assert any(remark.endswith("hidden files in /solution, /tests are left out of the image") for remark in remarks)
    assert not any("put back" in remark for remark in remarks)


def test_a_script_that_only_runs_pytest_is_still_judged_by_its_report(taken: Any) -> None:
    both = {f"{top}tests/data.txt": "x\n" for top in ("", "environment/")}
    task, _ = taken(TEMPLATE, {DOCKERFILE: "FROM ubuntu:24.04\nWORKDIR /app\nCOPY . /app\n", **both})
    assert task.reward is RewardKind.JUNIT
    assert list(task.check[:3]) == ["python3", "-I", f"/workspace/{OURS}/back.py"]
    assert "--junitxml=$RATCHET_JUNIT" in task.check
    assert places(task) == {"/tests/data.txt": "/workspace/tests/data.txt"}


def test_a_separate_verifier_has_its_own_tests_unless_it_is_the_same_image(taken: Any) -> None:
    files = COPIED | {key: SEPARATE[key] for key in ("task.toml",)} | {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . .\n"}
    files.pop(COMPOSE)
    task, remarks = taken(files)
    assert places(task), "the task's own image grades"
    task, remarks = taken(files, {"tests/Dockerfile": "FROM b\nWORKDIR /app\n"})
    assert places(task) == {}
    assert not any("put back" in remark for remark in remarks)


def put_back(folder: Path, place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the program that puts tests back, with one file."""
    (folder / "test.sh").write_text("#!/bin/sh\necho the test\n")
    (folder / "back.py").write_bytes(container.helper("back.py"))
    (folder / "back.json").write_text(json.dumps([[str(folder / "test.sh"), str(place)]]))
    argv = [sys.executable, "-I", str(folder / "back.py"), *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("before", ["nothing", "file", "folder", "link"])
def test_whatever_stands_there_is_replaced_by_a_test_that_can_be_run(before: str, tmp_path: Path) -> None:
    place, other = tmp_path / "app" / "tests" / "test.sh", tmp_path / "other"
    other.write_text("mine\n")
    place.parent.mkdir(parents=True)
    if before == "file":
        place.write_text("exit 0\n")
    elif before == "folder":
        (place / "inside").mkdir(parents=True)
    elif before == "link":
        place.symlink_to(other)
    done = put_back(tmp_path, place, "sh", "-c", f"{place}; exit 3")
    assert (done.stdout, done.returncode) == ("the test\n", 3)
    assert not place.is_symlink()
    assert other.read_text() == "mine\n"


@pytest.mark.parametrize("before", ["link", "file"])
def test_a_place_that_cannot_be_had_ends_the_check_before_its_command(before: str, tmp_path: Path) -> None:
    """A solver may leave a link on the way, to have its own file run, or a file where a folder must be."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "app").mkdir()
    if before == "link":
        (tmp_path / "app" / "tests").symlink_to(tmp_path / "mine")
    else:
        (tmp_path / "app" / "tests").write_text("")
    done = put_back(tmp_path, tmp_path / "app" / "tests" / "test.sh", "echo", "never")
    assert done.returncode == 1
    assert done.stdout.startswith("a hidden test cannot be put back: ")
    assert not list((tmp_path / "mine").iterdir())


# ---------------------------------------------------------------------------- volumes


def volumes(*lines: str) -> dict[str, str]:
    return {
        COMPOSE: "services:\n  main:\n    build: .\n    volumes:\n" + "".join(f"      - {line}\n" for line in lines)
    }


@pytest.mark.parametrize("dockerfile", [TASK[DOCKERFILE], MACHINE[DOCKERFILE]], ids=["strict", "machine"])
def test_a_volume_of_the_host_is_an_empty_folder_with_a_remark(dockerfile: str, taken: Any) -> None:
    task, remarks = taken(COPIED, {DOCKERFILE: dockerfile})
    assert any("/shared is an empty folder in a box" in remark for remark in remarks)
    if task.whole:
        assert "RUN rm -rf /shared && mkdir -p /shared" in task.build
    else:
        assert task.files[".volumes/shared/.keep"] == b""
        assert "RUN rm -rf /shared && mkdir -p / && ln -s /workspace/.volumes/shared /shared" in task.build
        assert ".volumes/**" in task.submit, "what is written there is handed in, as all else is"


def test_a_volume_inside_of_the_working_directory_hides_what_was_copied_there(taken: Any) -> None:
    files = {"environment/data/a.txt": "not seen\n", "environment/b.txt": "seen\n"}
    dockerfile = {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . .\n"}
    task, _ = taken(TASK, dockerfile | files | volumes("${CONTEXT_DIR}/..://app/data/:ro,Z"))
    assert {path: bytes(body) for path, body in task.files.items()} == {"b.txt": b"seen\n", "data/.keep": b""}


def test_volumes_of_the_harness_are_none_of_ours(taken: Any) -> None:
    logs = ["${HOST_VERIFIER_LOGS_PATH}:${ENV_VERIFIER_LOGS_PATH}", "${HOST_AGENT_LOGS_PATH}:/logs/agent"]
    task, remarks = taken(TASK, volumes(*logs))
    assert not any("/logs" in line and "rm -rf /logs/" in line for line in task.build)
    assert not any("volumes" in remark for remark in remarks)


@pytest.mark.parametrize(
    "folder", ["/app", "/", "/proc/x", "/task/x", "//app", "/workspace", "/usr/lib", "/root", "/app/.tests"]
)
def test_a_volume_where_a_box_has_its_own_is_refused(folder: str, refused: Any) -> None:
    given = volumes(f"${{CONTEXT_DIR}}/..:{folder}")
    assert f"a volume at '/{folder.strip('/')}'" in refused(TASK, given)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["./data:/data"], "./data:/data"),
        (['["${CONTEXT_DIR}/..:/x"]'], "volumes: "),
        (["${CONTEXT_DIR}/..:x"], "${CONTEXT_DIR}/..:x"),
        (["'${CONTEXT_DIR}/..:/a b'"], "/a b"),
        (["${CONTEXT_DIR}/data:/inputs"], "holds files of the task"),
        (["{type: bind, source: '${CONTEXT_DIR}', target: /inputs}"], "holds files of the task"),
        (["${CONTEXT_DIR}/..:/x", "${CONTEXT_DIR}/..:/x/y"], "'/x/y' is in another one"),
    ],
)
def test_a_volume_that_cannot_be_carried_is_refused(lines: list[str], reason: str, refused: Any) -> None:
    assert reason in refused(TASK, volumes(*lines))
