"""What you do with accepted patches: promote, revert."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.base.errors import UserError
from agent.cli.audit import FreshPairs
from agent.cli.options import DEFAULT_CONFIG, CampaignName, ConfigPath, again, check_order, load
from agent.kernel.loop.opening import open_ledger, open_repository

app = typer.Typer()

REVERT_PAIRS = 20


@app.command()
def promote(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="cherry-pick this patch; repeat for more")
    ] = None,
    squash: Annotated[bool, typer.Option("--squash", help="one commit for all patches")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    name: CampaignName = None,
) -> None:
    """Bring accepted patches to the branch that you are on.

    All of them by merge, or those named by --only as cherry-picks. Asks before it changes anything.
    """
    import sys

    from agent.review.act.promote import Checkout, carry_out, plan
    from agent.review.lookup import find_candidate

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        repository = open_repository(config, ledger)
        picked = [find_candidate(one, ledger, repository).id for one in only or ()]
        checkout = Checkout(repository.root)
        wanted = plan(checkout, repository.branch, repository.accepted(), picked, squash=squash)
    for line in wanted.lines():
        typer.echo(line)
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("promote", "standard input is not a terminal", "Add --yes to apply without asking.")
        if not typer.confirm("Apply these changes?"):
            raise typer.Exit(0)
    head = carry_out(checkout, wanted, typer.echo)
    typer.echo(f"{wanted.branch} is at {head[:12]}")


@app.command()
def revert(
    candidate: Annotated[str, typer.Argument(metavar="ID", help="an accepted patch: number, commit or ref")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    fresh: FreshPairs = REVERT_PAIRS,
    name: CampaignName = None,
) -> None:
    """Take a patch back on the campaign's branch.

    Then compares before and after in fresh pairs.
    """
    import asyncio

    from agent.cli.measuring import compare_trees
    from agent.kernel.loop.match import Opening
    from agent.kernel.loop.settings import gate_settings
    from agent.kernel.record.ledger import Ledger
    from agent.kernel.record.lock import held
    from agent.review.act.revert import revert as take_back
    from agent.review.audit.judgement import fresh_sentence
    from agent.review.lookup import find_candidate

    check_order("revert", path, candidate)
    config = load(path, {"name": name})
    open_ledger(config).close()
    with held(config.folder), Ledger(config.folder / "ledger.sqlite") as ledger:
        repository = open_repository(config, ledger)
        target = find_candidate(candidate, ledger, repository)
        opening = Opening(settings=gate_settings(config), runs=config.gate_options.runs)
        done = take_back(target, ledger, repository, opening)
        typer.echo(f"#{target.id} was reverted by #{done.candidate}, commit {done.sha[:12]} on {repository.branch}")
        if not fresh:
            return
        repeat = again(f"verify {done.sha[:12]} --fresh {fresh}", path, name)
        typer.echo(f"comparing before and after; if it stops, `{repeat}` repeats it")
        sentence = fresh_sentence(asyncio.run(compare_trees(config, done.trees, fresh)), None)
        ledger.note("revert", f"#{target.id} reverted: {sentence}")
    typer.echo(sentence)
