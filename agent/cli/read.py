"""Read a campaign: status, log, show, diff, calls, report, export, serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, again, check_order, load, terminal
from agent.kernel.loop.opening import open_ledger, open_repository

app = typer.Typer()

Of = Annotated[
    Path | None,
    typer.Option("--of", metavar="FOLDER", help="a folder that `ratchet eval` kept, instead of the campaign"),
]


@app.command()
def status(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Show the state of a campaign; works while it runs."""
    from agent.review.terminal.status import print_status

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        print_status(config, ledger, terminal(), as_json=as_json)


@app.command()
def log(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="also list rejected and refused patches, and why")
    ] = False,
    graph: Annotated[bool, typer.Option("--graph", help="show the whole archive by lineage")] = False,
    as_json: AsJson = False,
) -> None:
    """List accepted patches with their evidence."""
    from agent.review.terminal.log import log_facts, render_graph, render_log

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
        bool, typer.Option("--transcripts", help="also show the search trials that it changed, before and after")
    ] = False,
    proposal: Annotated[bool, typer.Option("--proposal", help="also show what its improver printed")] = False,
    parent: Annotated[
        bool, typer.Option("--parent", help="show the patch against the parent, not against the champion that it met")
    ] = False,
) -> None:
    """Show one candidate: verdict, tasks won and lost, cost, patch."""
    from agent.review.lookup import find_candidate
    from agent.review.terminal.show import collect, render_show

    check_order("show", path, candidate)
    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        repository = open_repository(config, ledger)
        found = find_candidate(candidate, ledger, repository)
        dossier = collect(found, ledger, repository, parent=parent)
        render_show(dossier, terminal(), transcripts=transcripts, proposal=proposal)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="7, #7, champion, seed, or a commit or ref")],
    after: Annotated[str, typer.Argument(help="the same")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
) -> None:
    """Show the difference between two candidates or commits."""
    from rich.text import Text

    from agent.base.text import visible
    from agent.review.lookup import find_tree
    from agent.review.terminal.style import render_diff

    check_order("diff", path, before, after)
    config, console = load(path, {"name": name}), terminal()
    with open_ledger(config) as ledger:
        repository = open_repository(config, ledger)
        sides = [find_tree(side, ledger, repository) for side in (before, after)]
        text = repository.diff(sides[0][0], sides[1][0])
    for sign, (_, label) in zip("-+", sides, strict=True):
        console.print(Text(f"{sign} {visible(label)}", style="bold"))
    if text:
        render_diff(text, console)
    else:
        console.print(Text("no difference"))


@app.command()
def calls(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    trial: Annotated[str | None, typer.Option(help="show only the calls of this trial or proposal, in full")] = None,
    last: Annotated[int, typer.Option(min=1, help="number of calls to list, latest last")] = 20,
    of: Of = None,
    name: CampaignName = None,
) -> None:
    """List model calls, refused ones too; --trial shows them in full."""
    from agent.cli.keeping import open_kept
    from agent.review.terminal.calls import print_calls, print_refusals

    with open_ledger(load(path, {"name": name})) if of is None else open_kept(of) as ledger:
        made, refused = ledger.calls(trial, last), ledger.refusals(trial, last)
        if trial is not None and not (made or refused or ledger.trial(trial)):
            problem = f"there is no trial or proposal {trial!r} with calls"
            raise UserError("--trial", problem, f"Run `{again('calls', path, name)}` to see the last ones.")
        print_calls(made, terminal(), full=trial is not None)
        print_refusals(refused, terminal())


@app.command()
def report(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    output: Annotated[
        Path | None, typer.Option(help="file to write; default: report.html in the campaign's folder")
    ] = None,
    name: CampaignName = None,
) -> None:
    """Write a report as one HTML file; works while it runs."""
    from agent.kernel.loop.settings import gate_settings
    from agent.review.report.facts import collect
    from agent.review.report.page import render, save

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
    kind: Annotated[
        str, typer.Option("--format", help="tables: csv, jsonl or parquet; transcripts: atif; spans: otlp")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option(help="folder to write to; default: export/ in the campaign's folder")
    ] = None,
    of: Of = None,
    name: CampaignName = None,
) -> None:
    """Write the ledger for notebooks or trace viewers.

    Tables: one file per table; transcripts: one file per trial; spans: one line per trial. Works while it runs.
    """
    from rich.console import Console

    from agent.cli.keeping import open_kept
    from agent.review.report.export import FileFormat
    from agent.review.report.export import export as write
    from agent.review.report.viewers import TraceFormat, export_traces

    if kind not in {*FileFormat, *TraceFormat}:
        fix = f"Use {', '.join(FileFormat)}. For trace viewers use {' or '.join(TraceFormat)}."
        raise UserError("--format", f"there is no format {kind!r}", fix)
    config, console = load(path, {"name": name}), terminal()
    folder = out or (of or config.folder) / "export"
    opened = open_ledger(config) if of is None else open_kept(of)
    with opened as ledger, Console(stderr=True).status(f"writing {kind}"):
        if kind in set(TraceFormat):
            files = export_traces(ledger, folder, TraceFormat(kind), campaign=config.name)
        else:
            files = write(ledger, folder, FileFormat(kind))
    unit = "traces" if kind in set(TraceFormat) else "rows"
    for file, rows in files:
        console.print(f"{rows:>9,} {unit}  {file}", markup=False)


@app.command()
def serve(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    host: Annotated[str, typer.Option(help="address to listen on; any but loopback needs --token-file")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0: any free one")] = 8737,
    token_file: Annotated[
        Path | None, typer.Option(help="file with the token for start, stop, approve and reject; created if missing")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="another host name that browsers may use; repeat for more")
    ] = None,
) -> None:
    """Serve a live dashboard of all campaigns in the runs folder.

    It is read-only without --token-file.
    """
    from agent.review.dashboard.actions import Actions
    from agent.review.dashboard.app import Dashboard
    from agent.review.dashboard.guard import Rules, read_token
    from agent.review.dashboard.serve import address, is_loopback, listen, serve_until_interrupted

    config = load(path, {"name": name})
    token = read_token(token_file) if token_file else None
    listening = listen(host, port)
    loopback = is_loopback(listening)
    if token is None and not loopback:
        listening.close()
        raise UserError(
            "--host", f"{host} can be reached from outside", "Add --token-file FILE; it is created if missing."
        )
    names = frozenset(name.lower().rstrip(".") for name in allow_host or ())
    rules = Rules(token=token, loopback=loopback, names=names)
    typer.echo(f"dashboard: {address(listening)}/c/{config.name}/   (Ctrl-C stops the dashboard, not the campaign)")
    if token_file:
        typer.echo(f"the token for changes is in {token_file}")
    serve_until_interrupted(Dashboard(config.runs, rules, Actions(config, path)), listening)
