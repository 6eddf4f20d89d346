"""scaffold tree x tasks -> trials.

A trial is solved in one box and graded in another. An infrastructure error raises and is never scored; anything
that a box could have caused is a score.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import replace
from types import MappingProxyType

from agent.base.errors import BudgetSpent, CandidateFault, InfrastructureError
from agent.base.gateway import Session
from agent.base.profile import SNAPSHOT
from agent.base.types import (
    GATEWAY_URL,
    Box,
    BoxSpec,
    CallScope,
    Caps,
    Ending,
    Files,
    Grade,
    RunResult,
    Sandbox,
    Task,
    Trial,
)
from agent.trials.acting import solver_command
from agent.trials.executor import Job, Orders, Sessions, Visited, Wanted
from agent.trials.grading import SNAPSHOT_BYTES, STARVED_SHARE, box_for, grade, grading_box, refuse_starved
from agent.trials.preparing import Recipe, build
from agent.trials.seeing import seen
from agent.trials.stages import collect, prepare

MODEL_ALIAS = "ratchet"
"""The one model name that a box needs to know; the gateway maps it to the role's model."""


class Visit:
    """Runs a scaffold in a box with a gateway: the one thing that solving and improving share."""

    def __init__(self, sandbox: Sandbox, gateway: Sessions, spec: BoxSpec, command: Sequence[str]) -> None:
        self._sandbox, self._gateway, self.spec, self.command = sandbox, gateway, spec, tuple(command)

    async def __call__(
        self,
        *,
        scope: CallScope,
        scaffold: Files,
        task: Files,
        workspace: Files,
        take: Sequence[str] | Wanted,
        timeout: float,
        seed: int,
        env: Mapping[str, str],
        spec: BoxSpec | None = None,
        command: Sequence[str] | None = None,
        heard: Callable[[bytes], None] | None = None,
        around: Task | None = None,
    ) -> Visited:
        """One visited, in a box of another kind or by another command where one is given.

        `around` is the task whose commands run before and after it.

        Raises:
            InfrastructureError: also for a fault that only the gateway saw.
        """
        with _early():
            box = await self._sandbox.open(spec or self.spec)
        try:
            with _early():
                await _fill(box, scaffold, task, workspace)
                if around is not None:
                    await prepare(box, around)
                session = await self._session(box, replace(scope, deadline=time.monotonic() + timeout))
            try:
                run = await box.run(
                    command or self.command,
                    env=_environment(env, timeout, seed),
                    timeout=timeout,
                    more=session.waited,
                    heard=heard,
                )
                waited = session.waited()
                wanted = take if isinstance(take, Wanted) else Wanted(globs=take)
                files, names, fault = await _take(box, wanted, run, around)
            finally:
                await session.close()
        finally:
            await box.close()
        if session.fault is not None:
            raise session.fault
        if session.out_of_budget:
            raise BudgetSpent(f"trial {scope.trial} met the campaign's limit")
        usage = replace(session.usage, seconds=max(run.seconds - waited, 0.0))
        return Visited(run=run, files=files, fault=fault, usage=usage, names=names)

    async def _session(self, box: Box, scope: CallScope) -> Session:
        """A way to the models, unless they are known to be down: then the scaffold would run for nothing."""
        if box.socket is None:
            raise InfrastructureError(f"box {box.id} has no way to the gateway")
        if (trouble := self._gateway.trouble(*scope.models.values())) is not None:
            raise InfrastructureError(trouble)
        return await self._gateway.open(box.socket, scope)


@contextmanager
def _early() -> Iterator[None]:
    """Mark what fails before any code of a candidate runs."""
    try:
        yield
    except InfrastructureError as error:
        error.early = True
        raise


async def _fill(box: Box, scaffold: Files, task: Files, workspace: Files) -> None:
    await box.put(scaffold, "/scaffold")
    await box.put(task, "/task")
    await box.put(workspace, "/workspace")


async def _take(
    box: Box, wanted: Wanted, run: RunResult, around: Task | None
) -> tuple[Files, tuple[str, ...], str | None]:
    """What the box hands in, what it names, and the candidate's fault if it cannot."""
    if run.ending in {Ending.KILLED, Ending.MEMORY}:
        return {}, (), str(run.ending)
    names: tuple[str, ...] = ()
    try:
        if around is not None:
            await collect(box, around)
        if wanted.whole:
            return {SNAPSHOT: await box.freeze(most=SNAPSHOT_BYTES)}, (), None
        names = await box.names(without=wanted.without) if wanted.named else ()
        most = wanted.max_bytes
        taken = await box.take(wanted.globs, without=wanted.without, max_files=wanted.max_files, max_bytes=most)
    except CandidateFault as fault:
        return {}, names, str(fault)
    return taken, names, None


def _environment(env: Mapping[str, str], timeout: float, seed: int) -> dict[str, str]:
    """What the command is told. RATCHET_DEADLINE is a lower bound: time in the gateway's queues is added to it."""
    return {
        **env,
        "PYTHONPATH": "/scaffold",
        "OPENAI_BASE_URL": f"{GATEWAY_URL}/v1",
        "ANTHROPIC_BASE_URL": GATEWAY_URL,
        "OPENAI_API_KEY": "placeholder",
        "ANTHROPIC_API_KEY": "placeholder",
        "RATCHET_MODEL": MODEL_ALIAS,
        "RATCHET_DEADLINE": f"{time.time() + timeout:.3f}",
        "RATCHET_SECONDS": f"{timeout:.3f}",
        "RATCHET_SEED": str(seed),
    }


