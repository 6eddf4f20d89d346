"""What a task asks of its boxes holds for solving and for grading; boxes are in memory here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.base.types import BoxSpec, Caps, Purpose, Split, Task
from agent.config.models import ModelsConfig
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Job, Visit
from sandbox.fake import FakeRun, FakeSandbox, ran

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


async def boxes_of(folder: Path, task: Task) -> tuple[list[BoxSpec], float]:
    """The boxes that one trial opened, and its score."""
    start = "sh -c cd -- "  # a command in a working directory; its name stands at its end
    programs = {"scaffold": solve, "check": check}
    if task.workdir:
        programs = {start: lambda scene: programs_of[scene.argv[4]](scene)}
    programs_of = {"scaffold": solve, "check": check}
    models = ModelsConfig.model_validate(
        {role: {"provider": "scripted", "script": "unused.yaml"} for role in ("solver", "improver")}
    )
    silent = {role: ScriptedProvider(lambda _: "no") for role in models.roles}
    gateway = GatewayServer(models, MemoryRecord(), Budget(Limits(), Spent()), providers=silent)
    async with gateway, FakeSandbox(programs, folder=folder) as sandbox:  # type: ignore[arg-type]
        evaluator = Evaluator(
            sandbox=sandbox,
            visit=Visit(sandbox, gateway, CAMPAIGN, ("scaffold",)),
            image="common",
            images={"special": "own-image"},
            scaffolds={"tree": {}},
            caps=Caps(),
            parallel=1,
        )
        trial = await evaluator.trial(Job(tree="tree", task=task, purpose=Purpose.SEARCH, seed=1, answer_scope=None))
        return sandbox.opened, trial.score


async def test_a_task_that_asks_for_nothing_is_solved_in_the_campaigns_box(tmp_path: Path) -> None:
    assert await boxes_of(tmp_path, TASK) == ([CAMPAIGN, BoxSpec(image="common", gateway=False)], 1.0)


async def test_what_a_task_asks_for_holds_in_both_boxes(tmp_path: Path) -> None:
    special = replace(TASK, id="special", user=1000, memory_mb=96, cpus=0.5, workdir="app")
    asked = BoxSpec(image="own-image", gateway=True, user=1000, memory_mb=96, cpus=0.5)
    assert await boxes_of(tmp_path, special) == ([asked, replace(asked, gateway=False)], 1.0)
