"""SWE-bench rows become tasks: a repository at a commit, a patch as submission, tests by name as the check."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.cli.suites import prove_suite
from agent.suites.importing.draft import OWN_IMAGE, Options
from agent.suites.importing.in_box import swe_check
from agent.suites.importing.run import Imported, import_suite
from agent.suites.loader import load_suite
from sandbox.engine import connect
from sandbox.image import ensure_image
from tests.suites.importing.repos import BROKEN, FIXED, Fixed, fixed_repository, git

QUIET = Console(quiet=True)


@pytest.fixture
def fixed(tmp_path: Path) -> Fixed:
    return fixed_repository(tmp_path / "clones")


def imported(rows: Any, tmp_path: Path, *objects: object, **options: Any) -> Imported:
    return import_suite("auto", rows(*objects), tmp_path / "suite", options=Options(**options))


def from_clones(rows: Any, fixed: Fixed, tmp_path: Path, **changes: Any) -> Imported:
    return imported(rows, tmp_path, fixed.row(**changes), repos=tmp_path / "clones")


def unproven(suite: Path) -> dict[str, list[str]]:
    proofs = asyncio.run(prove_suite(load_suite(suite), 2, None, QUIET))
    return {proof.task.id: [f"{kind}: {said}" for kind, said in proof.findings] for proof in proofs}


def test_a_clone_gives_the_files_of_the_base_commit_only(rows: Any, fixed: Fixed, tmp_path: Path) -> None:
    (task,) = load_suite(from_clones(rows, fixed, tmp_path).dest).tasks
    assert task.files["stats.py"] == BROKEN.encode()
    assert FIXED.encode() not in task.files.values()
    assert task.solution == {".ratchet/model.patch": fixed.patch.encode()}
    assert task.submit == (".ratchet/model.patch",)
    assert task.junit == 2


def test_an_image_is_found_by_the_row_or_by_the_pattern_of_the_set(rows: Any, fixed: Fixed, tmp_path: Path) -> None:
    def image(row: dict[str, Any], **options: Any) -> str | None:
        done = import_suite(
            "swebench", rows(row), tmp_path / f"suite-{len(list(tmp_path.iterdir()))}", options=Options(**options)
        )
        return load_suite(done.dest).tasks[0].image

    live = fixed.row(test_cmds=["pytest -rA tests"], log_parser="pytest")
    assert image(fixed.row()) == "swebench/sweb.eval.x86_64.acme_1776_stats-1:latest"
    assert image(live) == "starryzhang/sweb.eval.x86_64.acme_1776_stats-1:latest"
    assert image(fixed.row(docker_image="registry:5000/a/b:1")) == "registry:5000/a/b:1"
    assert image(fixed.row(), image="mine/{instance_id}") == "mine/acme__stats-1"
    assert image(fixed.row(), image=OWN_IMAGE) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base_commit": "main"}, "base_commit: 'main' is not a whole commit id"),
        ({"base_commit": "0" * 40}, "git ls-tree in stats"),
        ({"repo": "acme/other"}, "acme/other: no clone in clones/"),
        ({"repo": "stats"}, "repo: 'stats' is not owner/name"),
        ({"log_parser": "parse_log_gotest"}, "log_parser = 'parse_log_gotest'"),
        ({"FAIL_TO_PASS": "[]", "PASS_TO_PASS": []}, "FAIL_TO_PASS: names no test"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    changes: dict[str, Any], reason: str, rows: Any, fixed: Fixed, tmp_path: Path
) -> None:
    done = imported(
        rows,
        tmp_path,
        fixed.row(instance_id="good"),
        fixed.row(problem_statement="Another.", **changes),
        repos=tmp_path / "clones",
    )
    assert done.taken == 1
    assert reason in done.refused[0].feature


def test_a_commit_with_a_link_is_refused(rows: Any, fixed: Fixed, tmp_path: Path) -> None:
    (fixed.folder / "link").symlink_to("stats.py")
    git(fixed.folder, "add", "-A")
    git(fixed.folder, "commit", "-qm", "Link")
    base = git(fixed.folder, "rev-parse", "HEAD").strip()
    other = fixed.row(base_commit=base, instance_id="link", problem_statement="Another.")
    done = imported(rows, tmp_path, fixed.row(), other, repos=tmp_path / "clones")
    assert "'link': a link" in done.refused[0].feature


PYTEST_LOG = """\
tests/test_a.py::test_inline PASSED                                      [ 50%]
=========================== short test summary info ============================
PASSED tests/test_a.py::test_one
PASSED tests/test_a.py::test_words[a b - c]
FAILED tests/test_a.py::test_two - AssertionError: PASSED tests/test_a.py::test_three
ERROR tests/test_a.py::test_four
XFAIL tests/test_a.py::test_five - because
"""
DJANGO_LOG = """\
test_one (app.tests.A) ... ok
test_two (app.tests.A)
With words. ... ok
test_three (app.tests.A) ... FAIL
test_four (app.tests.A) ... Testing against Django installed in '/x'
ok
ERROR: test_one (app.tests.B)
"""
SYMPY_LOG = "test_one ok\ntest_two F\ntest_three ok\n____ sympy/core/a.py:test_three ____\n"


def test_logs_are_read_by_the_rules_of_their_runner() -> None:
    passed = swe_check.of_pytest(PYTEST_LOG)
    assert {"tests/test_a.py::test_inline", "tests/test_a.py::test_one", "tests/test_a.py::test_five"} <= passed
    assert "tests/test_a.py::test_words[a b - c]" in passed
    assert not passed & {f"tests/test_a.py::test_{name}" for name in ("two", "three", "four")}
    found = swe_check.of_unittest(DJANGO_LOG)
    assert found == {"test_one (app.tests.A)", "With words.", "test_four (app.tests.A)"}
    assert swe_check.of_sympy(SYMPY_LOG) == {"test_one"}


@pytest.mark.docker
@pytest.mark.slow
def test_a_task_from_a_clone_is_proven(rows: Any, fixed: Fixed, tmp_path: Path) -> None:
    assert unproven(from_clones(rows, fixed, tmp_path).dest) == {"acme__stats-1": []}


@pytest.fixture
def image(fixed: Fixed) -> Iterator[str]:
    """An image as SWE-bench has them: the repository, history and later commits included, in /testbed."""
    client, out, tag = connect(), io.BytesIO(), "ratchet-test-swebench:1"
    ground = ensure_image(say=lambda _: None)
    recipe = f"FROM {ground}\nCOPY stats /testbed\nRUN cd /testbed && git checkout -q {fixed.base}\n"
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(fixed.folder, "stats")
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(recipe)
        tar.addfile(info, io.BytesIO(recipe.encode()))
    for event in client.build(fileobj=io.BytesIO(out.getvalue()), custom_context=True, tag=tag, rm=True, decode=True):
        assert "error" not in event, event
    yield tag
    client.remove_image(tag, force=True)


@pytest.mark.docker
@pytest.mark.slow
def test_an_image_loses_the_commits_after_the_base_and_the_check_sees_it(
    rows: Any, fixed: Fixed, image: str, tmp_path: Path
) -> None:
    done = imported(rows, tmp_path, fixed.row(docker_image=image))
    assert unproven(done.dest) == {"acme__stats-1": []}
    task = load_suite(done.dest).tasks[0]
    # The same task on the image as it was published: the fix lies in its objects.
    leaking = replace(task, build=(f"RUN cp -a /testbed /opt/ratchet-repository && cd /testbed && {REV}",))
    suite = replace(load_suite(done.dest), tasks=(leaking,))
    (proof,) = asyncio.run(prove_suite(suite, 2, None, QUIET))
    assert {str(kind) for kind, _ in proof.findings} == {"solution in the box"}
    said = " ".join(said for _, said in proof.findings)
    assert "stats.py is the git object" in said
    assert "/opt/ratchet-repository/.git" in said


REV = "git rev-parse HEAD > /opt/ratchet-repository/.git/base && touch /etc/ratchet-environment.sh"
