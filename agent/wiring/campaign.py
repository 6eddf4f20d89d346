"""A campaign that writes: its parts, checked before anything is spent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

from rich.console import Console

from agent.base.trust import trusted_hash
from agent.base.types import Files, Suite
from agent.config.campaign import Config
from agent.config.improve import ITSELF, Improver, improver_of
from agent.kernel.git.repository import Repository
from agent.kernel.loop.opening import IMPROVER, remember_fixed, remember_windows
from agent.kernel.loop.parts import Parts, TrialParts
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.settings import (
    aim_of,
    boundary_of,
    budget_of,
    limit_reached,
    search_settings,
    strategy_of,
    unprovable,
)
from agent.kernel.loop.starting import Start
from agent.kernel.loop.state import State
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.under_way import UnderWay, book_cut_off
from agent.models.gateway.prices import snapshot
from agent.trials.executor import Visitor
from agent.wiring.trials import files_of, say_unknown_prices, trial_parts

INSTRUCTIONS = Path(__file__).parents[2] / "tasks" / "self-improvement"
ITS_OWN, ANOTHERS, BRING_OVER = "instruction.md", "another.md", "bring-over.md"
"""What the scaffold is asked when it improves itself, and what another program is asked."""


@asynccontextmanager
async def campaign_parts(config: Config, ledger: Ledger, console: Console) -> AsyncIterator[Parts]:
    """Everything a campaign needs, checked before anything is spent. Raises UserError."""
    suite, repository = _started(config, ledger, console)
    if left := book_cut_off(config.folder, ledger):
        console.print(f"{left} model calls were cut off with the last run; they are booked at their upper bound")
    budget = budget_of(config, ledger, hours=config.budget.hours)
    accepted = sum(row.test is not None for row in ledger.commits())
    ended = limit_reached(config, budget, accepted=accepted, trials=ledger.count_trials()) is not None
    improver = improver_of(config.improve)
    with closing(UnderWay(config.folder)) as journal:
        async with trial_parts(
            config,
            suite,
            ledger=ledger,
            repository=repository,
            budget=budget,
            folder=config.folder,
            console=console,
            improver=improver,
            ask=not ended,
            journal=journal,
        ) as trials:
            yield _campaign(config, ledger, trials, improver)


def _campaign(config: Config, ledger: Ledger, trials: TrialParts, improver: Improver | None) -> Parts:
    repository = trials.repository
    ledger.remember("base", repository.base)
    ledger.remember("prices", snapshot(config.models))
    remember_windows(ledger, trials.models)
    ledger.remember(IMPROVER, ITSELF if improver is None else improver.name)
    program = None if improver is None else files_of(improver, repository)
    return parts_of(config, ledger, proposer_of(config, trials.visit, program), trials)


def proposer_of(config: Config, visit: Visitor, program: Files | None = None) -> Proposer:
    """Who asks for patches. `program`: the files of another program that improves the scaffold."""
    return Proposer(
        visit=visit,
        instruction=(INSTRUCTIONS / (ITS_OWN if program is None else ANOTHERS)).read_text(encoding="utf-8"),
        boundary=boundary_of(config),
        caps=config.boxes.proposal_caps(),
        timeout=config.boxes.propose_timeout,
        program=program,
        bring_over=(INSTRUCTIONS / BRING_OVER).read_text(encoding="utf-8"),
    )


def _started(config: Config, ledger: Ledger, console: Console) -> tuple[Suite, Repository]:
    """Suite and repository of a campaign that has passed every check which needs no box and no model."""
    start = Start(config, ledger)
    for check in start.checks():
        check.look()
    say_unknown_prices(config, console)
    for remark in start.repository.remarks(config.scaffold.include, config.scaffold.build):
        console.print(remark)
    if problem := unprovable(config, start.suite):
        console.print(f"nothing can be proven: {problem}")
    remember_fixed(config, ledger, start.suite)
    return start.suite, start.repository


def parts_of(config: Config, ledger: Ledger, proposer: Proposer, trials: TrialParts) -> Parts:
    """What a campaign is made of."""
    return Parts(
        config=config,
        suite=trials.suite,
        state=State(ledger, search_settings(config, trials.suite), aim_of(config)),
        repository=trials.repository,
        gateway=trials.gateway,
        scaffolds=trials.scaffolds,
        evaluator=trials.evaluator,
        proposer=proposer,
        strategy=strategy_of(config),
        budget=trials.budget,
        provenance=_provenance(config, trials.suite),
    )


def _provenance(config: Config, suite: Suite) -> Mapping[str, str]:
    """The commit trailers that are fixed for a campaign."""
    return {
        "Ratchet-Suite": f"{suite.name}@{suite.hash}",
        "Ratchet-Models": ", ".join(config.models.names()),
        **({} if (improver := improver_of(config.improve)) is None else {"Ratchet-Improver": improver.name}),
        "Ratchet-Kernel": trusted_hash(),
    }
