"""The suites that come with Ratchet: what they must hold, and that real boxes prove them."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from agent.base.types import Split, Suite, Task
from agent.suites.check import prove
from agent.suites.loader import load_suite
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image

NAMES = ("starter", "agentic", "polyglot-mini")
SPLITS = {"starter": (24, 36, 24), "agentic": (9, 13, 9), "polyglot-mini": (4, 6, 4)}
LEVELS = {"easy", "medium", "hard"}
LANGUAGES = {"awk", "bash", "perl", "sed", "sh", "sql"}
# One of each kind: Python with a driver, shell with tar, SQL, awk.
SAMPLE = {"agentic": ("stock-reservations", "backup-rotation"), "polyglot-mini": ("sql-sessions", "awk-pivot")}


@pytest.fixture(params=NAMES)
def suite(request: pytest.FixtureRequest, checkout: Path) -> Suite:
    return load_suite(checkout / "tasks" / request.param)


def test_the_splits_have_the_sizes_that_the_readme_tells(suite: Suite) -> None:
    assert tuple(len(suite.split(split)) for split in Split) == SPLITS[suite.name]


def test_every_task_has_one_level_and_all_levels_are_there(suite: Suite) -> None:
    levels = Counter(level for task in suite.tasks for level in LEVELS & set(task.tags))
    assert sum(levels.values()) == len(suite.tasks)
    assert set(levels) == LEVELS


def test_no_two_tasks_share_an_instruction_or_a_hidden_test(suite: Suite) -> None:
    seen: dict[bytes, str] = {}
    for task in suite.tasks:
        for content in (task.instruction.encode(), *task.tests.values()):
            assert seen.setdefault(content, task.id) == task.id


def test_no_two_tasks_of_different_splits_share_a_larger_file(checkout: Path) -> None:
    tasks = [task for name in ("agentic", "polyglot-mini") for task in load_suite(checkout / "tasks" / name).tasks]
    for one, other in combinations(tasks, 2):
        shared = {body for body in (*one.files.values(), *one.solution.values()) if len(body) > 60} & set(
            other.files.values()
        )
        assert one.split == other.split or not shared, (one.id, other.id)


def test_what_is_handed_in_never_stands_in_for_a_hidden_test(suite: Suite) -> None:
    for task in suite.tasks:
        assert not set(task.tests) & (set(task.files) | set(task.solution)), task.id
        assert task.junit is not None
        assert task.junit >= 4, task.id


def test_agentic_tasks_are_more_than_one_function(checkout: Path) -> None:
    suite = load_suite(checkout / "tasks" / "agentic")
    assert len(suite.tasks) >= 30
    assert sorted(len({*task.files, *task.solution}) for task in suite.tasks)[len(suite.tasks) // 4] >= 4


def test_polyglot_mini_has_several_languages_and_a_python_file_never_solves_it(checkout: Path) -> None:
    suite = load_suite(checkout / "tasks" / "polyglot-mini")
    languages = {language for task in suite.tasks for language in LANGUAGES & set(task.tags)}
    assert len(suite.tasks) >= 10
    assert languages == LANGUAGES
    assert not any(path.endswith(".py") for task in suite.tasks for path in task.submit)


def test_the_readme_names_every_split_size(suite: Suite, checkout: Path) -> None:
    text = (checkout / "tasks" / suite.name / "README.md").read_text(encoding="utf-8")
    for split, size in zip(Split, SPLITS[suite.name], strict=True):
        row = next(line for line in text.splitlines() if line.startswith(f"| {split}"))
        assert str(size) in row.replace("|", " ").split()


async def complaints(folder: Path, suite: Suite, tasks: tuple[Task, ...]) -> dict[str, list[str]]:
    """What real boxes say against tasks."""
    tag = await asyncio.to_thread(ensure_image)
    campaign = f"shipped-{os.getpid()}-{secrets.token_hex(3)}"
    async with DockerSandbox("check", campaign, folder, ready=1) as sandbox:
        chosen = replace(suite, tasks=tasks)
        proofs = await prove(sandbox, lambda _: tag, chosen, parallel=os.cpu_count() or 1, done=lambda: None)
    return {proof.task.id: [f"{kind}: {why}" for kind, why in proof.findings] for proof in proofs if proof.findings}


@pytest.mark.docker
@pytest.mark.parametrize("name", SAMPLE)
async def test_a_sample_of_tasks_is_proven_in_boxes(name: str, checkout: Path, tmp_path: Path) -> None:
    suite = load_suite(checkout / "tasks" / name)
    tasks = tuple(task for task in suite.tasks if task.id in SAMPLE[name])
    assert len(tasks) == len(SAMPLE[name])
    assert await complaints(tmp_path, suite, tasks) == {}


@pytest.mark.docker
@pytest.mark.slow
async def test_every_task_is_proven_in_boxes(suite: Suite, tmp_path: Path) -> None:
    assert await complaints(tmp_path, suite, suite.tasks) == {}
