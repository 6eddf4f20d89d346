"""scaffold tree x tasks -> trials.

A trial is solved in one box and graded in another. An infrastructure error raises and is never scored; anything
that a box could have caused is a score.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from agent.base.errors import BudgetSpent, CandidateFault, InfrastructureError
from agent.base.gateway import Gateway, Session
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
    Purpose,
    RunResult,
    Sandbox,
    Task,
    Trial,
)
from agent.base.usage import Usage
from agent.trials.grading import SNAPSHOT_BYTES, STARVED_SHARE, box_for, grade, grading_box, in_workdir, refuse_starved
from agent.trials.heartbeat import unstopped
from agent.trials.preparing import Prepared, PrepareFailed
from agent.trials.seeing import seen
from agent.trials.slots import Slots
from agent.trials.stages import collect, prepare
from agent.trials.watching import Watcher

MODEL_ALIAS = "ratchet"
"""The one model name that a box needs to know; the gateway maps it to the role's model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One trial to be run. `answer_scope` names the scope in which model answers are shared (gate.md, coupled pairs).

    `name` is the trial's id; a replay gives the recorded one, None makes a new one. `caps` None: those of every trial.
    """

    tree: str
    task: Task
    purpose: Purpose
    seed: int
    answer_scope: str | None
    name: str | None = None
    watcher: Watcher | None = None
    caps: Caps | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is taken out of a box, as `Box.take` has it; `named`: the others are named, the boxes' own words.

    `whole`: the machine as a snapshot, and nothing else.
    """

    globs: Sequence[str]
    without: Sequence[str] = ()
    max_files: int = 256
    max_bytes: int = 4 << 20
    named: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Visited:
    """What one visit to a box with a gateway left. `names` are paths of all files, if they were wanted."""

    run: RunResult
    files: Files
    fault: str | None
    usage: Usage
    names: tuple[str, ...] = ()


class Visit:
    """Runs a scaffold in a box with a gateway: the one thing that solving and improving share."""

    def __init__(self, sandbox: Sandbox, gateway: Gateway, spec: BoxSpec, command: Sequence[str]) -> None:
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

    def other(self, spec: BoxSpec, command: Sequence[str]) -> Visit:
        """Visits of another program, in another kind of box."""
        return Visit(self._sandbox, self._gateway, spec, command)

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
    """Runs trials. One limit, `slots`, holds over all trials that run at the same time.

    `image` is the one of all tasks, but for those that `images` names by their id, or for grading by `ID/check`.
    `starved` is the part of a run that other programs may withhold before the trial is void. With `prepared`, a
    scaffold is built before it is run.
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
        prepared: Prepared | None = None,
    ) -> None:
        self._sandbox, self._visit, self._image, self._images = sandbox, visit, image, images
        self._scaffolds, self._caps, self._starved = scaffolds, caps, starved
        self._prepared = prepared
        self.slots = Slots(parallel)

    async def scaffold(self, tree: str) -> Files:
        """What lies below /scaffold in the boxes of a tree.

        Raises:
            PrepareFailed: it cannot be built.
            InfrastructureError: the build is void.
        """
        return self._scaffolds[tree] if self._prepared is None else await self._prepared.files(tree)

    async def seen(self, tree: str) -> Mapping[str, str]:
        """Path -> SHA-256 of each file that a box of a tree sees below /scaffold.

        Raises:
            PrepareFailed: it cannot be built.
            CandidateFault: the image does not let it be read.
            InfrastructureError: the box failed.
        """
        spec = replace(self._visit.spec, gateway=False)
        return await seen(self._sandbox, spec, await self.scaffold(tree))

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
            try:
                scaffold = await self.scaffold(job.tree)
            except PrepareFailed as fault:
                return _unbuilt(job, name, fault, time.monotonic() - started)
            # The box that grades is made while the one that solves works.
            with self._sandbox.expect(grading_box(job.task, self._grading_image(job.task, image))):
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


def _with_ending(verdict: Grade, run: RunResult) -> Grade:
    """A failure of a scaffold that was stopped is put down to that first: its files are unfinished."""
    if run.ending is Ending.TIMEOUT and verdict.score < 1:
        return replace(verdict, reason=f"out of time after {run.seconds:.0f} s: {verdict.reason}")
    return verdict


def _unbuilt(job: Job, name: str, fault: PrepareFailed, seconds: float) -> Trial:
    """The trial of a scaffold that cannot be built."""
    if job.watcher is not None:
        job.watcher.printed(fault.log.encode())
        job.watcher.graded({}, Grade(score=0.0, reason=str(fault)))
    return Trial(
        id=name,
        tree=job.tree,
        task=job.task.id,
        purpose=job.purpose,
        seed=job.seed,
        score=0.0,
        reason=str(fault),
        transcript=fault.log,
        usage=Usage(),
        seconds=seconds,
    )


def _why_nothing(run: RunResult) -> str:
    if run.ending is Ending.TIMEOUT:
        return f"no submission: out of time after {run.seconds:.0f} s"
    if run.exit_code:
        return f"no submission: the scaffold crashed (exit code {run.exit_code})"
    return "no submission: the starting files were left as they were"


def new_name() -> str:
    """A name for a trial that has none yet."""
    return uuid.uuid4().hex[:12]


def seed_of(*parts: object) -> int:
    """A seed in [0, 2**31) that is a stable function of its parts."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
