"""Where the parts are wired together, and nowhere else."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from agent.base.errors import UserError
from agent.base.trust import trusted_hash
from agent.base.types import BoxSpec, Caps, Purpose, Split, Suite, Task, Trial
from agent.config.campaign import Config
from agent.kernel.decide.boundary import Boundary
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.kernel.decide.strategies import STRATEGIES
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.opening import open_repository
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.proposer import Proposer
from agent.kernel.loop.settings import search_settings, unprovable
from agent.kernel.loop.state import Scaffolds, State
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.lock import held
from agent.live.notifications import Notifier
from agent.live.panel import watch
from agent.models.gateway.preflight import preflight
from agent.models.gateway.prices import check_caps, snapshot, unknown_prices
from agent.models.gateway.record import Recording
from agent.models.gateway.server import GatewayServer
from agent.models.ports import ReplaySource
from agent.review.audit.again import Comparison, Replayed, compare, replay
from agent.review.summary import print_summary, summarise
from agent.suites.images import task_images
from agent.suites.loader import load_suite
from agent.trials.evaluator import Evaluator, Job, Visit, seed_of
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import engine_status
from sandbox.image import ensure_image

INSTRUCTION = Path(__file__).parents[1] / "tasks" / "self-improvement" / "instruction.md"


def run_campaign(config: Config, path: Path, console: Console) -> int:
    """Run a campaign to its end and print its summary; returns the exit code."""
    file = config.folder / "ledger.sqlite"
    with _no_trace_of_a_false_start(config.folder), held(config.folder), Ledger(file) as ledger:
        ledger.mirror_to(config.folder)
        try:
            code = asyncio.run(_campaign(config, ledger, console))
        except asyncio.CancelledError:
            console.print("stopped at once; run the same command again to go on")
            return 130
        print_summary(summarise(ledger), name=config.name, config=path, console=console)
    return code


@contextmanager
def _no_trace_of_a_false_start(folder: Path) -> Iterator[None]:
    """A campaign that could not even begin leaves no folder behind."""
    existed = folder.exists()
    try:
        yield
    except UserError:
        if not existed:
            shutil.rmtree(folder, ignore_errors=True)
        raise


async def _campaign(config: Config, ledger: Ledger, console: Console) -> int:
    notifier = Notifier(config, ledger)
    async with campaign_parts(config, ledger, console) as parts:
        campaign = Campaign(parts)
        interrupted = _listen_for_signals(campaign, console)
        ledger.note("begin", f"process {os.getpid()} runs the campaign")
        view, telling = asyncio.create_task(watch(campaign, console)), asyncio.create_task(notifier.run())
        try:
            await campaign.run()
        finally:
            view.cancel()
            notifier.end()
            await asyncio.gather(view, telling, return_exceptions=True)
    return 130 if interrupted() else 0


def _listen_for_signals(campaign: Campaign, console: Console) -> Callable[[], bool]:
    """Ctrl-C or SIGTERM (`ratchet stop`) once ends the campaign in order, twice at once; says whether Ctrl-C did."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    interrupts: list[str] = []

    def end(why: str) -> None:
        if campaign.stopping is None:
            campaign.stop(why)
            console.print(f"{campaign.in_flight()}; once more stops now")
        elif main is not None:
            main.cancel()

    def interrupt() -> None:
        interrupts.append("Ctrl-C")
        end("interrupted by Ctrl-C")

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, end, "stopped on request")
    return lambda: bool(interrupts)


