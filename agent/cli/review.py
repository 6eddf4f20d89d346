"""The commands that read a campaign: status, log, show, calls, report, serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.base.errors import UserError
from agent.cli.decisions import app as decide_app
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, load, terminal
from agent.kernel.loop.opening import open_ledger, open_repository

app = typer.Typer()
app.add_typer(decide_app)


@app.command()
def status(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Say how a campaign stands; works while it runs."""
    from agent.review.terminal.status import print_status

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        print_status(config, ledger, terminal(), as_json=as_json)


@app.command()
def log(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="also what was turned down, and why")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="the whole archive, by lineage")] = False,
    as_json: AsJson = False,
) -> None:
    """List the accepted self-patches of a campaign with their evidence."""
    from agent.review.history import log_facts, render_graph, render_log

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        repository, candidates, champion = open_repository(config, ledger), ledger.candidates(), ledger.champion()
    if as_json:
        typer.echo(json.dumps(log_facts(config.name, repository.accepted(), candidates), indent=1))
    elif graph:
        saved = {one.commit: one.id for one in repository.candidates().values()}
        drawn = repository.graph([*saved])
        render_graph(drawn, {repository.base: 0, **saved}, candidates, champion, terminal())
    if not as_json and (rejected or not graph):
        render_log(repository.accepted(), candidates[1:], terminal(), rejected=rejected)


@app.command()
def show(
    candidate: Annotated[str, typer.Argument(metavar="ID", help="7, #7, champion, seed, or a commit or ref")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    transcripts: Annotated[
        bool, typer.Option("--transcripts", help="also the search trials that it changed, before and after")
    ] = False,
    proposal: Annotated[bool, typer.Option("--proposal", help="also what its proposer printed")] = False,
) -> None:
    """Show one candidate: why it was accepted or not, what it won and lost, its cost and its patch."""
    from agent.review.lookup import find_candidate
    from agent.review.terminal.show import collect, render_show

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        repository = open_repository(config, ledger)
        found = find_candidate(candidate, ledger, repository)
        dossier = collect(found, ledger, repository.accepted())
    render_show(dossier, terminal(), transcripts=transcripts, proposal=proposal)


@app.command()
def calls(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    trial: Annotated[str | None, typer.Option(help="only the calls of this trial or proposal, in full")] = None,
    last: Annotated[int, typer.Option(min=1, help="how many of the last calls to list")] = 20,
    name: CampaignName = None,
) -> None:
    """List the recorded model calls; --trial shows requests and answers in full."""
    from agent.review.terminal.calls import print_calls

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        print_calls(ledger.calls(trial, last), terminal(), full=trial is not None)


@app.command()
def report(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    output: Annotated[Path | None, typer.Option(help="the file; default: report.html in the campaign's folder")] = None,
    name: CampaignName = None,
) -> None:
    """Write one HTML file about a campaign that opens from disk; works while it runs."""
    from agent.kernel.loop.settings import gate_settings
    from agent.review.facts import collect
    from agent.review.report.report import render, save

    config = load(path, {"name": name})
    target = output or config.folder / "report.html"
    with open_ledger(config) as ledger, terminal().status("reading the ledger"):
        facts = collect(ledger, gate_settings(config), name=config.name)
    with terminal().status("drawing the charts"):
        size = save(render(facts), target)
    typer.echo(f"wrote {target} ({size / 1e6:.1f} MB); open it in a browser")


@app.command()
def export(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    kind: Annotated[str, typer.Option("--format", help="csv, jsonl or parquet")] = "csv",
    out: Annotated[Path | None, typer.Option(help="folder for the files; default: export/ of the campaign")] = None,
    name: CampaignName = None,
) -> None:
    """Write the record as tables for notebooks, one file a table; works while the campaign runs."""
    from rich.console import Console

    from agent.review.export import Format
    from agent.review.export import export as write

    if kind not in set(Format):
        raise UserError("--format", f"no format named {kind!r}", f"Use {', '.join(Format)}.")
    config, console = load(path, {"name": name}), terminal()
    with open_ledger(config) as ledger, Console(stderr=True).status("writing tables"):
        files = write(ledger, out or config.folder / "export", Format(kind))
    for file, rows in files:
        console.print(f"{rows:>9,} rows  {file}", markup=False)


@app.command()
def serve(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    host: Annotated[
        str, typer.Option(help="address to listen at; others than loopback need --token-file")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8737,
    token_file: Annotated[
        Path | None, typer.Option(help="file with the token that start, stop, approve and reject need; made if missing")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="a further host name under which it is reached (repeatable)")
    ] = None,
) -> None:
    """Show the campaigns of the runs folder in a browser, live; read-only without --token-file."""
    from agent.review.dashboard.actions import Levers
    from agent.review.dashboard.guard import Rules, read_token
    from agent.review.dashboard.serve import Dashboard, address, is_loopback, listen, serve_until_interrupted

    config = load(path, {"name": name})
    token = read_token(token_file) if token_file else None
    listening = listen(host, port)
    loopback = is_loopback(listening)
    if token is None and not loopback:
        listening.close()
        raise UserError(
            "--host", f"{host} can be reached from outside", "Add --token-file FILE; it is made if missing."
        )
    names = frozenset(name.lower().rstrip(".") for name in allow_host or ())
    rules = Rules(token=token, loopback=loopback, names=names)
    typer.echo(f"dashboard: {address(listening)}/c/{config.name}/   (Ctrl-C ends it; the campaign runs on)")
    if token_file:
        typer.echo(f"the token that changes need is in {token_file}")
    serve_until_interrupted(Dashboard(config.runs, rules, Levers(config, path)), listening)
