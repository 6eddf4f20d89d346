"""scaffold tree x tasks -> trials.

A trial is solved in one box and graded in another. An infrastructure error raises and is never scored; anything
that a box could have caused is a score.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from agent.base.errors import BudgetSpent, CandidateFault, InfrastructureError, Starved
from agent.base.gateway import Session
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
    Side,
    Task,
    Trial,
)
from agent.trials.executor import Executor, Job, NodeLost, Orders, Sessions, Visited
from agent.trials.grading import STARVED_SHARE, box_for, grade, grading_box, in_workdir, refuse_starved
from agent.trials.heartbeat import Stopped, unstopped
from agent.trials.slots import Slots
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
        take: Sequence[str],
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
                files, fault = await _take(box, take, run, around)
            finally:
                await session.close()
        finally:
            await box.close()
        if session.fault is not None:
            raise session.fault
        if session.out_of_budget:
            raise BudgetSpent(f"trial {scope.trial} met the campaign's limit")
        return Visited(run=run, files=files, fault=fault, usage=session.usage)

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


async def _take(box: Box, globs: Sequence[str], run: RunResult, around: Task | None) -> tuple[Files, str | None]:
    """What the box hands in, and the candidate's fault if it cannot."""
    if run.ending in {Ending.KILLED, Ending.MEMORY}:
        return {}, str(run.ending)
    try:
        if around is not None:
            await collect(box, around)
        return await box.take(globs), None
    except CandidateFault as fault:
        return {}, str(fault)


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
    """Runs trials. One limit, `slots`, holds over all trials that run at the same time.

    `image` is the one of all tasks, but for those that `images` names by their id, or for grading by `ID/check`.
    `starved` is the part of a run that other programs may withhold before the trial is void.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        visit: Visit,
        image: str,
        scaffolds: Mapping[str, Files],
        caps: Caps,
        parallel: int,
        images: Mapping[str, str] = MappingProxyType({}),
        starved: float = STARVED_SHARE,
    ) -> None:
        self._sandbox, self._visit, self._image, self._images = sandbox, visit, image, images
        self._scaffolds, self._caps, self._starved = scaffolds, caps, starved
        self.slots = Slots(parallel)

    @asynccontextmanager
    async def pair(self) -> AsyncIterator[str | None]:
        """There is only this machine."""
        yield None

    async def trial(self, job: Job, begins: Callable[[], object] = lambda: None) -> Trial:
        """Run one trial to its score; `begins` is called when its turn has come.

        Raises:
            InfrastructureError: the trial is void; nothing of it may be scored.
        """
        async with self.slots, unstopped():
            begins()
            started, name = time.monotonic(), job.name or new_name()
            image, watcher = self._images.get(job.task.id, self._image), job.watcher
            if watcher is not None:
                watcher.started()
            # The box that grades is made while the one that solves works.
            with self._sandbox.expect(grading_box(job.task, self._grading_image(job.task, image))):
                visited = await self._visit(
                    scope=CallScope(
                        trial=name,
                        models={MODEL_ALIAS: "solver"},
                        answer_scope=job.answer_scope,
                        caps=job.caps or self._caps,
                    ),
                    scaffold=self._scaffolds[job.tree],
                    task={"instruction.md": job.task.instruction.encode()},
                    workspace=job.task.files,
                    take=job.task.submit,
                    timeout=job.task.solve_timeout,
                    seed=job.seed,
                    env=job.task.env,
                    spec=box_for(job.task, replace(self._visit.spec, image=image)),
                    command=in_workdir(job.task, self._visit.command),
                    heard=watcher.printed if watcher is not None else None,
                    around=job.task,
                )
            refuse_starved(visited.run, self._starved)
            verdict = await self._grade(job.task, visited, image)
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
        verdict = await grade(self._sandbox, self._grading_image(task, image), task, visited.files, self._starved)
        return _with_ending(verdict, visited.run)

    def _grading_image(self, task: Task, solving: str) -> str:
        return self._images.get(f"{task.id}/check", solving)


def evaluator_of(
    orders: Orders, sandbox: Sandbox, visit: Visit, scaffolds: Mapping[str, Files], parallel: int
) -> Evaluator:
    """The evaluator that carries out a campaign's orders on this machine."""
    return Evaluator(
        sandbox=sandbox,
        visit=visit,
        image=orders.spec.image,
        images=orders.images,
        scaffolds=scaffolds,
        caps=orders.caps,
        parallel=parallel,
        starved=orders.starved,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Void:
    """A pair that an infrastructure error made void: on which side, and why. Load meets both sides.

    `finished` holds the trials of champion and candidate that ended all the same.
    """

    side: Side
    reason: str
    starved: bool = False
    finished: tuple[Trial | None, Trial | None] = (None, None)

    def error(self) -> InfrastructureError:
        """What the pair's step raises."""
        return Starved(self.reason) if self.starved else InfrastructureError(self.reason)


async def both(executor: Executor, champion: Job, candidate: Job, order_seed: int) -> tuple[Trial, Trial] | Void:
    """One pair, both sides fresh and started in random order; or the side on which the infrastructure failed.

    An error voids both sides, decided without looking at the other side's score (gate.md, pairs). Where a provider
    failed, the side is the one whose model calls were under way at that moment.

    Raises:
        BudgetSpent: the campaign ends; nothing failed, so no void is counted.
        InfrastructureError: it failed before either scaffold ran. That hides nothing, so no void is counted either.
    """
    sides = [replace(job, name=job.name or new_name()) for job in (champion, candidate)]
    order = random.Random(order_seed).sample((0, 1), 2)  # noqa: S311 (reproducible, not secret)
    async with executor.pair() as place:
        tasks = [asyncio.create_task(executor.trial(replace(sides[n], place=place))) for n in order]
        try:
            results = await _ended(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    outcome = dict(zip(order, results, strict=True))
    first, second = outcome[0], outcome[1]
    if isinstance(first, Trial) and isinstance(second, Trial):
        return first, second
    errors = {
        side: error
        for side, outcome in zip(_SIDES, (first, second), strict=True)
        if (error := _failure(outcome)) is not None
    }
    if all(error.early for error in errors.values()) and len(errors) == len(sides):
        raise next(iter(errors.values()))
    names = {job.name: side for job, side in zip(sides, _SIDES, strict=True)}
    starved = any(isinstance(error, Starved) for error in errors.values())
    finished = first if isinstance(first, Trial) else None, second if isinstance(second, Trial) else None
    reason = str(next(iter(errors.values())))
    return Void(side=_side(errors, names), reason=reason, starved=starved, finished=finished)


async def _ended(tasks: Sequence[asyncio.Task[Trial]]) -> list[Trial | BaseException]:
    """What came of both sides. Raises BudgetSpent at once: the other side would be run for nothing."""
    waiting = {*tasks}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if isinstance(error := task.exception(), BudgetSpent):
                raise error
    return [task.exception() or task.result() for task in tasks]


_SIDES = (Side.CHAMPION, Side.CANDIDATE)


def _side(errors: Mapping[Side, InfrastructureError], names: Mapping[str | None, Side]) -> Side:
    """Whose calls were under way when a provider failed; both for load, a stop, a lost node; else those that failed."""
    if any(isinstance(error, Starved | Stopped | NodeLost) for error in errors.values()):
        return Side.BOTH
    met = [error.under_way for error in errors.values()]
    under_way = {side for name, side in names.items() if any(name in trials for trials in met)}
    sides = under_way or set(errors)
    return next(iter(sides)) if len(sides) == 1 else Side.BOTH


def new_name() -> str:
    """The id of a new trial."""
    return uuid.uuid4().hex[:12]


def _failure(outcome: Trial | BaseException) -> InfrastructureError | None:
    """The infrastructure error that ended one side; other exceptions propagate."""
    if isinstance(outcome, InfrastructureError):
        return outcome
    if isinstance(outcome, BaseException):
        raise outcome
    return None
