"""What a task asks of its boxes holds for solving and for grading; boxes are in memory here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import InfrastructureError, Starved, UserError
from agent.base.profile import Profile
from agent.base.types import BoxSpec, Caps, Ending, Purpose, RewardKind, RunResult, Side, Split, Task
from agent.config.models import ModelsConfig
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Visit
from agent.trials.executor import Executor, Job
from agent.trials.grading import MACHINE_DISK_MB, STARVED_SECONDS, STARVED_SHARE, TOOLS, refuse_starved
from agent.trials.pairs import Void, both
from sandbox.fake import FakeRun, FakeSandbox, Program, ran

TASK = Task(
    id="t",
    split=Split.SEARCH,
    instruction="Answer.",
    files={"app/answer": b"?"},
    submit=("app/answer",),
    tests={"hidden": b"42"},
    check=("check", "$RATCHET_JUNIT"),
    junit=1,
    env={"MODE": "hard"},
)
CAMPAIGN = BoxSpec(image="common", gateway=True, memory_mb=300, cpus=1.5)


def solve(scene: FakeRun) -> str:
    assert "hidden" not in scene.workspace
    assert scene.env["MODE"] == "hard"
    scene.workspace["app/answer"] = b"42"
    return "done"


def check(scene: FakeRun) -> object:
    assert scene.env["MODE"] == "hard"
    assert scene.env["RATCHET_HIDDEN"] == "/workspace/hidden"
    right = scene.workspace["app/answer"] == scene.workspace["hidden"]
    path = scene.env["RATCHET_JUNIT"].removeprefix("/workspace/")
    scene.workspace[path] = b"<testsuite><testcase/></testsuite>" if right else b""
    return ran()


@asynccontextmanager
async def evaluating(folder: Path, programs: Mapping[str, Program]) -> AsyncIterator[tuple[Evaluator, FakeSandbox]]:
    """An evaluator whose boxes run these programs."""
    models = ModelsConfig.model_validate(
        {role: {"provider": "scripted", "script": "unused.yaml"} for role in ("solver", "improver")}
    )
    silent = {role: ScriptedProvider(lambda _: "no") for role in models.roles}
    gateway = GatewayServer(models, MemoryRecord(), Budget(Limits(), Spent()), providers=silent)
    async with gateway, FakeSandbox(programs, folder=folder) as sandbox:
        yield (
            Executor(
                Evaluator(
                    sandbox=sandbox,
                    visit=Visit(sandbox, gateway, CAMPAIGN, ("scaffold",)),
                    image="common",
                    images={"special": "own-image"},
                    caps=Caps(),
                ),
                {"tree": {}},
                2,
            ),
            sandbox,
        )


def job(task: Task = TASK, **changes: object) -> Job:
    return replace(
        Job(tree="tree", task=task, purpose=Purpose.SEARCH, seed=1, answer_scope=None),
        **changes,  # type: ignore[arg-type]
    )


async def boxes_of(folder: Path, task: Task) -> tuple[list[BoxSpec], float]:
    """The boxes that one trial opened, and its score."""
    start = "sh -c cd -- "  # a command in a working directory; its name stands at its end
    programs_of: dict[str, Program] = {"scaffold": solve, "check": check}  # type: ignore[dict-item]
    programs: dict[str, Program] = (
        {start: lambda scene: programs_of[scene.argv[4]](scene)} if task.workdir else programs_of
    )
    async with evaluating(folder, programs) as (evaluator, sandbox):
        trial = await evaluator.trial(job(task))
        return sandbox.opened, trial.score


async def test_a_task_that_asks_for_nothing_is_solved_in_the_campaigns_box(tmp_path: Path) -> None:
    assert await boxes_of(tmp_path, TASK) == ([CAMPAIGN, BoxSpec(image="common", gateway=False)], 1.0)


async def test_what_a_task_asks_for_holds_in_both_boxes(tmp_path: Path) -> None:
    special = replace(TASK, id="special", user=1000, memory_mb=96, cpus=0.5, workdir="app")
    asked = BoxSpec(image="own-image", gateway=True, user=1000, memory_mb=96, cpus=0.5)
    assert await boxes_of(tmp_path, special) == ([asked, replace(asked, gateway=False)], 1.0)


async def test_a_task_prepares_both_boxes_and_collects_what_is_handed_in(tmp_path: Path) -> None:
    task = replace(TASK, prepare=("make", "ready"), collect=("gather",), submit=("patch",))

    def ready(scene: FakeRun) -> str:
        assert scene.workspace == {"app/answer": b"?"}, "nothing of a candidate, and no hidden test, is there yet"
        scene.workspace["app/answer"] = b"prepared"
        return "done"

    def solved(scene: FakeRun) -> str:
        assert scene.workspace["app/answer"] == b"prepared"
        scene.workspace["app/answer"] = b"42"
        return "done"

    def gather(scene: FakeRun) -> str:
        scene.workspace["patch"] = scene.workspace["app/answer"]
        return "done"

    def compare(scene: FakeRun) -> object:
        assert scene.workspace["app/answer"] == b"prepared"
        path = scene.env["RATCHET_JUNIT"].removeprefix("/workspace/")
        right = scene.workspace["patch"] == scene.workspace["hidden"]
        scene.workspace[path] = b"<testsuite><testcase/></testsuite>" if right else b""
        return ran()

    programs: dict[str, Program] = {"make": ready, "scaffold": solved, "gather": gather, "check": compare}  # type: ignore[dict-item]
    async with evaluating(tmp_path, programs) as (evaluator, _):
        assert (await evaluator.trial(job(task))).score == 1.0


@pytest.mark.parametrize(
    ("said", "error"), [(ran("no space", 1), UserError), (ran(ending=Ending.TIMEOUT), InfrastructureError)]
)
async def test_a_task_that_cannot_be_prepared_gives_no_score(
    said: RunResult, error: type[Exception], tmp_path: Path
) -> None:
    task = replace(TASK, prepare=("make",))
    async with evaluating(tmp_path, {"make": lambda _: said}) as (evaluator, sandbox):
        with pytest.raises(error, match="prepare"):
            await evaluator.trial(job(task))
        assert not sandbox.open_boxes


def starved(scene: FakeRun) -> object:
    scene.workspace["app/answer"] = b"42"
    return ran(seconds=100, pressure=100 * STARVED_SHARE + 1)


@pytest.mark.parametrize("ending", list(Ending))
async def test_a_trial_on_a_starved_machine_is_void_however_it_ended(tmp_path: Path, ending: Ending) -> None:
    programs: dict[str, Program] = {
        "scaffold": lambda _: ran("", None, ending, seconds=100, pressure=100 * STARVED_SHARE + 1)
    }
    async with evaluating(tmp_path, programs) as (evaluator, sandbox):
        with pytest.raises(Starved, match="other programs took the processors for 51 of the 100 s"):
            await evaluator.trial(job())
        assert not sandbox.open_boxes


async def test_a_check_on_a_starved_machine_makes_the_trial_void_too(tmp_path: Path) -> None:
    programs: dict[str, Program] = {"scaffold": solve, "check": lambda _: ran(exit_code=1, seconds=9, pressure=8)}
    async with evaluating(tmp_path, programs) as (evaluator, _):
        with pytest.raises(Starved):
            await evaluator.trial(job())


@pytest.mark.parametrize("pressure", [0.0, STARVED_SECONDS, 9.9 * STARVED_SHARE])
async def test_load_within_the_bound_is_part_of_life(tmp_path: Path, pressure: float) -> None:
    def loaded(scene: FakeRun) -> object:
        solve(scene)
        return ran(seconds=10 if pressure > STARVED_SECONDS else 3, pressure=pressure)

    async with evaluating(tmp_path, {"scaffold": loaded, "check": check}) as (evaluator, _):  # type: ignore[dict-item]
        assert (await evaluator.trial(job())).score == 1


async def test_a_pair_of_which_one_side_was_starved_is_void_on_both(tmp_path: Path) -> None:
    def one_of_two(scene: FakeRun) -> object:
        return starved(scene) if scene.env["RATCHET_SEED"] == "2" else solve(scene)

    async with evaluating(tmp_path, {"scaffold": one_of_two, "check": check}) as (evaluator, _):  # type: ignore[dict-item]
        outcome = await both(evaluator, job(), job(seed=2), order_seed=0)
    assert isinstance(outcome, Void)
    assert outcome.side is Side.BOTH


def test_a_share_of_one_never_discards_a_run() -> None:
    run = ran(seconds=100, pressure=100)
    with pytest.raises(Starved):
        refuse_starved(run, 0.9)
    refuse_starved(run, 1.0)


@pytest.mark.parametrize("answer", [b"41", b"42"])
async def test_a_scaffold_that_was_stopped_fails_because_its_time_ran_out(tmp_path: Path, answer: bytes) -> None:
    def stopped(scene: FakeRun) -> object:
        scene.workspace["app/answer"] = answer
        return ran("", None, Ending.TIMEOUT, seconds=7)

    async with evaluating(tmp_path, {"scaffold": stopped, "check": check}) as (evaluator, _):
        trial = await evaluator.trial(job())
    assert trial.score == (answer == b"42")
    assert trial.reason.startswith("out of time after 7 s: ") == (answer == b"41")


async def test_a_whole_machine_is_handed_in_and_the_hidden_tests_come_in_after_it(tmp_path: Path) -> None:
    whole = replace(TASK, profile=Profile.MACHINE, submit=(), reward=RewardKind.EXIT, junit=None, image="special")

    def look(scene: FakeRun) -> object:
        assert scene.argv[3] == TOOLS  # before the image's own programs
        assert scene.env["RATCHET_HIDDEN"] == "/tests/hidden"
        assert scene.areas["/tests"] == {"hidden": b"42"}
        return ran(exit_code=0 if scene.workspace == {"app/answer": b"42"} else 1)

    async with evaluating(tmp_path, {"scaffold": solve, f"{TOOLS}/bash": look}) as (evaluator, sandbox):
        trial = await evaluator.trial(job(whole))
        assert (trial.score, trial.reason) == (1.0, "the check ended with exit code 0")
        assert [spec.machine for spec in sandbox.opened] == [True, True]
        assert [spec.disk_mb for spec in sandbox.opened] == [MACHINE_DISK_MB] * 2