@asynccontextmanager
async def campaign_parts(
    config: Config, ledger: Ledger, console: Console, *, claim: bool = True, replay: ReplaySource | None = None
) -> AsyncIterator[Parts]:
    """Everything a campaign needs, checked before anything is spent; `replay` answers before any provider."""
    config.models.check_keys()
    check_caps(config.models, Caps(dollars=config.budget.dollars, tokens=config.budget.tokens))
    if unknown := unknown_prices(config.models):
        console.print(f"no price is known for {', '.join(unknown)}: its calls count as tokens, not as money")
    suite = load_suite(config.suite)
    repository = open_repository(config, ledger)
    if claim:
        if problem := unprovable(config, suite):
            console.print(f"nothing can be proven: {problem}")
        repository.claim()
        _same_as_before(config, ledger, suite)
    boundary = Boundary(
        mutable=config.scaffold.mutable,
        max_files_changed=config.patch.max_files,
        max_file_bytes=config.patch.max_file_kb << 10,
        max_patch_bytes=config.patch.max_kb << 10,
    )
    if not (engine := engine_status()).ok:
        raise UserError("docker", engine.line, f"Run `{engine.fix}`.")
    image = await asyncio.to_thread(ensure_image, config.scaffold.image, say=console.print)
    images = await asyncio.to_thread(task_images, suite, config.scaffold.image, say=console.print)
    spent, limits = ledger.spent(), config.budget
    budget = Budget(
        Limits(
            dollars=limits.dollars,
            tokens=limits.tokens,
            # What is only measured has no evening to end; money and tokens bind it all the same.
            seconds=limits.hours * 3600 if limits.hours and claim else None,
        ),
        Spent(
            dollars=spent.dollars,
            tokens=spent.fresh_tokens,
            calls=spent.fresh_calls,
            seconds=float(ledger.recollect("seconds") or 0.0),
        ),
    )
    gateway = GatewayServer(config.models, ledger, budget, seed=config.seed, replay=replay)
    # Boxes are made as fast as the cores allow, however many trials run: more of them ready would only wait.
    ready = min(config.boxes.parallel, 2 * len(os.sched_getaffinity(0)))
    sandbox = DockerSandbox(uuid.uuid4().hex[:8], config.name, config.folder, ready=ready, runtime=config.boxes.runtime)
    async with gateway, sandbox:
        await preflight(gateway)
        ledger.remember("base", repository.base)
        ledger.remember("prices", snapshot(config.models))
        visit = Visit(sandbox, gateway, _box_spec(config, image), config.scaffold.command)
        scaffolds = Scaffolds(lambda tree: repository.read(tree, (*config.scaffold.mutable, *config.scaffold.include)))
        boundary.check_seed(repository.read(repository.tree_of(repository.base)))
        yield Parts(
            config=config,
            suite=suite,
            state=State(ledger, search_settings(config, suite)),
            repository=repository,
            gateway=gateway,
            scaffolds=scaffolds,
            evaluator=Evaluator(
                sandbox=sandbox,
                visit=visit,
                image=image,
                images=images,
                scaffolds=scaffolds,
                caps=config.boxes.trial_caps(),
                parallel=config.boxes.parallel,
            ),
            proposer=Proposer(
                visit=visit,
                instruction=INSTRUCTION.read_text(encoding="utf-8"),
                boundary=boundary,
                caps=config.boxes.proposal_caps(),
                timeout=config.boxes.propose_timeout,
            ),
            strategy=STRATEGIES[config.search.strategy](),
            budget=budget,
            provenance={
                "Ratchet-Suite": f"{suite.name}@{suite.hash}",
                "Ratchet-Models": ", ".join(config.models.names()),
                "Ratchet-Kernel": trusted_hash(),
            },
        )


def _same_as_before(config: Config, ledger: Ledger, suite: Suite) -> None:
    """What a campaign began with may not change under it."""
    facts = {"suite": suite.hash, "scaffold.mutable": list(config.scaffold.mutable), "seed": config.seed}
    for field, value in facts.items():
        known = ledger.recollect(field)
        if known is not None and known != value:
            raise UserError(field, f"was {known} when campaign {config.name} began", "Choose a new `name`.")
        ledger.remember(field, value)


def _box_spec(config: Config, image: str) -> BoxSpec:

    boxes = config.boxes
    return BoxSpec(
        image=image,
        gateway=True,
        memory_mb=boxes.memory_mb,
        cpus=boxes.cpus,
        pids=boxes.pids,
        disk_mb=boxes.disk_mb,
    )


async def measure(
    config: Config, revs: Sequence[str | None], split: Split, runs: int, console: Console
) -> list[list[Trial]]:
    """Fresh trials of one or two commits, by side; recorded in a ledger that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        async with campaign_parts(config, ledger, console, claim=False) as parts:
            trees = [parts.repository.tree_of(rev or parts.repository.champion()) for rev in revs]
            with Progress(console=console, transient=True) as bar:
                line = bar.add_task("measuring", total=runs * len(parts.suite.split(split)) * len(trees))

                async def one(tree: str, task: Task, scope: str) -> Trial:
                    job = Job(tree=tree, task=task, purpose=Purpose.EVAL, seed=seed_of(scope), answer_scope=scope)
                    trial = await parts.evaluator.trial(job)
                    bar.advance(line)
                    return trial

                pairs = [(task, f"eval:{task.id}:{turn}") for turn in range(runs) for task in parts.suite.split(split)]
                done = await asyncio.gather(*(one(tree, task, scope) for task, scope in pairs for tree in trees))
    return [list(done[side :: len(trees)]) for side in range(len(trees))]


async def measure_again(config: Config, trees: tuple[str, str], pairs: int) -> Comparison:
    """Fresh coupled pairs of two trees on the gate's tasks; recorded in a ledger that is thrown away."""
    async with _aside(config, pairs, "measuring") as (parts, done):
        return await compare(parts.evaluator, parts.suite.split(Split.GATE), trees, pairs, done)


async def replay_again(config: Config, trials: Sequence[Trial], recording: Recording) -> list[Replayed]:
    """Recorded trials in new boxes, answered from the record: no model is called, nothing is spent."""
    free = config.budget.model_copy(update={"dollars": None, "tokens": None})
    replaying = config.model_copy(update={"models": config.models.as_replay(), "budget": free})
    async with _aside(replaying, len(trials), "replaying", recording) as (parts, done):
        tasks = {task.id: task for task in parts.suite.tasks}
        return await replay(parts.evaluator, tasks, trials, done)


@asynccontextmanager
async def _aside(
    config: Config, total: int, what: str, recording: Recording | None = None
) -> AsyncIterator[tuple[Parts, Callable[[], None]]]:
    """The parts of a campaign beside its record, and a bar that moves at each step done."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        async with campaign_parts(config, ledger, console, claim=False, replay=recording) as parts:
            with Progress(console=console, transient=True) as bar:
                line = bar.add_task(what, total=total)
                yield parts, lambda: bar.advance(line)
