"""Trials and proposals beside a campaign, new ones and replayed ones."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console

from agent.base.refusal import Refusal
from agent.base.types import Call
from agent.config.campaign import Config
from agent.kernel.loop.opening import open_repository, remember_windows
from agent.kernel.loop.parts import Parts, TrialParts
from agent.kernel.loop.settings import (
    budget_of,
)
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.prices import snapshot
from agent.models.gateway.record import WatchedRecord
from agent.models.ports import ReplaySource
from agent.suites.loader import load_suite
from agent.wiring.campaign import parts_of, proposer_of
from agent.wiring.trials import check_models, trial_parts


@asynccontextmanager
async def measuring_parts(
    config: Config,
    console: Console,
    *,
    replay: ReplaySource | None = None,
    keep: Ledger | None = None,
    told: Callable[[Call | Refusal], object] | None = None,
) -> AsyncIterator[TrialParts]:
    """Trials beside a campaign. The budget's dollars and tokens bound them; hours do not.

    Model calls are recorded in `keep`, or in a ledger that is thrown away; `told` hears of each call and refusal.
    """
    check_models(config, console)
    suite = load_suite(config.suite)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, ExitStack() as opened:
        ledger = keep or opened.enter_context(Ledger(Path(folder) / "ledger.sqlite"))
        repository, budget = open_repository(config, ledger), budget_of(config, ledger, hours=None)
        repository.check_suite(config.suite, config.scaffold.include, config.improve.include)
        async with trial_parts(
            config,
            suite,
            ledger=ledger,
            repository=repository,
            budget=budget,
            folder=Path(folder),
            console=console,
            replay=replay,
            record=WatchedRecord(ledger, told) if told is not None else ledger,
        ) as trials:
            yield trials


@asynccontextmanager
async def improving_parts(config: Config, console: Console, keep: Ledger) -> AsyncIterator[Parts]:
    """Proposals beside a campaign, by scaffolds that need not be its own; `keep` holds the parent as candidate 0."""
    config.models.need(("solver", "improver"))
    async with measuring_parts(config, console, keep=keep) as trials:
        remember_windows(keep, trials.models)
        keep.remember("prices", snapshot(config.models))
        yield parts_of(config, keep, proposer_of(config, trials.visit), trials)


@asynccontextmanager
async def replaying_parts(config: Config, source: ReplaySource, console: Console) -> AsyncIterator[TrialParts]:
    """Trials whose model calls are answered from a record: no model is called, nothing is spent."""
    free = config.budget.model_copy(update={"dollars": None, "tokens": None})
    replaying = config.model_copy(update={"models": config.models.as_replay(), "budget": free})
    async with measuring_parts(replaying, console, replay=source) as trials:
        yield trials
