"""Runs for a calibration are kept one by one: what is there is not repeated."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import InfrastructureError, RecordBroken, UserError
from agent.suites.calibrating import Notebook, Ran, Who, calibrate
from agent.suites.loader import content_hash
from sandbox.fake import FakeRun, Program, ran
from tests.trials.test_evaluator import TASK, check, evaluating

WHO = Who(tree="tree", command="scaffold", models="m")


def nothing() -> None: ...


class Scaffold:
    """Solves every second run, and notes the seeds; from the run `broken` on the infrastructure fails."""

    def __init__(self, broken: int = 1000) -> None:
        self.seeds: list[str] = []
        self.broken = broken

    def __call__(self, scene: FakeRun) -> object:
        if len(self.seeds) >= self.broken:
            raise InfrastructureError("the engine is gone")
        self.seeds.append(scene.env["RATCHET_SEED"])
        scene.workspace["app/answer"] = b"42" if len(self.seeds) % 2 else b"43"
        return ran()


def programs(scaffold: Scaffold) -> dict[str, Program]:
    return {"scaffold": scaffold, "check": check}  # type: ignore[dict-item]


async def test_runs_differ_in_their_seed_and_are_kept(tmp_path: Path) -> None:
    scaffold, notebook = Scaffold(), Notebook(tmp_path / "n" / "calibration.jsonl")
    async with evaluating(tmp_path, programs(scaffold)) as (evaluator, _):
        made = await calibrate(evaluator, WHO, [TASK], 4, notebook=notebook, done=nothing)
    assert sorted(one.score for one in made["t"]) == [0.0, 0.0, 1.0, 1.0]
    assert len(set(scaffold.seeds)) == 4
    lines = [json.loads(line) for line in notebook.file.read_text().splitlines()]
    assert [line["run"] for line in sorted(lines, key=lambda line: line["run"])] == [0, 1, 2, 3]


async def test_a_calibration_that_broke_off_resumes(tmp_path: Path) -> None:
    file = tmp_path / "calibration.jsonl"
    first, second = Scaffold(broken=3), Scaffold()
    async with evaluating(tmp_path, programs(first)) as (evaluator, sandbox):
        with pytest.raises(InfrastructureError):
            await calibrate(evaluator, WHO, [TASK], 5, notebook=Notebook(file), done=nothing)
        assert not sandbox.open_boxes
    kept = len(file.read_text().splitlines())
    with file.open("a") as out:
        out.write('{"who": {"tree": "tr')  # the machine stopped here
    done: list[int] = []
    async with evaluating(tmp_path, programs(second)) as (evaluator, _):
        made = await calibrate(evaluator, WHO, [TASK], 5, notebook=Notebook(file), done=lambda: done.append(1))
    assert kept >= 1
    assert len(second.seeds) == 5 - kept
    assert len(made["t"]) == len(done) == len(file.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("who", "task"),
    [
        (replace(WHO, tree="other"), TASK),
        (replace(WHO, models="other"), TASK),
        (replace(WHO, settings="other"), TASK),
        (WHO, replace(TASK, instruction="Changed.")),
        (WHO, replace(TASK, tests={"hidden": b"43"})),
    ],
)
async def test_another_scaffold_model_or_task_takes_runs_of_its_own(tmp_path: Path, who: Who, task: object) -> None:
    notebook = Notebook(tmp_path / "calibration.jsonl")
    async with evaluating(tmp_path, programs(Scaffold())) as (evaluator, _):
        await calibrate(evaluator, WHO, [TASK], 1, notebook=notebook, done=nothing)
    assert notebook.find(WHO, TASK, 0) is not None
    assert notebook.find(who, task, 0) is None  # type: ignore[arg-type]


def test_a_notebook_with_a_strange_line_is_the_users_to_fix(tmp_path: Path) -> None:
    file = tmp_path / "calibration.jsonl"
    file.write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="line 1"):
        Notebook(file)


def made(run: int) -> Ran:
    content = content_hash((TASK,))
    return Ran(who=WHO, task="t", content=content, run=run, score=1, reason="", seconds=1, tokens=1, dollars=None)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk, a file that grows beyond the size takes only a part of what is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_for_which_there_is_no_room_leaves_the_runs_before_it(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "calibration.jsonl")
    notebook.keep(made(0))
    before = notebook.file.read_bytes()
    with files_of_at_most(len(before) + 20), pytest.raises(RecordBroken, match=r"calibration\.jsonl.*Make room"):
        notebook.keep(made(1))
    assert notebook.file.read_bytes() == before
    notebook.keep(made(2))
    assert len(Notebook(notebook.file).file.read_text().splitlines()) == 2


def test_a_cut_line_is_removed_without_writing_the_others_again(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "calibration.jsonl")
    notebook.keep(made(0))
    whole = notebook.file.read_bytes()
    notebook.file.write_bytes(whole + b'{"who')
    with files_of_at_most(1):
        Notebook(notebook.file)
    assert notebook.file.read_bytes() == whole


def test_a_notebook_that_cannot_be_written_is_said_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    with pytest.raises(UserError, match=r"runs/calibration\.jsonl: cannot be written"):
        Notebook(tmp_path / "runs" / "calibration.jsonl")
    (tmp_path / "calibration.jsonl").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        Notebook(tmp_path / "calibration.jsonl")


def test_runs_of_an_earlier_version_are_read_and_count_for_no_settings(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "calibration.jsonl")
    notebook.keep(made(0))
    said = json.loads(notebook.file.read_text())
    del said["who"]["settings"]
    notebook.file.write_text(json.dumps(said) + "\n")
    earlier = Notebook(notebook.file)
    assert earlier.find(WHO, TASK, 0) == made(0)
    assert earlier.find(replace(WHO, settings="known"), TASK, 0) is None
