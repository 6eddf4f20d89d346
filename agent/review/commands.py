"""The commands that read a campaign: status, log, show, calls."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.kernel.errors import UserError
from agent.kernel.types import Purpose
from agent.opening import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, load, open_ledger, open_repository, terminal

app = typer.Typer()


@app.command()
def status(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Say how a campaign stands; works while it runs."""
    from agent.review.status import print_status

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        print_status(config, ledger, terminal(), as_json=as_json)


@app.command()
def log(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="also what was turned down, and why")] = False,
) -> None:
    """List the accepted self-patches of a campaign with their evidence."""
    from agent.review.history import render_log

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        commits = open_repository(config, ledger).accepted()
        render_log(commits, ledger.candidates()[1:], terminal(), rejected=rejected)


@app.command()
def show(
    candidate: Annotated[int, typer.Argument(help="number of the candidate, as `ratchet log --rejected` prints it")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    transcript: Annotated[bool, typer.Option("--transcript", help="also what its proposer printed")] = False,
) -> None:
    """Show one candidate: its patch, its fate and why."""
    from agent.kernel.flags import flags_key
    from agent.review.history import accepted, render_show

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        known = {c.id: c for c in ledger.candidates()}
        if candidate not in known:
            problem = f"there is no #{candidate} in {config.name}"
            raise UserError("candidate", problem, f"See `ratchet log {path} --rejected`.")
        rows = accepted(open_repository(config, ledger).accepted())
        commit = next((row.commit for row in rows if row.candidate == candidate), None)
        diff, printed = ledger.candidate_texts(candidate)
        trials = ledger.trials(purpose=Purpose.SEARCH, candidate=candidate)
        flags = ledger.recollect(flags_key(candidate)) or []
        said = printed if transcript else None
        render_show(known[candidate], diff, trials, terminal(), transcript=said, commit=commit, flags=flags)


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

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        print_calls(ledger.calls(trial, last), terminal(), full=trial is not None)
