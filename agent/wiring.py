"""Where the parts are put together, and nowhere else.

Three builders: `campaign_parts` for a campaign that writes; `measuring_parts` and `replaying_parts` for trials
beside it, whose record is thrown away unless a ledger is given to keep it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console

from agent.base.errors import UserError
from agent.base.machine import cores
from agent.base.refusal import Refusal
from agent.base.trust import trusted_hash
from agent.base.types import Call, CallRecord, Caps, Suite
from agent.config.campaign import Config
from agent.kernel.decide.boundary import Boundary
from agent.kernel.decide.budget import Budget
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.git.repository import Repository
from agent.kernel.loop.opening import check_unchanged, open_repository, remember_windows
from agent.kernel.loop.parts import Parts, TrialParts
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.settings import boundary_of, budget_of, search_settings, unprovable
from agent.kernel.loop.state import Scaffolds, State
from agent.kernel.loop.tripwires import check_tripwire
from agent.kernel.loop.warm import check_warm_start
from agent.kernel.record.learned import LearnedParameters
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.preflight import preflight
from agent.models.gateway.prices import check_caps, snapshot, unknown_prices
from agent.models.gateway.record import WatchedRecord
from agent.models.gateway.server import GatewayServer
from agent.models.ports import ReplaySource
from agent.models.providers.discovery import with_windows
from agent.suites.images import task_images
from agent.suites.loader import load_suite
from agent.trials.cluster.seats import Need
from agent.trials.evaluator import Visit, evaluator_of
from agent.trials.executor import Executor, Orders, Visitor
from sandbox.architecture import foreign_images
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import engine_status
from sandbox.image import ensure_image

INSTRUCTION = Path(__file__).parents[1] / "tasks" / "self-improvement" / "instruction.md"


# ------------------------------------------------------------------------------------ a campaign


@asynccontextmanager
async def campaign_parts(config: Config, ledger: Ledger, console: Console) -> AsyncIterator[Parts]:
    """Everything a campaign needs, checked before anything is spent. Raises UserError."""
    config.models.need(("solver", "improver"))
    _check_models(config, console)
    suite, repository = load_suite(config.suite), open_repository(config, ledger)
    if problem := unprovable(config, suite):
        console.print(f"nothing can be proven: {problem}")
    repository.claim()
    check_unchanged(config, ledger, suite)
    if config.warm_start is not None:
        check_warm_start(config.warm_start, suite, repository)
    check_tripwire(ledger)
    boundary = boundary_of(config)
    budget = budget_of(config, ledger, hours=config.budget.hours)
    async with _trial_parts(
        config, suite, ledger=ledger, repository=repository, budget=budget, folder=config.folder, console=console
    ) as trials:
        ledger.remember("base", repository.base)
        ledger.remember("prices", snapshot(config.models))
        remember_windows(ledger, trials.models)
        boundary.check_seed(repository.read(repository.tree_of(repository.base)))
        yield _parts(config, ledger, boundary, trials)


def _parts(config: Config, ledger: Ledger, boundary: Boundary, trials: TrialParts) -> Parts:
    return Parts(
        config=config,
        suite=trials.suite,
        state=State(ledger, search_settings(config, trials.suite)),
        repository=trials.repository,
        gateway=trials.gateway,
        scaffolds=trials.scaffolds,
        evaluator=trials.evaluator,
        proposer=Proposer(
            visit=trials.visit,
            instruction=INSTRUCTION.read_text(encoding="utf-8"),
            boundary=boundary,
            caps=config.boxes.proposal_caps(),
            timeout=config.boxes.propose_timeout,
        ),
        strategy=STRATEGIES[config.search.strategy](),
        budget=trials.budget,
        provenance=_provenance(config, trials.suite),
    )


def _provenance(config: Config, suite: Suite) -> Mapping[str, str]:
    """The commit trailers that are fixed for a campaign."""
    return {
        "Ratchet-Suite": f"{suite.name}@{suite.hash}",
        "Ratchet-Models": ", ".join(config.models.names()),
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
async def replaying_parts(config: Config, source: ReplaySource, console: Console) -> AsyncIterator[TrialParts]:
    """Trials whose model calls are answered from a record: no model is called, nothing is spent."""
    free = config.budget.model_copy(update={"dollars": None, "tokens": None})
    replaying = config.model_copy(update={"models": config.models.as_replay(), "budget": free})
    async with measuring_parts(replaying, console, replay=source) as trials:
        yield trials


# ------------------------------------------------------------------------------------ what all of them need


def _check_models(config: Config, console: Console) -> None:
    config.models.check_keys()
    check_caps(config.models, Caps(dollars=config.budget.dollars, tokens=config.budget.tokens))
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
    replay: ReplaySource | None = None,
    record: CallRecord | None = None,
) -> AsyncIterator[TrialParts]:
    """Images, then gateway and boxes, open; every model has answered once. `folder` holds the boxes' sockets."""
    image, images = await _images(config, suite, console)
    models = await asyncio.to_thread(with_windows, config.models)
    learned = LearnedParameters(ledger)
    gateway = GatewayServer(models, record or ledger, budget, seed=config.seed, replay=replay, learned=learned)
    scaffolds = Scaffolds(lambda tree: repository.read(tree, (*config.scaffold.mutable, *config.scaffold.include)))
    where = _on_cluster if config.executor.kind == "ray" else _on_this_machine
    orders = _orders(config, image, images)
    async with gateway, where(config, orders, gateway, scaffolds, folder, console) as (executor, visit):
        for note in await preflight(gateway):
            console.print(note)
        yield TrialParts(
            suite=suite,
            repository=repository,
            budget=budget,
            models=models,
            gateway=gateway,
            visit=visit,
            scaffolds=scaffolds,
            evaluator=executor,
        )


