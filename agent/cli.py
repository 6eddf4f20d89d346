"""The command line: the only place where the parts are wired together.

Heavy imports happen inside the commands, so that `ratchet --help` answers at once.
Exit codes: 0 done, 1 stopped by a laboratory fault (resumable), 2 user error, 130 interrupted.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.kernel.errors import LaboratoryFault, UserError
from agent.kernel.types import Purpose

if TYPE_CHECKING:
    from rich.console import Console

    from agent.kernel.campaign import Campaign, Parts
    from agent.kernel.config import Config
    from agent.kernel.ledger import Ledger
    from agent.kernel.repository import Repository
    from agent.kernel.search import SearchSettings
    from agent.kernel.types import BoxSpec, Split, Suite, Task, Trial

app = typer.Typer(
    help="An agent that rewrites its own scaffold, and commits only what is shown to score better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tasks_app = typer.Typer(help="Look at task suites and prove them.", no_args_is_help=True, rich_markup_mode=None)
models_app = typer.Typer(help="Try the configured models.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")

ConfigPath = Annotated[Path, typer.Argument(help="the campaign's configuration", metavar="CAMPAIGN.YAML")]
CampaignName = Annotated[str | None, typer.Option(help="campaign name instead of the file's")]
DEFAULT_CONFIG = Path("campaign.yaml")
INSTRUCTION = Path(__file__).parents[1] / "tasks" / "self-improvement" / "instruction.md"


@app.command()
def init(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    force: Annotated[bool, typer.Option(help="overwrite an existing file")] = False,
) -> None:
    """Write a commented campaign.yaml with every key at its default."""
    from agent.kernel.template import render_template

    if path.exists() and not force:
        raise UserError(str(path), "exists already", "Name another file, or add --force.")
    try:
        path.write_text(render_template(), encoding="utf-8")
    except OSError as error:
        raise UserError(
            str(path), f"cannot be written ({error.strerror})", "Name a folder that you may write."
        ) from error
    typer.echo(f"wrote {path}\nnext: ratchet doctor {path}, then: ratchet run {path}")


@app.command()
def doctor(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="mend what can be mended (installs and starts Docker as root)")
    ] = False,
) -> None:
    """Check Docker, image, git, disk, models and prices; every finding names the command that mends it."""
    from agent.doctor import examine

    raise typer.Exit(0 if examine(path if path.exists() or path != DEFAULT_CONFIG else None, fix=fix) else 2)


@app.command()
def run(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    seed: Annotated[int | None, typer.Option(help="random seed instead of the file's")] = None,
    max_hours: Annotated[float | None, typer.Option(help="budget.hours instead of the file's")] = None,
    max_cost: Annotated[float | None, typer.Option(help="budget.dollars instead of the file's")] = None,
    max_trials: Annotated[int | None, typer.Option(help="budget.trials instead of the file's")] = None,
    until_commits: Annotated[int | None, typer.Option(help="budget.commits instead of the file's")] = None,
) -> None:
    """Run a campaign, or go on with one that was stopped or killed."""
    given: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "budget.hours": max_hours,
        "budget.dollars": max_cost,
        "budget.trials": max_trials,
        "budget.commits": until_commits,
    }
    config = _load(path, given)
    raise typer.Exit(_run(config, path))


@app.command()
def status(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say how a campaign stands; works while it runs."""
    from agent.review.status import print_status

    config = _load(path, {"name": name})
    with _open_ledger(config) as ledger:
        print_status(config, ledger, _console(), as_json=as_json)


@app.command()
def stop(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
) -> None:
    """Ask a running campaign to finish what is in flight and to end."""
    from agent.kernel.lock import signal_holder

    config = _load(path, {"name": name})
    pid = signal_holder(config.folder)
    typer.echo(f"asked process {pid} to stop; it finishes what is in flight first")


@app.command()
def log(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="also what was turned down, and why")] = False,
) -> None:
    """List the accepted self-patches of a campaign with their evidence."""
    from agent.review.history import render_log

    config = _load(path, {"name": name})
    with _open_ledger(config) as ledger:
        commits = _open_repository(config, ledger).accepted()
        render_log(commits, ledger.candidates()[1:], _console(), rejected=rejected)


