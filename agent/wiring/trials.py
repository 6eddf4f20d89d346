"""What every way of running trials needs: models, images, gateway and boxes, put together and open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from agent.base.errors import UserError
from agent.base.types import BoxSpec, CallRecord, Caps, Files, Suite
from agent.config.campaign import Config
from agent.config.improve import Improver
from agent.kernel.decide.budget import Budget
from agent.kernel.git.repository import Repository
from agent.kernel.loop.opening import scaffold_layers
from agent.kernel.loop.parts import TrialParts
from agent.kernel.loop.state import Scaffolds
from agent.kernel.record.learned import LearnedParameters
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.under_way import UnderWay
from agent.models.gateway.preflight import preflight
from agent.models.gateway.prices import check_caps, unknown_prices
from agent.models.gateway.server import GatewayServer
from agent.models.ports import ReplaySource
from agent.models.providers.discovery import with_windows
from agent.suites.images import task_images
from agent.trials.evaluator import boxes_of
from agent.trials.executor import Executor
from agent.trials.places import check_engine, on_cluster, on_this_machine, orders_of, unpack_images
from agent.trials.preparing import Prepared
from sandbox.architecture import foreign_images
from sandbox.engine import engine_status
from sandbox.image import NO_LAYERS, ensure_image


def check_models(config: Config, console: Console) -> None:
    """Say what has no price. Raises UserError: a key is missing, or a limit cannot be held."""
    config.models.check_keys()
    check_caps(config.models, Caps(dollars=config.budget.dollars, tokens=config.budget.tokens))
    say_unknown_prices(config, console)


def say_unknown_prices(config: Config, console: Console) -> None:
    """Say which models' calls cannot be counted as money."""
    if unknown := unknown_prices(config.models):
        console.print(f"no price is known for {', '.join(unknown)}: its calls count as tokens, not as money")


@asynccontextmanager
async def trial_parts(
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
    check_engine(config, suite)
    image, images = await _images(config, suite, repository, console)
    models = await asyncio.to_thread(with_windows, config.models)
    learned = LearnedParameters(ledger)
    gateway = GatewayServer(
        models, record or ledger, budget, seed=config.seed, replay=replay, learned=learned, journal=journal
    )
    other = None if improver is None else await box_of(improver, config, repository, console.print)
    scaffolds, orders = scaffolds_of(config, repository), orders_of(config, image, images)
    kinds = {orders.spec, other or orders.spec}
    kinds.update(kind for task in suite.tasks for kind in boxes_of(task, orders.spec, images))
    if config.executor.kind == "ray":
        place = on_cluster(config, orders, gateway, kinds, console.print)
    else:
        place = on_this_machine(config, orders, gateway, folder)
    async with gateway, place as (backend, visit):
        for note in await preflight(gateway) if ask else ():
            console.print(note)
        recipe = orders.recipe
        prepared = Prepared(backend.build, scaffolds, recipe.key, folder / "prepared") if recipe else None
        yield TrialParts(
            suite=suite,
            repository=repository,
            budget=budget,
            models=models,
            gateway=gateway,
            visit=visit if improver is None else partial(visit, spec=other, command=improver.command),
            scaffolds=scaffolds,
            evaluator=Executor(backend, scaffolds, config.boxes.parallel, prepared),
        )


def scaffolds_of(config: Config, repository: Repository) -> Scaffolds:
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
    await unpack_images(config, {image, *images.values()}, console.print)
    return image, images


async def box_of(improver: Improver, config: Config, repository: Repository, say: Callable[[str], None]) -> BoxSpec:
    """The box of another improver: on the scaffold's image, so that it can try its change, unless it names one."""
    own = repository.layers(improver.layers, "improve.build")
    base, below = improver.image, NO_LAYERS
    if base is None:
        base, below = config.scaffold.image, scaffold_layers(config, repository)
    image = await asyncio.to_thread(ensure_image, base, layers=own.on(below), say=say)
    spec = config.boxes.spec(image)
    return replace(spec, memory_mb=max(improver.memory_mb, spec.memory_mb))


def files_of(improver: Improver, repository: Repository) -> Files:
    """What lies below /scaffold in the box of another improver."""
    return {**repository.read(repository.base, improver.include), **improver.files}
