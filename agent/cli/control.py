"""Run a campaign and direct it: run, stop, approve, reject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, CampaignName, ConfigPath, again, candidate_number, load, terminal

app = typer.Typer()

WaitingId = Annotated[str, typer.Argument(metavar="ID", help="a candidate that waits, as `ratchet status` lists it")]

_FLAGS = {
    "name": "--name",
    "seed": "--seed",
    "budget.hours": "--max-hours",
    "budget.dollars": "--max-cost",
    "budget.trials": "--max-trials",
    "budget.commits": "--until-commits",
}
"""Configuration key -> the option of `ratchet run` that overrides it."""


@app.command()
def run(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    seed: Annotated[int | None, typer.Option(help="random seed, instead of `seed` in the file")] = None,
    max_hours: Annotated[float | None, typer.Option(help="hours, instead of `budget.hours` in the file")] = None,
    max_cost: Annotated[float | None, typer.Option(help="US dollars, instead of `budget.dollars` in the file")] = None,
    max_trials: Annotated[int | None, typer.Option(help="trials, instead of `budget.trials` in the file")] = None,
    until_commits: Annotated[
        int | None, typer.Option(help="accepted patches to stop after, instead of `budget.commits` in the file")
    ] = None,
    past_tripwire: Annotated[
        bool, typer.Option("--past-tripwire", help="continue after a tripwire stopped the campaign; you have looked")
    ] = False,
    detached: Annotated[
        bool, typer.Option("--detach", help="run in the background; the log is run.log in the campaign's folder")
    ] = False,
) -> None:
    """Run a campaign, or resume one that was stopped or killed."""
    values = (name, seed, max_hours, max_cost, max_trials, until_commits)
    given: dict[str, Any] = dict(zip(_FLAGS, values, strict=True))
    config, hint = load(path, given), partial(again, name=name)
    if past_tripwire:
        from agent.live.control import continue_past_tripwire

        continue_past_tripwire(config)
    if detached:
        from agent.live.control import detach

        raise typer.Exit(detach(config, path, [*_as_options(given)], terminal()))
    from agent.cli.running import run_campaign

    hints = partial(hint, path=path), partial(hint, path=path.absolute())
    raise typer.Exit(run_campaign(config, *hints, terminal()))


def _as_options(given: Mapping[str, Any]) -> Iterator[str]:
    """The options of `ratchet run` that give these values."""
    for key, value in given.items():
        if value is not None:
            yield from (_FLAGS[key], str(value))


@app.command()
def stop(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    wait: Annotated[bool, typer.Option("--wait", help="return when the campaign has ended")] = False,
    everything: Annotated[bool, typer.Option("--all", help="stop every campaign of yours on this machine")] = False,
) -> None:
    """Stop a running campaign after the work in flight.

    A second `ratchet stop` stops it now.
    """
    import time

    from agent.kernel.record.lock import holder
    from agent.kernel.record.running import running

    asked = {}
    for folder in running() if everything else [load(path, {"name": name}).folder]:
        try:
            asked[folder] = _asked_to_stop(folder, f" ({folder.name})" if everything else "")
        except UserError as error:
            if not everything:
                raise
            typer.echo(f"{folder.name}: {error}")  # one that has just ended keeps no other one running
    if not asked:
        typer.echo("no campaign of yours is running on this machine")
    while wait and any(holder(folder) == pid for folder, pid in asked.items()):
        time.sleep(0.5)


def _asked_to_stop(folder: Path, campaign: str) -> int:
    """Ask the process that runs a campaign to stop, and say what that does; returns its id. Raises UserError."""
    from agent.kernel.record.lock import signal_holder

    follows = _what_follows(folder)  # before the signal, whose effect is written down there
    pid = signal_holder(folder)
    typer.echo(f"asked process {pid}{campaign} to stop; {follows}")
    return pid


def _what_follows(folder: Path) -> str:
    """What a request to stop will do to a campaign: the second one ends it at once."""
    from agent.kernel.record.ledger import Ledger

    file = folder / "ledger.sqlite"
    if file.exists():
        with Ledger(file, read_only=True) as ledger:
            last = ledger.latest("begin", "stopping")
        if last is not None and last.kind == "stopping":
            return "it was stopping, so it stops now and discards the work in flight; the next run repeats that"
    return "it finishes the work in flight first"


@app.command()
def approve(
    candidate: WaitingId,
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    by: Annotated[str | None, typer.Option(help="who approves; default: your login name")] = None,
) -> None:
    """Commit a patch that passed the gate and waits for you.

    Patches wait under `approve: human` and `approve: flagged`. Works while the campaign runs, and after it.
    """
    _decide(candidate_number("approve", candidate, path), path, name, by, why=None)


@app.command()
def reject(
    candidate: WaitingId,
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    by: Annotated[str | None, typer.Option(help="who rejects; default: your login name")] = None,
    why: Annotated[str, typer.Option(help="the reason, for the record")] = "",
) -> None:
    """Reject a patch that passed the gate and waits for you.

    No further patch builds on it.
    """
    _decide(candidate_number("reject", candidate, path), path, name, by, why=why)


def _decide(candidate: int, path: Path, name: str | None, by: str | None, *, why: str | None) -> None:
    from agent.base.owner import login
    from agent.base.text import clean_line
    from agent.kernel.loop.approval import Request
    from agent.live.control import decide

    who, reason = clean_line(by or login()), clean_line(why or "")
    request = Request(approve=why is None, candidate=candidate, by=who, why=reason)
    typer.echo(decide(load(path, {"name": name}), request))
