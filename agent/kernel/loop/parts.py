"""What a campaign is made of: the parts that the wiring puts together, and the steps that can be started."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.base.gateway import Gateway
from agent.base.types import Suite
from agent.config.campaign import Config
from agent.config.models import ModelsConfig
from agent.kernel.decide.budget import Budget
from agent.kernel.decide.strategies import Strategy
from agent.kernel.git.repository import Repository
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.state import Scaffolds, State
from agent.trials.executor import Executor, Visitor

Work = Callable[[], Coroutine[object, object, object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialParts:
    """What it takes to run trials. Gateway and boxes are open; `models` have the windows that servers reported."""

    suite: Suite
    repository: Repository
    budget: Budget
    models: ModelsConfig
    gateway: Gateway
    visit: Visitor
    scaffolds: Scaffolds
    evaluator: Executor


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What `agent.wiring` puts together. `provenance` holds the commit trailers that are fixed for a campaign."""

    config: Config
    suite: Suite
    state: State
    repository: Repository
    gateway: Gateway
    scaffolds: Scaffolds
    evaluator: Executor
    proposer: Proposer
    strategy: Strategy
    budget: Budget
    provenance: Mapping[str, str]


PAIR_BOXES = 2
"""Boxes that a pair takes at a time: both sides run at once, so that load is the same for both."""


class StepKind(StrEnum):
    """What a step of a campaign does."""

    SABOTAGE = "broken seed"
    PROPOSAL = "proposal"
    TRIAL = "search trial"
    FIRST = "first trial"
    COMPOSING = "patches together"
    SAME = "A/A pair"
    CANARY = "canary"
    PAIR = "pair"
    VERDICT = "verdict"


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One step that can be started: what it does, what it is called, the most boxes that it takes at a time, the work.

    `again`: nothing else plans it, so it is queued again after an infrastructure error.
    """

    kind: StepKind
    label: str
    boxes: int
    work: Work
    again: bool = False
