"""Tasks whose own image would hold their tests and their reference, and volumes of the host."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from tests.suites.importing.shapes import COPIED, TASK

SECRETS = [COPIED[path] for path in ("tests/test.sh", "tests/judge.sh", "solution/solve.sh", "solution/right.txt")]
MACHINE = {"environment/Dockerfile": "FROM a\nCOPY . /srv/work\nWORKDIR /srv/work\nRUN git init\n"}
COMPOSE = COPIED["environment/docker-compose.yaml"]


def readable(task: Any) -> str:
    """All that a solver can read: the starting files, and what the image's layers write."""
    layers = [base64.b64decode(text).decode() for text in re.findall(r"echo (\S+) \| base64", "\n".join(task.build))]
    return "\n".join([*layers, *task.build, *(body.decode() for body in task.files.values()), task.instruction])


@pytest.mark.parametrize("changes", [{}, MACHINE], ids=["strict", "machine"])
def test_copies_of_hidden_files_do_not_come_into_the_image(changes: dict[str, str], taken: Any) -> None:
    task, remarks = taken(COPIED, changes)
    top = "/srv/work" if changes else "/app"
    assert bool(changes) == task.whole
    assert not [secret for secret in SECRETS if secret.strip() in readable(task)]
    assert f"RUN mkdir -p {top}/solution {top}/tests" in task.build, "later lines may work in these folders"
    said = f"copies of hidden files in {top}/solution, {top}/tests are left out of the image"
    assert any(said in remark for remark in remarks)


@pytest.mark.parametrize("changes", [{}, MACHINE], ids=["strict", "machine"])
def test_grading_puts_the_tests_back_where_the_image_had_them(changes: dict[str, str], taken: Any) -> None:
    task, _ = taken(COPIED, changes)
    top, helpers = ("/srv/work", "") if changes else ("/app", ".tests/")
    script = task.tests[f"{helpers}.ratchet/back.sh"].decode()
    assert f"rm -rf {top}/tests/judge.sh; mkdir -p {top}/tests && cp /tests/judge.sh {top}/tests/judge.sh\n" in script
    assert "solution" not in script, "a reference is nobody's to grade with"
    command = task.check[task.check.index("-c") + 1]
    assert command.index("back.sh") < command.index("/tests/test.sh")


def test_a_copy_that_is_named_is_left_out_as_well(taken: Any) -> None:
    dockerfile = "FROM a\nWORKDIR /app\nCOPY tests/judge.sh data.txt /app/checks/\nCOPY solution /app/ref\n"
    task, _ = taken(COPIED, {"environment/Dockerfile": dockerfile})
    assert sorted(task.files) == [".volumes/shared/.keep", "checks/data.txt", "ref/.keep"]
    assert b"cp /tests/judge.sh /app/checks/judge.sh" in task.tests[".tests/.ratchet/back.sh"]


def test_copies_to_where_grading_lays_them_need_nothing(taken: Any) -> None:
    dockerfile = "FROM a\nCOPY tests/ /tests/\nCOPY solution/ /solution/\nWORKDIR /app\n"
    task, remarks = taken(COPIED, {"environment/Dockerfile": dockerfile})
    assert not re.search(r"RUN mkdir -p /(tests|solution)", "\n".join(task.build)), "there a box has its own links"
    assert ".tests/.ratchet/back.sh" not in task.tests
    assert any("hidden files in /solution, /tests are left out" in remark for remark in remarks)


def test_what_only_has_the_name_of_a_hidden_file_stays(taken: Any) -> None:
    """The task starts with a reference that is broken on purpose, and with tests of its own."""
    task, remarks = taken(
        TASK,
        {
            "environment/Dockerfile": "FROM a\nWORKDIR /app\nCOPY . .\n",
            "environment/solution/solve.sh": "echo broken\n",
            "environment/tests/mine.sh": "echo mine\n",
        },
    )
    assert sorted(task.files) == ["solution/solve.sh", "tests/mine.sh"]
    assert ".tests/.ratchet/back.sh" not in task.tests
    assert not any("left out" in remark for remark in remarks)


def test_a_hidden_file_in_a_stage_that_is_copied_from_is_refused(refused: Any) -> None:
    dockerfile = "FROM a AS made\nCOPY tests /made\nFROM a\nCOPY --from=made /made /app/made\nWORKDIR /app\n"
    assert "a hidden file, into a stage" in refused(COPIED, {"environment/Dockerfile": dockerfile})


@pytest.mark.parametrize("dockerfile", [TASK["environment/Dockerfile"], MACHINE["environment/Dockerfile"]])
def test_a_volume_of_the_host_is_an_empty_folder_with_a_remark(dockerfile: str, taken: Any) -> None:
    task, remarks = taken(COPIED, {"environment/Dockerfile": dockerfile})
    assert any("/shared is an empty folder in a box" in remark for remark in remarks)
    if task.whole:
        assert "RUN rm -rf /shared && mkdir -p /shared" in task.build
    else:
        assert task.files[".volumes/shared/.keep"] == b""
        assert "RUN rm -rf /shared && mkdir -p / && ln -s /workspace/.volumes/shared /shared" in task.build


def test_a_volume_inside_of_the_working_directory_hides_what_was_copied_there(taken: Any) -> None:
    task, _ = taken(
        TASK,
        {
            "environment/Dockerfile": "FROM a\nWORKDIR /app\nCOPY . .\n",
            "environment/data/a.txt": "not seen\n",
            "environment/b.txt": "seen\n",
            "environment/docker-compose.yaml": COMPOSE.replace("/shared", "/app/data"),
        },
    )
    assert {path: bytes(body) for path, body in task.files.items()} == {"b.txt": b"seen\n", "data/.keep": b""}


@pytest.mark.parametrize("folder", ["/app", "/", "/proc/x", "/task/x"])
def test_a_volume_where_a_box_has_its_own_is_refused(folder: str, refused: Any) -> None:
    given = {"environment/docker-compose.yaml": COMPOSE.replace("/shared", folder)}
    assert f"a volume at '{folder}'" in refused(TASK, given)
