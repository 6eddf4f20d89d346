"""Where the parts are put together, and nowhere else.

Three builders: `campaign_parts` for a campaign that writes; `measuring_parts` and `replaying_parts` for trials
beside it, whose record is thrown away unless a ledger is given to keep it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from agent.base.errors import UserError
from agent.base.refusal import Refusal
from agent.base.trust import trusted_hash
from agent.base.types import BoxSpec, Call, CallRecord, Caps, Files, Suite
from agent.config.campaign import Config
from agent.config.improve import ITSELF, Improver, improver_of
from agent.config.models import ModelsConfig
from agent.kernel.decide.budget import Budget
from agent.kernel.git.excerpt import Branch
from agent.kernel.git.repository import Repository
from agent.kernel.loop.briefing import MOST_BYTES
from agent.kernel.loop.opening import IMPROVER, open_repository, remember_fixed, remember_windows, scaffold_layers
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
from agent.kernel.loop.state import Scaffolds, State
from agent.kernel.record.learned import LearnedParameters
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.under_way import UnderWay, book_cut_off
from agent.models.gateway.preflight import preflight
from agent.models.gateway.prices import check_caps, snapshot, unknown_prices
from agent.models.gateway.record import MemoryRecord, WatchedRecord
from agent.models.gateway.server import GatewayServer
from agent.models.ports import ReplaySource
from agent.models.providers.discovery import with_windows
from agent.models.providers.obliging import Obliging, Silent
from agent.suites.images import task_images
from agent.suites.loader import load_suite
from agent.trials.evaluator import Visit, boxes_of
from agent.trials.executor import Executor, Visitor
from agent.trials.places import on_cluster, on_this_machine, orders_of, recipe_of, sandbox_of
from agent.trials.preparing import Prepared, build
from sandbox.architecture import foreign_images
from sandbox.engine import engine_status
from sandbox.image import NO_LAYERS, ensure_image

INSTRUCTIONS = Path(__file__).parents[1] / "tasks" / "self-improvement"
ITS_OWN, ANOTHERS = "instruction.md", "another.md"
"""What the scaffold is asked when it improves itself, and what another program is asked."""


# ------------------------------------------------------------------------------------ a campaign


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
        async with _trial_parts(
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
    program = None if improver is None else _files_of(improver, repository)
    return _parts(config, ledger, _proposer(config, trials.visit, program), trials)


def _proposer(config: Config, visit: Visitor, program: Files | None = None) -> Proposer:
    return Proposer(
        visit=visit,
        instruction=(INSTRUCTIONS / (ITS_OWN if program is None else ANOTHERS)).read_text(encoding="utf-8"),
        boundary=boundary_of(config),
        caps=config.boxes.proposal_caps(),
        timeout=config.boxes.propose_timeout,
        program=program,
    )


def _started(config: Config, ledger: Ledger, console: Console) -> tuple[Suite, Repository]:
    """Suite and repository of a campaign that has passed every check which needs no box and no model."""
    start = Start(config, ledger)
    for check in start.checks():
        check.look()
    _say_unknown_prices(config, console)
    for remark in start.repository.remarks(config.scaffold.include, config.scaffold.build):
        console.print(remark)
    if problem := unprovable(config, start.suite):
        console.print(f"nothing can be proven: {problem}")
    remember_fixed(config, ledger, start.suite)
    return start.suite, start.repository


async def _box_of(improver: Improver, config: Config, repository: Repository, say: Callable[[str], None]) -> BoxSpec:
    """The box of another improver: on the scaffold's image, so that it can try its change, unless it names one."""
    own = repository.layers(improver.layers, "improve.build")
    base, below = improver.image, NO_LAYERS
    if base is None:
        base, below = config.scaffold.image, scaffold_layers(config, repository)
    image = await asyncio.to_thread(ensure_image, base, layers=own.on(below), say=say)
    spec = config.boxes.spec(image)
    return replace(spec, memory_mb=max(improver.memory_mb, spec.memory_mb))


def _files_of(improver: Improver, repository: Repository) -> Files:
    """What lies below /scaffold in the box of another improver."""
    return {**repository.read(repository.base, improver.include), **improver.files}


def _parts(config: Config, ledger: Ledger, proposer: Proposer, trials: TrialParts) -> Parts:
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


