"""Before a campaign: init, config, doctor, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, ConfigPath, again, load, terminal

app = typer.Typer()


@app.command()
def init(
    path: Annotated[
        Path | None,
        typer.Argument(help="the file to write; with --starter or --agent: a new folder", metavar="PATH"),
    ] = None,
    *,
    starter: Annotated[
        bool, typer.Option("--starter", help="a repository with the shipped scaffold that runs at once, without a key")
    ] = False,
    agent: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH|URL", help="a repository with a known agent (pi, aider, shell, ...), or yours"),
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="how your agent is started; its files lie below /scaffold")
    ] = None,
    mutable: Annotated[
        list[str] | None, typer.Option(help="a path of your agent that patches may change; may be repeated")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="the suite for your agent: a shipped one or a folder")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing file")] = False,
) -> None:
    """Write campaign.yaml, or a new repository with a scaffold.

    Without options: every key at its default, for a repository that already holds the default scaffold; elsewhere a
    terminal is asked what to improve.
    """
    from agent.cli.adopting.adopt import Answers, adopt, is_repository, terminal_asks
    from agent.cli.creating import CONFIG, create_from_recipe, create_starter, holds_scaffold, write_config

    told = starter or agent or command or mutable or suite or force or (path and path.suffix)
    if not told and terminal_asks() and not holds_scaffold(path or Path()):
        chosen = _ask("What is improved? `starter`, a known agent, or the folder or address of yours", "starter")
        starter, agent = chosen == "starter", None if chosen == "starter" else chosen
    own = agent is not None and is_repository(agent)
    if starter + (agent is not None) > 1 or (force and (starter or (agent is not None and not own))):
        raise UserError("--starter, --agent, --force", "they exclude each other", "Give one of them.")
    if (command or mutable or suite) and not own:
        raise UserError("--command, --mutable, --suite", "they describe your own agent", "Add --agent PATH or URL.")
    notes: list[str] = []
    if agent is not None and own:
        answers = Answers(command=command, mutable=mutable or (), suite=suite)
        ask = _ask if terminal_asks() else None
        config, notes = adopt(agent, path, answers, force=force, ask=ask)
        config = config.relative_to(Path.cwd()) if config.is_relative_to(Path.cwd()) else config
    elif not starter and agent is None:
        config = path or DEFAULT_CONFIG
        write_config(config, force=force)
    else:
        folder = path or Path()
        config = folder / CONFIG
        notes = create_starter(folder) if agent is None else create_from_recipe(agent, folder)
    for note in notes:
        typer.echo(note)
    models = "" if agent is None else ", then name your models in it (`ratchet docs models`)"
    typer.echo(f"wrote {config}\nnext: {again('doctor', config)}{models}, then: {again('run', config)}")


def _ask(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default))


@app.command("config")
def show_config(path: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print every key of campaign.yaml: its value, and what it does.

    Without a file, the defaults.
    """
    from agent.config.campaign import read_config
    from agent.config.template import render_template

    given = path.exists() or path != DEFAULT_CONFIG
    typer.echo(render_template(read_config(path)) if given else render_template(), nl=False)


@app.command()
def doctor(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="fix what can be fixed (as root, install and start Docker)")
    ] = False,
) -> None:
    """Check everything that `ratchet run` needs before it starts.

    The machine, the engine and its boxes, suite, repository, models, and the agent itself. Each failure shows how to
    fix it.
    """
    typer.echo("checking this machine and the configuration")
    from agent.cli.doctor import examine

    raise typer.Exit(0 if examine(path if path.exists() or path != DEFAULT_CONFIG else None, repair=fix) else 2)


@app.command()
def simulate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    seconds_per_trial: Annotated[float, typer.Option(min=0.01, help="seconds that one trial takes")] = 30.0,
    cost_per_trial: Annotated[float | None, typer.Option(min=0.0, help="US dollars that one trial costs")] = None,
    score: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.99, help="mean score of the seed; default: as last calibrated, else 0.35"),
    ] = None,
) -> None:
    """Predict what this suite and budget can prove.

    The prediction simulates campaigns with the same gate and search.
    """
    from agent.cli.calibrating import last_calibration
    from agent.cli.forecast import SEED_SCORE, explained, forecast
    from agent.review.terminal.folding import folded
    from agent.suites.loader import load_suite

    config = load(path, {})
    suite = load_suite(config.suite)
    known = score or (last_calibration(config, suite) or {}).get("score") or SEED_SCORE
    typer.echo("simulating campaigns with the gate and search of this file; this takes some seconds", err=True)
    prediction = forecast(
        config, suite, seconds_per_trial=seconds_per_trial, cost_per_trial=cost_per_trial, score=known
    )
    if prediction is None:
        raise UserError("budget", "no limit bounds the number of trials", "Set budget.trials, or add --cost-per-trial.")
    console = terminal()
    for line in explained(config, prediction, seconds_per_trial, known):
        for piece in folded(line, console.width, 2 if line.startswith(" ") else 0):
            typer.echo(piece)
