"""Proving a suite: what is found with which task; boxes are in memory here, real ones at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.base.errors import SandboxDown, UserError
from agent.base.profile import Profile
from agent.base.types import Grade, Split, Suite, Task
from agent.cli.app import app
from agent.config.layers import Layers
from agent.suites import check
from agent.suites.check import Flaw, Proof, judge, prove, submissions
from agent.suites.images import buildable_images, task_images
from agent.suites.loader import load_suite
from agent.suites.skeleton import write_new
from sandbox.fake import FakeRun, FakeSandbox, ran

TASK = Task(
    id="t",
    split=Split.GATE,
    instruction="",
    files={"a.py": b"start", "data.csv": b"1"},
    submit=("*.py",),
    tests={"tests/t": b"x"},
    check=("check", "$RATCHET_JUNIT"),
    junit=1,
    solution={"a.py": b"solved", "b.py": b"solved"},
    check_timeout=10,
)
GRADES = {
    "starter": Grade(score=0, reason="0 of 1", seconds=9),
    "emptied files": Grade(score=0, reason="0 of 1"),
    "broken files": Grade(score=0, reason="0 of 1"),
    "reference": Grade(score=1, reason="1 of 1", seconds=1),
    "reference again": Grade(score=1, reason="1 of 1", seconds=1),
}
ZERO, ONE = Grade(score=0, reason="0 of 1"), Grade(score=1, reason="1 of 1")


@pytest.mark.parametrize(
    ("seen", "findings"),
    [
        ({}, []),
        ({"starter": ONE}, [Flaw.ALREADY_SOLVED]),
        ({"starter": Grade(score=0.25, reason="a quarter")}, [Flaw.ALREADY_SOLVED]),
        ({"emptied files": ONE}, [Flaw.SCORES_EMPTY]),
        ({"broken files": ONE}, [Flaw.SCORES_EMPTY]),
        ({"reference": ZERO}, [Flaw.FLAKY]),
        ({"reference again": ZERO}, [Flaw.FLAKY]),
        ({"reference": ZERO, "reference again": ZERO}, [Flaw.UNSOLVABLE]),
        ({"reference": replace(ONE, seconds=5.1)}, [Flaw.SLOW]),
        ({"starter": ONE, "reference": ZERO}, [Flaw.ALREADY_SOLVED, Flaw.FLAKY]),
    ],
)
def test_each_kind_of_bad_task_is_named(seen: dict[str, Grade], findings: list[Flaw]) -> None:
    assert [kind for kind, _ in judge(TASK, GRADES | seen).findings] == findings


def test_a_task_without_a_solution_is_named() -> None:
    without = replace(TASK, solution={})
    assert list(submissions(without)) == ["starter", "emptied files", "broken files"]
    (finding,) = judge(without, dict.fromkeys(submissions(without), ZERO)).findings
    assert finding[0] is Flaw.NO_REFERENCE


def test_only_what_is_submitted_is_emptied_or_broken() -> None:
    wanted = submissions(TASK)
    assert wanted["starter"] == {"a.py": b"start"}
    assert wanted["emptied files"] == {"a.py": b"", "b.py": b""}
    assert set(wanted["broken files"]) == {"a.py", "b.py"}


def suite(*tasks: Task) -> Suite:
    return Suite(name="s", hash="h", tasks=tasks)


async def proofs(program: object, *tasks: Task) -> Sequence[Proof]:
    async with FakeSandbox({"check": program}) as sandbox:  # type: ignore[dict-item]
        found = await prove(sandbox, lambda _: "image", suite(*tasks), parallel=2, done=lambda: None)
        assert not sandbox.open_boxes
        return found


def honest(run: FakeRun) -> object:
    verdict = (
        '<testcase name="t"/>' if run.workspace["a.py"] == b"solved" else '<testcase name="t"><failure/></testcase>'
    )
    run.workspace[run.argv[1].removeprefix("/workspace/")] = f"<testsuite>{verdict}</testsuite>".encode()
    return ran("", 0)


async def test_proven_and_unproven_tasks_stand_side_by_side() -> None:
    given = replace(TASK, id="given", files={"a.py": b"solved"})
    good, bad = await proofs(honest, TASK, given)
    assert (good.findings, len(good.grades)) == ((), 5)
    assert [kind for kind, _ in bad.findings] == [Flaw.ALREADY_SOLVED]


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "STARVED_PAUSES", (0.0, 0.0))


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("starved", [1, 2, 100])
async def test_a_check_on_a_starved_machine_is_run_again_and_in_the_end_believed(starved: int) -> None:
    runs: dict[str, int] = {}

    def loaded(run: FakeRun) -> object:
        kind = run.workspace["a.py"].decode()
        runs[kind] = runs.get(kind, 0) + 1
        honest(run)
        return ran("", 0, seconds=9, pressure=9) if runs[kind] <= starved else ran("", 0)

    (proof,) = await proofs(loaded, TASK)
    assert proof.findings == () or [flaw for flaw, _ in proof.findings] == [Flaw.SLOW]
    assert runs["start"] == min(starved, 2) + 1


async def test_when_one_check_fails_the_boxes_of_the_others_are_closed_first() -> None:
    async def first_down(run: FakeRun) -> object:
        if run.workspace["a.py"] == b"start":
            raise SandboxDown("engine gone")
        await asyncio.sleep(60)
        return ran("", 0)

    async with FakeSandbox({"check": first_down}) as sandbox:  # type: ignore[dict-item]
        with pytest.raises(SandboxDown):
            await prove(sandbox, lambda _: "image", suite(TASK), parallel=9, done=lambda: None)
        assert not sandbox.open_boxes


async def test_an_infrastructure_error_proves_nothing() -> None:
    def down(_: FakeRun) -> None:
        raise SandboxDown("engine gone")

    with pytest.raises(SandboxDown):
        await proofs(down, TASK)


class Engine:
    """Makes images by name alone; those of a registry that is nowhere cannot be had."""

    def __init__(self) -> None:
        self.made: list[tuple[str | None, tuple[str, ...]]] = []
        self.machines: list[bool] = []

    def __call__(self, base: str | None, *, layers: Layers, machine: bool, say: Callable[[str], None]) -> str:
        self.machines += [machine]
        if base == "nowhere/x":
            raise UserError("image", f"{base} is neither here nor can it be pulled", "Name another image")
        say(f"{base} is ready")
        self.made.append((base, layers.lines))
        return f"tag-{len(self.made)}"


def test_a_machine_has_an_image_with_tools_of_our_own_even_where_nothing_else_is_asked_for() -> None:
    engine = Engine()
    machine = replace(TASK, id="machine", profile=Profile.MACHINE)
    assert set(task_images(suite(TASK, machine), None, say=print, ensure=engine)) == {"machine"}
    assert engine.machines == [True]


def test_images_are_made_once_for_all_tasks_that_ask_for_the_same() -> None:
    engine = Engine()
    tasks = [
        TASK,
        replace(TASK, id="own", image="x"),
        replace(TASK, id="built", build=("RUN a",)),
        replace(TASK, id="built-too", build=("RUN a",)),
        replace(TASK, id="both", image="x", build=("RUN a",)),
    ]
    tags = task_images(suite(*tasks), "base", say=print, ensure=engine)
    assert tags == {"own": "tag-1", "built": "tag-2", "built-too": "tag-2", "both": "tag-3"}
    assert engine.made == [("x", ()), ("base", ("RUN a",)), ("x", ("RUN a",))]


def test_the_scaffolds_layers_come_below_those_of_each_task() -> None:
    engine = Engine()
    tasks = [TASK, replace(TASK, id="own", image="x"), replace(TASK, id="built", build=("RUN a",))]
    layers = Layers(lines=("RUN agent",))
    assert set(task_images(suite(*tasks), "base", layers=layers, say=print, ensure=engine)) == {"own", "built"}
    assert engine.made == [("x", ("RUN agent",)), ("base", ("RUN agent", "RUN a"))]


def test_a_tasks_layers_copy_its_starting_files() -> None:
    made: list[Layers] = []

    def ensure(base: str | None, *, layers: Layers, machine: bool, say: Callable[[str], None]) -> str:
        say(f"{base} {machine}")
        made.append(layers)
        return f"tag-{len(made)}"

    task = replace(TASK, build=("COPY package.json /",), files={"package.json": b"{}"})
    tasks = [task, replace(task, id="same"), replace(task, id="other", files={"package.json": b"1"})]
    tags = task_images(suite(*tasks), None, say=print, ensure=ensure)
    assert [tags[one.id] for one in tasks] == ["tag-1", "tag-1", "tag-2"]
    assert [[*layers.files.values()] for layers in made] == [[b"{}"], [b"1"]]


def test_an_image_that_is_not_available_names_the_task() -> None:
    with pytest.raises(UserError, match="task own: image: nowhere/x is neither here"):
        task_images(suite(replace(TASK, id="own", image="nowhere/x")), None, say=print, ensure=Engine())


def test_an_image_that_is_not_available_leaves_the_other_tasks_theirs() -> None:
    tasks = [
        TASK,
        replace(TASK, id="own", image="x"),
        replace(TASK, id="bad", image="nowhere/x"),
        replace(TASK, id="bad-too", image="nowhere/x", build=("RUN a",)),
        replace(TASK, id="built", build=("RUN a",)),
    ]
    engine = Engine()
    tags, failed = buildable_images(suite(*tasks), None, say=print, ensure=engine)
    assert tags.keys() == {"own", "built"}
    assert failed.keys() == {"bad", "bad-too"}
    assert failed["bad"] == "nowhere/x is neither here nor can it be pulled. Name another image"


# ------------------------------------------------------------------------------------ skeletons


def test_a_new_suite_has_a_task_for_each_split_and_takes_more(tmp_path: Path) -> None:
    write_new(tmp_path / "mine")
    assert {task.split for task in load_suite(tmp_path / "mine").tasks} == set(Split)
    write_new(tmp_path / "mine" / "3-class")
    added = next(task for task in load_suite(tmp_path / "mine").tasks if task.id == "3-class")
    assert b"def task_3_class(" in added.solution["solution.py"]


@pytest.mark.parametrize("name", ["2024", "1.5", "null", "on", "no", "1e3", "0x10", "007", "2024-01-02", "mine"])
def test_a_new_suite_may_have_any_plain_name(tmp_path: Path, name: str) -> None:
    write_new(tmp_path / name)
    assert load_suite(tmp_path / name).name == name


@pytest.mark.parametrize(("name", "problem"), [("Mine", "not a plain name"), ("there", "exists already")])
def test_nothing_is_written_where_it_does_not_belong(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=problem):
        write_new(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_list_is_readable_by_programs(tmp_path: Path) -> None:
    write_new(tmp_path / "mine")
    said = CliRunner().invoke(app, ["tasks", "list", str(tmp_path / "mine"), "--json"]).stdout
    assert [task["id"] for task in json.loads(said)["tasks"]] == ["example-gate", "example-holdout", "example-search"]


# ------------------------------------------------------------------------------------ real boxes

REAL = """
name: real
defaults: {submit: [app/answer], reward: exit, files: {}}
tasks:
- id: surroundings
  split: gate
  instruction: Answer.
  workdir: app
  user: 4321
  memory_mb: 96
  cpus: 0.5
  env: {MODE: hard}
  build: [RUN echo layer > /etc/layer]
  files: {app/start: "1"}
  tests: {hidden/expect: "42"}
  check: |
    test "$(cat answer)" = "$(cat ../hidden/expect)" && test "$MODE" = hard && test "$(cat /etc/layer)" = layer &&
    test "$(id -u)" = 4321 && test "$PWD" = /workspace/app && touch here &&
    grep -qE '^(100663296|50000 100000)$' /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max
  solution: {app/answer: "42"}