class Evaluator:
    """Runs trials on this machine, one solved and graded after the other.

    `image` is the one of all tasks, but for those that `images` names by their id, or for grading by `ID/check`.
    `starved` is the part of a run that other programs may withhold before the trial is void. `recipe` builds scaffolds.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        visit: Visit,
        image: str,
        caps: Caps,
        images: Mapping[str, str] = MappingProxyType({}),
        starved: float = STARVED_SHARE,
        recipe: Recipe | None = None,
    ) -> None:
        self._sandbox, self._visit, self._image, self._images = sandbox, visit, image, images
        self._caps, self._starved, self._recipe = caps, starved, recipe

    def room(self, boxes: int = 1) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - a Backend
        """What the executor lets through has room on this machine."""
        return nullcontext()

    async def build(self, scaffold: Files) -> Files:
        """What the recipe makes of a scaffold.

        Raises:
            PrepareFailed: it cannot be built.
            InfrastructureError: the build is void.
        """
        return scaffold if self._recipe is None else await build(self._sandbox, self._recipe, scaffold)

    async def seen(self, scaffold: Files) -> Mapping[str, str]:
        """Path -> SHA-256 of each file that a box sees below /scaffold.

        Raises:
            CandidateFault: the image does not let it be read.
            InfrastructureError: the box failed.
        """
        return await seen(self._sandbox, replace(self._visit.spec, gateway=False), scaffold)

    async def run(self, job: Job, scaffold: Files) -> Trial:
        """Run one trial to its score.

        Raises:
            InfrastructureError: the trial is void; nothing of it may be scored.
        """
        started, name = time.monotonic(), str(job.name)
        solving, grading = boxes_of(job.task, replace(self._visit.spec, image=self._image), self._images)
        watcher = job.watcher
        # The box that grades is made while the one that solves works.
        with self._sandbox.expect(grading):
            visited = await self._visit(
                scope=CallScope(
                    trial=name,
                    models={MODEL_ALIAS: "solver"},
                    answer_scope=job.answer_scope,
                    caps=job.caps or self._caps,
                ),
                scaffold=scaffold,
                task={"instruction.md": job.task.instruction.encode()},
                workspace=job.task.files,
                take=Wanted(globs=job.task.submit, whole=job.task.whole),
                timeout=job.task.solve_timeout,
                seed=job.seed,
                env=job.task.env,
                spec=solving,
                command=solver_command(job.task, self._visit.command),
                heard=watcher.printed if watcher is not None else None,
                around=job.task,
            )
        refuse_starved(visited.run, self._starved)
        verdict = await self._grade(job.task, visited, grading.image)
        if watcher is not None:
            watcher.graded(visited.files, verdict)
        return Trial(
            id=name,
            tree=job.tree,
            task=job.task.id,
            purpose=job.purpose,
            seed=job.seed,
            score=verdict.score,
            reason=verdict.reason,
            transcript=visited.run.output.decode(errors="replace"),
            usage=visited.usage,
            seconds=time.monotonic() - started,
        )

    async def _grade(self, task: Task, visited: Visited, image: str) -> Grade:
        """Grade in a fresh box; a submission that cannot differ from the starting files needs none."""
        if visited.fault is not None:
            return Grade(score=0.0, reason=visited.fault)
        if not visited.files or all(task.files.get(path) == body for path, body in visited.files.items()):
            return Grade(score=0.0, reason=_why_nothing(visited.run))
        verdict = await grade(self._sandbox, image, task, visited.files, self._starved)
        return _with_ending(verdict, visited.run)


def boxes_of(task: Task, spec: BoxSpec, images: Mapping[str, str]) -> tuple[BoxSpec, BoxSpec]:
    """The box that solves a task and the one that grades it; `images` as for the evaluator."""
    image = images.get(task.id, spec.image)
    return box_for(task, replace(spec, image=image)), grading_box(task, images.get(f"{task.id}/check", image))


def evaluator_of(orders: Orders, sandbox: Sandbox, visit: Visit) -> Evaluator:
    """What carries out a campaign's orders on this machine."""
    return Evaluator(
        sandbox=sandbox,
        visit=visit,
        image=orders.spec.image,
        images=orders.images,
        caps=orders.caps,
        starved=orders.starved,
        recipe=orders.recipe,
    )


def _with_ending(verdict: Grade, run: RunResult) -> Grade:
    """A failure of a scaffold that was stopped is put down to that first: its files are unfinished."""
    if run.ending is Ending.TIMEOUT and verdict.score < 1:
        return replace(verdict, reason=f"out of time after {run.seconds:.0f} s: {verdict.reason}")
    return verdict


def _why_nothing(run: RunResult) -> str:
    if run.ending is Ending.TIMEOUT:
        return f"no submission: out of time after {run.seconds:.0f} s"
    if run.exit_code:
        return f"no submission: the scaffold crashed (exit code {run.exit_code})"
    return "no submission: the starting files were left as they were"


def seed_of(*parts: object) -> int:
    """A seed in [0, 2**31) that is a stable function of its parts."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
