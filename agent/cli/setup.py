"""Before a campaign: init, doctor, simulate."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, ConfigPath, again, load

app = typer.Typer()

_FIGURES = ("trials", "hours", "dollars", "proposals", "pairs_without_effect", "commits", "gain")


@app.command()
def init(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing file")] = False,
) -> None:
    """Write a commented campaign.yaml with every key at its default."""
    from agent.config.template import render_template

    if path.exists() and not force:
        raise UserError(str(path), "the file exists", "Choose another name, or add --force.")
    try:
        path.write_text(render_template(), encoding="utf-8")
    except OSError as error:
        fix = "Choose a folder that you may write."
        raise UserError(str(path), f"cannot write the file ({error.strerror})", fix) from error
    typer.echo(f"wrote {path}\nnext: {again('doctor', path)}, then: {again('run', path)}")


@app.command()
def doctor(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="fix what can be fixed (as root, install and start Docker)")
    ] = False,
) -> None:
    """Check Docker, image, git, disk, suite, models and prices.

    Each failure shows how to fix it.
    """
    from agent.cli.doctor import examine

    raise typer.Exit(0 if examine(path if path.exists() or path != DEFAULT_CONFIG else None, repair=fix) else 2)


@app.command()
def simulate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    seconds_per_trial: Annotated[float, typer.Option(min=0.01, help="seconds that one trial takes")] = 30.0,
    cost_per_trial: Annotated[float | None, typer.Option(min=0.0, help="US dollars that one trial costs")] = None,
    score: Annotated[float, typer.Option(min=0.01, max=0.99, help="mean score of the seed scaffold")] = 0.35,
) -> None:
    """Predict what this suite and budget can prove.

    The prediction simulates campaigns with the same gate and search.
    """
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
        raise UserError("budget", "no limit bounds the number of trials", "Set budget.trials, or add --cost-per-trial.")
    typer.echo(prediction.sentence)
    for name in _FIGURES:
        value = getattr(prediction, name)
        typer.echo(f"  {name:<22} {'-' if value is None else f'{value:.4g}'}")