- id: flag
  split: gate
  instruction: Write the reward.
  submit: [answer]
  reward: file
  reward_path: out/reward.json
  reward_key: points
  tests: {expect: "42"}
  check: [sh, -c, 'mkdir out; cmp -s answer expect && echo "{\\"points\\": 1}" > out/reward.json']
  solution: {answer: "42"}
- id: given
  split: search
  instruction: Nothing to do.
  submit: [answer]
  files: {answer: "7"}
  tests: {expect: "7"}
  check: cmp answer expect
  solution: {answer: "7"}
- id: hollow
  split: holdout
  instruction: Write a script.
  submit: [run.sh]
  tests: {none.txt: "nothing"}
  check: sh run.sh
  solution: {run.sh: "exit 0"}
- id: imageless
  split: search
  instruction: Answer.
  image: "nowhere.invalid/none:1"
  submit: [answer]
  tests: {expect: "42"}
  check: cmp answer expect
  solution: {answer: "42"}
"""


@pytest.mark.docker
@pytest.mark.slow
def test_every_field_acts_in_real_boxes_and_bad_tasks_go_into_quarantine(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(REAL.replace(", files: {}", ""))
    command = ["tasks", "check", str(tmp_path), "--json", "--parallel", "2"]
    first = CliRunner().invoke(app, command)
    said = json.loads(first.stdout)
    found = {task["id"]: [finding["kind"] for finding in task["findings"]] for task in said["tasks"]}
    assert (found["surroundings"], found["flag"]) == ([], []), said["tasks"][:2]
    assert found["given"] == ["already solved"]
    assert found["hollow"] == ["already solved", "scores an empty submission"] or found["hollow"] == [
        "scores an empty submission"
    ]
    assert found["imageless"] == ["no image"], "and the others are proven all the same"
    assert first.exit_code == 2
    fixed = CliRunner().invoke(app, [*command[:-1], "4", "--fix-splits"])
    assert fixed.exit_code == 0
    assert set(load_suite(tmp_path).quarantined) == {"given", "hollow", "imageless"}
    table = CliRunner().invoke(app, command[:3])
    assert (table.exit_code, "2 of 2 tasks proven" in table.stdout) == (0, True)


@pytest.mark.docker
@pytest.mark.slow
def test_a_new_suite_is_proven_as_it_is(tmp_path: Path) -> None:
    write_new(tmp_path / "mine")
    done = CliRunner().invoke(app, ["tasks", "check", str(tmp_path / "mine")])
    assert (done.exit_code, "3 of 3 tasks proven" in done.stdout) == (0, True)
