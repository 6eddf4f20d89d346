"""Runs trials where the boxes are: on this machine, or on the nodes of a cluster."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from agent.base.errors import InfrastructureError
from agent.base.gateway import Session
from agent.base.types import BoxSpec, CallScope, Caps, Files, Grade, Purpose, RunResult, Task, Trial
from agent.base.usage import Usage
from agent.trials.heartbeat import unstopped
from agent.trials.preparing import Prepared, PrepareFailed, Recipe
from agent.trials.slots import Slots
from agent.trials.watching import Watcher


class NodeLost(InfrastructureError):
    """The machine, or the process on it, that ran a trial is gone."""


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

    def named(self) -> Job:
        """The same with a name."""
        return self if self.name else replace(self, name=uuid.uuid4().hex[:12])


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """What every machine that runs trials of a campaign has to know; the same for all of them.

    `spec` and `command` run a scaffold; with `recipe`, it is built before. `spec.image` is the one of all tasks, but
    for those that `images` names by their id, or for grading by `ID/check`. `starved` is the part of a run that other
    programs may withhold before the trial is void.
    """

    run: str
    campaign: str
    spec: BoxSpec
    command: tuple[str, ...]
    runtime: str | None
    images: Mapping[str, str]
    caps: Caps
    starved: float
    recipe: Recipe | None


class Visitor(Protocol):
    """Runs a scaffold in a box with a gateway; see `agent.trials.evaluator.Visit`."""

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
    ) -> Visited:
        """One visit. Raises InfrastructureError."""


class Sessions(Protocol):
    """A gateway as a box's machine sees it."""

    async def open(self, socket: Path, scope: CallScope) -> Session:
        """Listen at `socket` for one box. Raises InfrastructureError."""

    def trouble(self, *roles: str) -> str | None:
        """The providers that are down and why, of these roles; None if they are up."""


class Backend(Protocol):
    """Where the boxes are. Each method raises InfrastructureError if its work is void."""

    def room(self, boxes: int = 1) -> AbstractAsyncContextManager[None]:
        """While this is entered, there is room for so many boxes at a time, on one machine, for what is done inside."""

    async def run(self, job: Job, scaffold: Files) -> Trial:
        """One trial of a scaffold to its score; the job has a name."""

    async def build(self, scaffold: Files) -> Files:
        """What `scaffold.prepare` makes of a scaffold. Raises PrepareFailed."""

    async def seen(self, scaffold: Files) -> Mapping[str, str]:
        """Path -> SHA-256 of each file that a box sees below /scaffold. Raises CandidateFault if it cannot be read."""


class Executor:
    """Runs trials of trees. One limit, `slots`, holds over all trials that run at the same time, wherever they run.

    With `prepared`, a scaffold is built before it is run. Room is taken before a slot, always: a trial that waits for a
    slot has room, never the other way round.
    """

    def __init__(
        self, backend: Backend, scaffolds: Mapping[str, Files], parallel: int, prepared: Prepared | None = None
    ) -> None:
        self._backend, self._scaffolds, self._prepared = backend, scaffolds, prepared
        self.slots = Slots(parallel)

    def pair(self) -> AbstractAsyncContextManager[None]:
        """While this is entered, there is room for both sides of a pair at the same time, on one machine."""
        return self._backend.room(2)

    async def scaffold(self, tree: str) -> Files:
        """What lies below /scaffold in the boxes of a tree.

        Raises:
            PrepareFailed: it cannot be built.
            InfrastructureError: the build is void.
        """
        if self._prepared is None:
            return self._scaffolds[tree]
        # Room comes before the turn to build a tree, too: who has that turn must not wait for the room of others.
        async with self._backend.room():
            return await self._prepared.files(tree)

    async def seen(self, tree: str) -> Mapping[str, str]:
        """Path -> SHA-256 of each file that a box of a tree sees below /scaffold.

        Raises:
            PrepareFailed: it cannot be built.
            CandidateFault: the image does not let it be read.
            InfrastructureError: the box failed.
        """
        async with self._backend.room():
            return await self._backend.seen(await self.scaffold(tree))

    async def trial(self, job: Job, begins: Callable[[], object] = lambda: None) -> Trial:
        """Run one trial to its score; `begins` is called when its turn has come.

        Raises:
            InfrastructureError: the trial is void; nothing of it may be scored.
        """
        job = job.named()
        async with self._backend.room(), self.slots, unstopped():
            begins()
            if job.watcher is not None:
                job.watcher.started()
            started = time.monotonic()
            try:
                scaffold = await self.scaffold(job.tree)
            except PrepareFailed as fault:
                return _unbuilt(job, fault, time.monotonic() - started)
            return await self._backend.run(job, scaffold)


def _unbuilt(job: Job, fault: PrepareFailed, seconds: float) -> Trial:
    """The trial of a scaffold that cannot be built."""
    if job.watcher is not None:
        job.watcher.printed(fault.log.encode())
        job.watcher.graded({}, Grade(score=0.0, reason=str(fault)))
    return Trial(
        id=str(job.name),
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
