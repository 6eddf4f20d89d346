"""The command line. `agent.wiring` puts the parts together; the rooms' own commands are beside them.

Heavy imports happen inside the commands, so that `ratchet --help` answers at once.
Exit codes: 0 done, 1 stopped by a laboratory fault (resumable), 2 user error, 130 interrupted;
`ratchet verify` adds 3 (something does not match) and 4 (fresh pairs do not bear the claim out).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.base.errors import InfrastructureError, UserError
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, load, terminal
from agent.cli.review import app as review_app
from agent.cli.tasks import app as tasks_app

app = typer.Typer(
    help="An agent that rewrites its own scaffold, and commits only what is shown to score better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Try the configured models.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def init(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    force: Annotated[bool, typer.Option(help="overwrite an existing file")] = False,
) -> None:
    """Write a commented campaign.yaml with every key at its default."""
    from agent.config.template import render_template

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
        bool, typer.Option("--fix", help="fix what can be fixed (installs and starts Docker as root)")
    ] = False,
) -> None:
    """Check Docker, image, git, disk, models and prices; every finding names the command that fixes it."""
    from agent.cli.doctor import examine

    raise typer.Exit(0 if examine(path if path.exists() or path != DEFAULT_CONFIG else None, repair=fix) else 2)


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
    detached: Annotated[
        bool, typer.Option("--detach", help="run in the background, with a log in the campaign's folder")
    ] = False,
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
    config = load(path, given)
    if detached:
        from agent.live.control import detach

        flags = {"budget.hours": "--max-hours", "budget.dollars": "--max-cost", "budget.trials": "--max-trials"}
        flags |= {"budget.commits": "--until-commits"}
        again = [
            part for key, value in given.items() if value is not None for part in (flags.get(key, f"--{key}"), value)
        ]
        raise typer.Exit(detach(config, path, [str(part) for part in again], terminal()))
    from agent.wiring import run_campaign

    raise typer.Exit(run_campaign(config, path, terminal()))


@app.command()
def stop(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    wait: Annotated[bool, typer.Option("--wait", help="return only when it has ended")] = False,
) -> None:
    """Ask a running campaign to finish what is in flight and to end; asked twice, it stops at once."""
    import time

    from agent.kernel.record.lock import holder, signal_holder

    config = load(path, {"name": name})
    pid = signal_holder(config.folder)
    typer.echo(f"asked process {pid} to stop; it finishes what is in flight first")
    while wait and holder(config.folder) == pid:
        time.sleep(0.5)


@app.command()
def approve(
    candidate: Annotated[int, typer.Argument(help="number of a candidate that waits, as `ratchet status` lists it")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    by: Annotated[str | None, typer.Option(help="who approves; default: the user's login")] = None,
) -> None:
    """Let a patch that passed the gate become champion (`approve: human`); works while the campaign runs and after."""
    _decide(candidate, path, name, by, why=None)


@app.command()
def reject(
    candidate: Annotated[int, typer.Argument(help="number of a candidate that waits, as `ratchet status` lists it")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    by: Annotated[str | None, typer.Option(help="who rejects; default: the user's login")] = None,
    why: Annotated[str, typer.Option(help="the reason, for the record")] = "",
) -> None:
    """Turn a patch that passed the gate down; nothing is built on it any more."""
    _decide(candidate, path, name, by, why=why)


def _decide(candidate: int, path: Path, name: str | None, by: str | None, *, why: str | None) -> None:
    import getpass

    from agent.base.text import clean_line
    from agent.kernel.loop.approval import Request
    from agent.live.control import decide

    who, reason = clean_line(by or getpass.getuser()), clean_line(why or "")
    request = Request(approve=why is None, candidate=candidate, by=who, why=reason)
    typer.echo(decide(load(path, {"name": name}), request))


@app.command(name="eval")
def evaluate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    rev: Annotated[str | None, typer.Option(help="commit to measure; default: the champion")] = None,
    against: Annotated[str | None, typer.Option(help="commit to compare with, in fresh coupled pairs")] = None,
    split: Annotated[str, typer.Option(help="search, gate or holdout")] = "holdout",
    runs: Annotated[int, typer.Option(min=1, help="trials a task")] = 1,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Measure one commit, or two against each other, with fresh trials; nothing is decided or recorded by it."""
    import asyncio

    from agent.base.types import Split
    from agent.review.summary import print_measured
    from agent.wiring import measure

    if split not in set(Split):
        raise UserError("--split", f"no split named {split!r}", "Use search, gate or holdout.")
    config = load(path, {"name": name})
    revs = [rev, against][: 2 if against else 1]
    measured = asyncio.run(measure(config, revs, Split(split), runs, terminal(beside=as_json)))
    print_measured(measured, terminal(), as_json=as_json)


@app.command()
def simulate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    seconds_per_trial: Annotated[float, typer.Option(min=0.01, help="what one trial takes")] = 30.0,
    cost_per_trial: Annotated[float | None, typer.Option(min=0.0, help="what one trial costs in dollars")] = None,
    score: Annotated[float, typer.Option(min=0.01, max=0.99, help="what the seed scores")] = 0.35,
) -> None:
    """Predict, by simulation with the same gate and search, what this suite and budget can prove."""
    from agent.cli.forecast import forecast
    from agent.suites.loader import load_suite

    config = load(path, {})
    prediction = forecast(
        config,
        load_suite(config.suite),
        seconds_per_trial=seconds_per_trial,
        cost_per_trial=cost_per_trial,
        score=score,
    )
    if prediction is None:
        raise UserError("budget", "no limit says how many trials there are", "Set budget.trials, or --cost-per-trial.")
    typer.echo(prediction.sentence)
    for name in ("trials", "hours", "dollars", "proposals", "pairs_without_effect", "commits", "gain"):
        value = getattr(prediction, name)
        typer.echo(f"  {name:<22} {'-' if value is None else f'{value:.4g}'}")


@models_app.command("test")
def models_test(path: ConfigPath = DEFAULT_CONFIG) -> None:
    """Make a few tiny calls per role: latency, tokens, price, and what the endpoint really supports."""
    import asyncio

    from agent.models.gateway.features import try_models
    from agent.review.terminal.calls import print_tried

    tried = asyncio.run(try_models(load(path, {}).models))
    raise typer.Exit(0 if print_tried(tried, terminal()) else 2)


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    try:
        app()
    except UserError as error:
        typer.echo(f"ratchet: {error}", err=True)
        sys.exit(2)
    except InfrastructureError as error:
        typer.echo(f"ratchet: laboratory: {error}\nNothing is lost: run the same command again to go on.", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


app.add_typer(review_app)
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")