@app.command()
def show(
    candidate: Annotated[int, typer.Argument(help="number of the candidate, as `ratchet log --rejected` prints it")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    transcript: Annotated[bool, typer.Option("--transcript", help="also what its proposer printed")] = False,
) -> None:
    """Show one candidate: its patch, its fate and why."""
    from agent.review.history import accepted, render_show

    config = _load(path, {"name": name})
    with _open_ledger(config) as ledger:
        known = {c.id: c for c in ledger.candidates()}
        if candidate not in known:
            problem = f"there is no #{candidate} in {config.name}"
            raise UserError("candidate", problem, f"See `ratchet log {path} --rejected`.")
        rows = accepted(_open_repository(config, ledger).accepted())
        commit = next((row.commit for row in rows if row.candidate == candidate), None)
        diff, printed = ledger.candidate_texts(candidate)
        trials = ledger.trials(purpose=Purpose.SEARCH, candidate=candidate)
        render_show(
            known[candidate], diff, trials, _console(), transcript=printed if transcript else None, commit=commit
        )


@app.command()
def calls(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    trial: Annotated[str | None, typer.Option(help="only the calls of this trial or proposal, in full")] = None,
    last: Annotated[int, typer.Option(min=1, help="how many of the last calls to list")] = 20,
    name: CampaignName = None,
) -> None:
    """List the recorded model calls; --trial shows requests and answers in full."""
    from agent.review.calls import print_calls

    config = _load(path, {"name": name})
    with _open_ledger(config) as ledger:
        print_calls(ledger.calls(trial, last), _console(), full=trial is not None)


@app.command(name="eval")
def evaluate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    rev: Annotated[str | None, typer.Option(help="commit to measure; default: the champion")] = None,
    against: Annotated[str | None, typer.Option(help="commit to compare with, in fresh coupled pairs")] = None,
    split: Annotated[str, typer.Option(help="search, gate or holdout")] = "holdout",
    runs: Annotated[int, typer.Option(min=1, help="trials a task")] = 1,
    name: CampaignName = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Measure one commit, or two against each other, with fresh trials; nothing is decided or recorded by it."""
    import asyncio

    from agent.kernel.types import Split
    from agent.review.summary import print_measured

    if split not in set(Split):
        raise UserError("--split", f"no split named {split!r}", "Use search, gate or holdout.")
    config = _load(path, {"name": name})
    measured = asyncio.run(_evaluate(config, [rev, against][: 2 if against else 1], Split(split), runs))
    print_measured(measured, _console(), as_json=as_json)


@app.command()
def simulate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    seconds_per_trial: Annotated[float, typer.Option(min=0.01, help="what one trial takes")] = 30.0,
    cost_per_trial: Annotated[float | None, typer.Option(min=0.0, help="what one trial costs in dollars")] = None,
    score: Annotated[float, typer.Option(min=0.01, max=0.99, help="what the seed scores")] = 0.35,
) -> None:
    """Predict, by simulation with the same gate and search, what this suite and budget can prove."""
    from agent.kernel.campaign import gate_settings
    from agent.kernel.simulate import predict
    from agent.kernel.types import Split
    from agent.suites.loader import load_suite

    config = _load(path, {})
    suite, budget = load_suite(config.suite), config.budget
    hours = None if budget.hours is None else budget.hours * 3600 * config.boxes.parallel / seconds_per_trial
    money = None if budget.dollars is None or not cost_per_trial else budget.dollars / cost_per_trial
    limits = [limit for limit in (budget.trials, hours, money) if limit is not None]
    if not limits:
        raise UserError("budget", "no limit says how many trials there are", "Set budget.trials, or --cost-per-trial.")
    prediction = predict(
        search_tasks=len(suite.split(Split.SEARCH)),
        gate_tasks=len(suite.split(Split.GATE)),
        trials=max(1, int(min(limits))),
        search=_search_settings(config, suite),
        gate=gate_settings(config),
        strategy=config.search.strategy,
        dollars_per_trial=cost_per_trial,
        seconds_per_trial=seconds_per_trial,
        parallel=config.boxes.parallel,
        base=score,
        coupled=True,
        seed=config.seed,
    )
    typer.echo(prediction.sentence)
    for name in ("trials", "hours", "dollars", "proposals", "pairs_without_effect", "commits", "gain"):
        value = getattr(prediction, name)
        typer.echo(f"  {name:<22} {'-' if value is None else f'{value:.4g}'}")


@tasks_app.command("list")
def tasks_list(suite: Annotated[Path, typer.Argument(help="folder of a suite")]) -> None:
    """List the tasks of a suite."""
    from agent.suites.loader import load_suite

    loaded = load_suite(suite)
    for task in loaded.tasks:
        typer.echo(f"{task.id:<32} {task.split:<8} {' '.join(task.tags)}")
    typer.echo(f"{len(loaded.tasks)} tasks, hash {loaded.hash}")


@tasks_app.command("check")
def tasks_check(
    suite: Annotated[Path, typer.Argument(help="folder of a suite")],
    *,
    parallel: Annotated[int, typer.Option(min=1, help="boxes at a time")] = 4,
) -> None:
    """Prove a suite in real boxes: the starting files must score 0, the reference solution 1, twice."""
    import asyncio

    from agent.suites.loader import load_suite

    raise typer.Exit(0 if asyncio.run(_check(load_suite(suite), parallel)) else 2)


@models_app.command("test")
def models_test(path: ConfigPath = DEFAULT_CONFIG) -> None:
    """Make a few tiny calls per role: latency, tokens, price, and what the endpoint really supports."""
    import asyncio

    from agent.models.features import try_models
    from agent.review.calls import print_tried

    tried = asyncio.run(try_models(_load(path, {}).models))
    raise typer.Exit(0 if print_tried(tried, _console()) else 2)


# ------------------------------------------------------------------------------------ wiring


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=False, highlight=False)


def _load(path: Path, overrides: dict[str, Any]) -> Config:
    from agent.kernel.config import load_config

    if not path.exists():
        raise UserError(str(path), "does not exist", f"`ratchet init {path}` writes a commented one.")
    return load_config(path, {key: value for key, value in overrides.items() if value is not None})


def _open_ledger(config: Config) -> Ledger:
    """The record of a campaign that has begun, for reading beside its writer."""
    from agent.kernel.ledger import Ledger

    file = config.folder / "ledger.sqlite"
    if not file.exists():
        raise UserError("name", f"no campaign {config.name!r} in {config.runs}", "`ratchet run` begins one.")
    return Ledger(file, read_only=True)


def _open_repository(config: Config, ledger: Ledger) -> Repository:
    from agent.kernel.repository import Repository

    base = ledger.recollect("base") or config.scaffold.base
    return Repository.open(config.scaffold.repo, config.name, config.scaffold.mutable, base)


def _same_as_before(config: Config, ledger: Ledger, suite: Suite) -> None:
    """What a campaign began with may not change under it."""
    facts = {"suite": suite.hash, "scaffold.mutable": list(config.scaffold.mutable), "seed": config.seed}
    for field, value in facts.items():
        known = ledger.recollect(field)
        if known is not None and known != value:
            raise UserError(field, f"was {known} when campaign {config.name} began", "Choose a new `name`.")
        ledger.remember(field, value)


def _box_spec(config: Config, image: str) -> BoxSpec:
    from agent.kernel.types import BoxSpec

    boxes = config.boxes
    return BoxSpec(
        image=image,
        gateway=True,
        memory_mb=boxes.memory_mb,
        cpus=boxes.cpus,
        pids=boxes.pids,
        disk_mb=boxes.disk_mb,
    )


def _search_settings(config: Config, suite: Suite) -> SearchSettings:
    from agent.kernel.search import SearchSettings
    from agent.kernel.types import Split

    return SearchSettings(
        task_count=len(suite.split(Split.SEARCH)),
        min_trials=config.search.min_trials,
        growth=config.search.growth,
        margin=config.search.margin,
        sureness=config.search.sureness,
        max_gate_share=config.gate_options.share,
    )


def _run(config: Config, path: Path) -> int:
    """Run a campaign to its end and print its summary; returns the exit code."""
    import asyncio

    from agent.kernel.ledger import Ledger
    from agent.kernel.lock import held
    from agent.review.summary import print_summary, summarise

    console = _console()
    file = config.folder / "ledger.sqlite"
    with _no_trace_of_a_false_start(config.folder), held(config.folder), Ledger(file) as ledger:
        code = asyncio.run(_campaign(config, ledger, console))
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
    import asyncio

    from agent.kernel.campaign import Campaign
    from agent.review.live import watch

    async with _parts(config, ledger, console) as parts:
        campaign = Campaign(parts)
        interrupted = _listen_for_signals(campaign, console)
        view = asyncio.create_task(watch(campaign, console))
        try:
            await campaign.run()
        finally:
            view.cancel()
            await asyncio.gather(view, return_exceptions=True)
    return 130 if interrupted() else 0


def _listen_for_signals(campaign: Campaign, console: Console) -> Callable[[], bool]:
    """Ctrl-C once ends the campaign in order, twice at once; SIGTERM is `ratchet stop`."""
    import asyncio
    import signal

    loop, main, times = asyncio.get_running_loop(), asyncio.current_task(), [0]

    def interrupt() -> None:
        times[0] += 1
        if times[0] == 1:
            console.print("finishing what is in flight; Ctrl-C again stops now")
            campaign.stop("interrupted by Ctrl-C")
        elif main is not None:
            main.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, campaign.stop, "stopped on request")
    return lambda: times[0] > 0


@asynccontextmanager
async def _parts(config: Config, ledger: Ledger, console: Console, *, claim: bool = True) -> AsyncIterator[Parts]:
    """Everything a campaign needs, checked before anything is spent."""
    import asyncio

    from agent.kernel.boundary import Boundary
    from agent.kernel.budget import Budget, Limits, Spent
    from agent.kernel.campaign import Parts
    from agent.kernel.evaluator import Evaluator, Visit
    from agent.kernel.proposer import Proposer
    from agent.kernel.repository import trusted_hash
    from agent.kernel.search import STRATEGIES
    from agent.kernel.state import Scaffolds, State
    from agent.kernel.types import Caps
    from agent.models.gateway import GatewayServer
    from agent.models.preflight import preflight
    from agent.models.prices import check_caps, snapshot, unknown_prices
    from agent.suites.loader import load_suite
    from sandbox.docker_sandbox import DockerSandbox
    from sandbox.engine import engine_status
    from sandbox.image import ensure_image

    config.models.check_keys()
    check_caps(config.models, Caps(dollars=config.budget.dollars, tokens=config.budget.tokens))
    if unknown := unknown_prices(config.models):
        console.print(f"no price is known for {', '.join(unknown)}: its calls count as tokens, not as money")
    suite = load_suite(config.suite)
    repository = _open_repository(config, ledger)
    if claim:
        repository.claim()
        _same_as_before(config, ledger, suite)
    boundary = Boundary(mutable=config.scaffold.mutable)
    if not (engine := engine_status()).ok:
        raise UserError("docker", engine.line, f"Run `{engine.mend}`.")
    image = await asyncio.to_thread(ensure_image, config.scaffold.image, say=console.print)
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
    gateway = GatewayServer(config.models, ledger, budget, seed=config.seed)
    sandbox = DockerSandbox(
        uuid.uuid4().hex[:8], config.name, config.folder, ready=config.boxes.parallel, runtime=config.boxes.runtime
    )
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
            state=State(ledger, _search_settings(config, suite)),
            repository=repository,
            scaffolds=scaffolds,
            evaluator=Evaluator(
                sandbox=sandbox,
                visit=visit,
                image=image,
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


async def _check(suite: Suite, parallel: int) -> bool:
    """Prove a suite and print what is wrong with it; True if nothing is."""
    import asyncio
    import tempfile

    from rich.progress import Progress

    from agent.suites.check import prove
    from sandbox.docker_sandbox import DockerSandbox
    from sandbox.image import ensure_image

    console = _console()
    image = await asyncio.to_thread(ensure_image, say=console.print)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, Progress(console=console, transient=True) as bar:
        line = bar.add_task("proving", total=len(suite.tasks))
        async with DockerSandbox(uuid.uuid4().hex[:8], f"check-{suite.name}", Path(folder), ready=parallel) as sandbox:
            proofs = await prove(sandbox, image, suite, parallel=parallel, done=lambda: bar.advance(line))
    bad = [proof for proof in proofs if proof.complaints]
    for proof in bad:
        console.print(f"{proof.task}: {'; '.join(proof.complaints)}", markup=False)
    console.print(f"{len(proofs) - len(bad)} of {len(proofs)} tasks proven: starter scores 0, reference 1, twice")
    return not bad


async def _evaluate(config: Config, revs: Sequence[str | None], split: Split, runs: int) -> list[list[Trial]]:
    """Fresh trials of one or two commits, by side; recorded in a ledger that is thrown away."""
    import asyncio
    import tempfile

    from rich.progress import Progress

    from agent.kernel.evaluator import Job, seed_of
    from agent.kernel.ledger import Ledger

    console = _console()
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        async with _parts(config, ledger, console, claim=False) as parts:
            trees = [parts.repository.tree_of(rev or parts.repository.champion()) for rev in revs]
            with Progress(console=console, transient=True) as bar:
                line = bar.add_task("measuring", total=runs * len(parts.suite.split(split)) * len(trees))

                async def one(tree: str, task: Task, scope: str) -> Trial:
                    job = Job(tree=tree, task=task, purpose=Purpose.EVAL, seed=seed_of(scope), memo=scope)
                    trial = await parts.evaluator.trial(job)
                    bar.advance(line)
                    return trial

                pairs = [(task, f"eval:{task.id}:{turn}") for turn in range(runs) for task in parts.suite.split(split)]
                done = await asyncio.gather(*(one(tree, task, scope) for task, scope in pairs for tree in trees))
    return [list(done[side :: len(trees)]) for side in range(len(trees))]


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    try:
        app()
    except UserError as error:
        typer.echo(f"ratchet: {error}", err=True)
        sys.exit(2)
    except LaboratoryFault as error:
        typer.echo(f"ratchet: laboratory: {error}\nNothing is lost: run the same command again to go on.", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