# ------------------------------------------------------------------------------------ beside a campaign


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
    _check_models(config, console)
    suite = load_suite(config.suite)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, ExitStack() as opened:
        ledger = keep or opened.enter_context(Ledger(Path(folder) / "ledger.sqlite"))
        repository, budget = open_repository(config, ledger), budget_of(config, ledger, hours=None)
        async with _trial_parts(
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
        yield _parts(config, keep, _proposer(config, trials.visit), trials)


@asynccontextmanager
async def replaying_parts(config: Config, source: ReplaySource, console: Console) -> AsyncIterator[TrialParts]:
    """Trials whose model calls are answered from a record: no model is called, nothing is spent."""
    free = config.budget.model_copy(update={"dollars": None, "tokens": None})
    replaying = config.model_copy(update={"models": config.models.as_replay(), "budget": free})
    async with measuring_parts(replaying, console, replay=source) as trials:
        yield trials


# ------------------------------------------------------------------------------------ the doctor's trial

OBLIGING, SILENT = "obliging", "silent"
"""The roles of the models with which an agent is tried."""

_BRIEF = {"campaign": "doctor", "scores": {"champion": None, "parent": None}, "attempts": [], "failures": []}


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A program as it is tried: its visits, what lies in its boxes, the model that obliges it, every call."""

    visit: Visitor
    files: Files
    task: Files
    workspace: Files
    model: Obliging
    record: MemoryRecord


@asynccontextmanager
async def programs(config: Config, say: Callable[[str], None]) -> AsyncIterator[Mapping[str, Program]]:
    """The agent, and its improver if that is another program, with models that cost nothing.

    Raises:
        PrepareFailed: the agent cannot be built.
        UserError: as `campaign_parts` does.
    """
    solver = config.models.as_replay().of("solver")[0]
    models = ModelsConfig(dict.fromkeys((OBLIGING, SILENT), (solver,)))
    scaffold, record, model = config.scaffold, MemoryRecord(), Obliging()
    repository = open_repository(config, None)
    layers = scaffold_layers(config, repository)
    image = await asyncio.to_thread(ensure_image, scaffold.image, layers=layers, say=say)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as name:
        gateway = GatewayServer(models, record, providers={OBLIGING: model, SILENT: Silent()})
        async with gateway, sandbox_of(config, Path(name)) as sandbox:
            visit = Visit(sandbox, gateway, config.boxes.spec(image), scaffold.command)
            scaffolds, tree = _scaffolds(config, repository), repository.tree_of(repository.base)
            recipe = recipe_of(config, image)
            files = scaffolds[tree] if recipe is None else await build(sandbox, recipe, scaffolds[tree])
            agent = Program(visit=visit, files=files, task={}, workspace={}, model=model, record=record)
            found = {"agent": agent}
            if (improver := improver_of(config.improve)) is not None:
                other = await _box_of(improver, config, repository, say)
                found["improver"] = replace(
                    agent,
                    visit=partial(visit, spec=other, command=improver.command),
                    files=_files_of(improver, repository),
                    task={"context/brief.json": json.dumps(_BRIEF).encode()},
                    workspace={**repository.read(tree), **_repository_of(repository, tree)},
                )
            yield found


def _repository_of(repository: Repository, tree: str) -> Files:
    """The `.git` folder that an improver gets, of the seed alone."""
    seed = Branch(name="candidate/0", tree=tree, parent=None, message="seed", note="")
    return repository.excerpt().files([seed], seed.name, {}, MOST_BYTES)


# ------------------------------------------------------------------------------------ what all of them need


def _check_models(config: Config, console: Console) -> None:
    config.models.check_keys()
    check_caps(config.models, Caps(dollars=config.budget.dollars, tokens=config.budget.tokens))
    _say_unknown_prices(config, console)


def _say_unknown_prices(config: Config, console: Console) -> None:
    if unknown := unknown_prices(config.models):
        console.print(f"no price is known for {', '.join(unknown)}: its calls count as tokens, not as money")


@asynccontextmanager
async def _trial_parts(
    config: Config,
    suite: Suite,
    *,
    ledger: Ledger,
    repository: Repository,
    budget: Budget,
    folder: Path,
    console: Console,
    improver: Improver | None = None,
    replay: ReplaySource | None = None,
    record: CallRecord | None = None,
    ask: bool = True,
    journal: UnderWay | None = None,
) -> AsyncIterator[TrialParts]:
    """Images, then gateway and boxes, open. `folder` holds the boxes' sockets; `ask`: every model has answered once."""
    repository.check_suite(config.suite, config.scaffold.include, config.improve.include)
    image, images = await _images(config, suite, repository, console)
    models = await asyncio.to_thread(with_windows, config.models)
    learned = LearnedParameters(ledger)
    gateway = GatewayServer(
        models, record or ledger, budget, seed=config.seed, replay=replay, learned=learned, journal=journal
    )
    other = None if improver is None else await _box_of(improver, config, repository, console.print)
    scaffolds, orders = _scaffolds(config, repository), orders_of(config, image, images)
    kinds = {orders.spec, other or orders.spec}
    kinds.update(kind for task in suite.tasks for kind in boxes_of(task, orders.spec, images))
    if config.executor.kind == "ray":
        place = on_cluster(config, orders, gateway, kinds, console.print)
    else:
        place = on_this_machine(config, orders, gateway, folder)
    async with gateway, place as (machines, visit):
        for note in await preflight(gateway) if ask else ():
            console.print(note)
        recipe = orders.recipe
        prepared = Prepared(machines.build, scaffolds, recipe.key, folder / "prepared") if recipe else None
        yield TrialParts(
            suite=suite,
            repository=repository,
            budget=budget,
            models=models,
            gateway=gateway,
            visit=visit if improver is None else partial(visit, spec=other, command=improver.command),
            scaffolds=scaffolds,
            evaluator=Executor(machines, scaffolds, config.boxes.parallel, prepared),
        )


def _scaffolds(config: Config, repository: Repository) -> Scaffolds:
    """What boxes see of a tree: the paths that are included, and the mutable ones."""
    return Scaffolds(lambda tree: {**repository.read(tree, config.scaffold.include), **repository.read(tree)})


async def _images(
    config: Config, suite: Suite, repository: Repository, console: Console
) -> tuple[str, Mapping[str, str]]:
    """The image of the boxes, and those of tasks that name one of their own, by task id."""
    if not (engine := engine_status()).ok:
        raise UserError("docker", engine.line, f"Run `{engine.fix}`.")
    base, layers = config.scaffold.image, scaffold_layers(config, repository)
    image = await asyncio.to_thread(ensure_image, base, layers=layers, say=console.print)
    images = await asyncio.to_thread(task_images, suite, base, layers=layers, say=console.print)
    for line in await asyncio.to_thread(foreign_images, {image, *images.values()}):
        console.print(line)
    return image, images
