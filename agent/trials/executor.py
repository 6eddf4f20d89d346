"""Where trials run: the seam between the campaign, which decides, and the machines that hold the boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.base.errors import InfrastructureError
from agent.base.gateway import Session
from agent.base.types import BoxSpec, CallScope, Caps, Files, Purpose, RunResult, Task, Trial, Usage
from agent.trials.slots import Slots
from agent.trials.watching import Watcher


class NodeLost(InfrastructureError):
    """The machine, or the process on it, that ran a trial is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One trial to be run. `answer_scope` names the scope in which model answers are shared (gate.md, coupled pairs).

    `name` is the trial's id; a replay gives the recorded one, None makes a new one. `caps` None: those of every trial.
    `place` is what `Executor.pair` gave, for the two sides of a pair.
    """

    tree: str
    task: Task
    purpose: Purpose
    seed: int
    answer_scope: str | None
    name: str | None = None
    watcher: Watcher | None = None
    caps: Caps | None = None
    place: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Visited:
    """What one visit to a box with a gateway left."""

    run: RunResult
    files: Files
    fault: str | None
    usage: Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """What every machine that runs trials of a campaign has to know; the same for all of them.

    `spec` and `command` run a scaffold. `spec.image` is the one of all tasks, but for those that `images` names by
    their id, or for grading by `ID/check`. `starved` is the part of a run that other programs may withhold before the
    trial is void.
    """

    run: str
    campaign: str
    spec: BoxSpec
    command: tuple[str, ...]
    runtime: str | None
    images: Mapping[str, str]
    caps: Caps
    starved: float


class Executor(Protocol):
    """Runs trials. One limit, `slots`, holds over all trials that run at the same time, wherever they run."""

    slots: Slots

    def pair(self) -> AbstractAsyncContextManager[str | None]:
        """While this is entered, there is room for both sides of a pair at the same time, on one machine."""

    async def trial(self, job: Job, begins: Callable[[], object] = lambda: None) -> Trial:
        """Run one trial to its score; `begins` is called when its turn has come.

        Raises:
            InfrastructureError: the trial is void.
        """


class Visitor(Protocol):
    """Runs a scaffold in a box with a gateway; see `agent.trials.evaluator.Visit`."""

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
    ) -> Visited:
        """One visit. Raises InfrastructureError."""


class Sessions(Protocol):
    """A gateway as a box's machine sees it."""

    async def open(self, socket: Path, scope: CallScope) -> Session:
        """Listen at `socket` for one box. Raises InfrastructureError."""

    def trouble(self, *roles: str) -> str | None:
        """The providers that are down and why, of these roles; None if they are up."""