def _orders(config: Config, image: str, images: Mapping[str, str]) -> Orders:
    return Orders(
        run=uuid.uuid4().hex[:8],
        campaign=config.name,
        spec=config.boxes.spec(image),
        command=config.scaffold.command,
        runtime=config.boxes.runtime,
        images=images,
        caps=config.boxes.trial_caps(),
        starved=config.boxes.starved,
    )


@asynccontextmanager
async def _on_this_machine(
    config: Config, orders: Orders, gateway: GatewayServer, scaffolds: Scaffolds, folder: Path, _console: Console
) -> AsyncIterator[tuple[Executor, Visitor]]:
    """Boxes on this machine's engine."""
    # Boxes are made as fast as the cores allow, however many trials run: more of them ready would only wait.
    ready = min(config.boxes.parallel, 2 * cores())
    async with DockerSandbox(orders.run, config.name, folder, ready=ready, runtime=orders.runtime) as sandbox:
        visit = Visit(sandbox, gateway, orders.spec, orders.command)
        yield evaluator_of(orders, sandbox, visit, scaffolds, config.boxes.parallel), visit


@asynccontextmanager
async def _on_cluster(
    config: Config, orders: Orders, gateway: GatewayServer, scaffolds: Scaffolds, _folder: Path, console: Console
) -> AsyncIterator[tuple[Executor, Visitor]]:
    """Boxes on the nodes of a Ray cluster, each on its node's engine."""
    if importlib.util.find_spec("ray") is None:
        raise UserError("executor.kind", "the package `ray` is not installed", "Run `pip install 'ratchet-rsi[ray]'`.")
    from agent.trials.cluster.executor import cluster  # noqa: PLC0415 - takes the extra `ray`

    need = Need(cpus=config.boxes.cpus, memory=config.boxes.memory_mb << 20, custom=config.executor.resources)
    async with cluster(
        orders,
        address=config.executor.address,
        need=need,
        gateway=gateway,
        scaffolds=scaffolds,
        parallel=config.boxes.parallel,
        say=console.print,
    ) as found:
        yield found


async def _images(config: Config, suite: Suite, console: Console) -> tuple[str, Mapping[str, str]]:
    """The image of the boxes, and those of tasks that name one of their own, by task id."""
    if not (engine := engine_status()).ok:
        raise UserError("docker", engine.line, f"Run `{engine.fix}`.")
    base, layers = config.scaffold.image, config.scaffold.build
    image = await asyncio.to_thread(ensure_image, base, layers=layers, say=console.print)
    images = await asyncio.to_thread(task_images, suite, base, layers=layers, say=console.print)
    for line in await asyncio.to_thread(foreign_images, {image, *images.values()}):
        console.print(line)
    return image, images
