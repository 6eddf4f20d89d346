"""The commands of the morning after: diff, verify, promote, revert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, load, terminal
from agent.kernel.loop.opening import open_ledger, open_repository

if TYPE_CHECKING:
    from agent.config.campaign import Config
    from agent.kernel.git.repository import Commit
    from agent.kernel.record.ledger import Ledger
    from agent.review.audit.again import Comparison
    from agent.review.audit.verify import Evidence, Finding

app = typer.Typer()

Fresh = Annotated[int, typer.Option("--fresh", min=0, metavar="N", help="measure N new pairs, with model calls")]
REVERT_PAIRS = 20


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="candidate (7, #7, champion, seed) or anything git calls a commit")],
    after: Annotated[str, typer.Argument(help="the same")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
) -> None:
    """Show what differs between two candidates or commits."""
    from rich.text import Text

    from agent.base.text import visible
    from agent.review.history import render_diff
    from agent.review.lookup import find_tree

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
def verify(
    commit: Annotated[str | None, typer.Argument(help="an accepted patch: commit, ref, number or `champion`")] = None,
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    whole: Annotated[bool, typer.Option("--ledger", help="every row of the record instead of one commit")] = False,
    replay: Annotated[bool, typer.Option("--replay", help="run its trials again with the recorded answers")] = False,
    fresh: Fresh = 0,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Recompute a commit's verdict from the ledger; exit 3 if anything does not match.

    Exit 4 if the pairs of --fresh do not bear the claim out. Without --replay and --fresh no box is started
    and no model is called. --ledger takes no COMMIT.
    """
    import json

    from agent.review.audit.judgement import facts, render_findings, render_fresh, verdict
    from agent.review.audit.verify import verify as look
    from agent.review.lookup import find_commit

    if whole:
        if commit is not None and path != DEFAULT_CONFIG:
            raise UserError("--ledger", "looks at every row, not at one commit", "Leave COMMIT out.")
        raise typer.Exit(_verify_ledger(path if commit is None else Path(commit), name, as_json=as_json))
    if commit is None:
        raise UserError("COMMIT", "nothing says which patch", "Name one, such as `champion`, or add --ledger.")
    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        evidence = _evidence(config, ledger)
        found = find_commit(commit, ledger, evidence.repository)
        findings = look(found, evidence)
        if replay:
            findings.append(_replayed(config, evidence, found))
        claimed = _claimed(found, evidence)
        comparison = _compared(config, evidence, found, fresh) if fresh else None
    if as_json:
        typer.echo(json.dumps(facts(found, findings, comparison, claimed), indent=1))
    else:
        console = terminal()
        render_findings(found, findings, console)
        if comparison is not None:
            render_fresh(comparison, claimed, console)
    raise typer.Exit(verdict(findings, comparison if claimed is not None else None))


def _verify_ledger(path: Path, name: str | None, *, as_json: bool) -> int:
    from agent.review.audit.judgement import TAMPERED
    from agent.review.audit.verify_ledger import check_ledger

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        commits = open_repository(config, ledger).accepted()
        return 0 if check_ledger(ledger, commits, terminal(), as_json=as_json) else TAMPERED


@app.command()
def promote(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="pick this patch; repeat for more")
    ] = None,
    squash: Annotated[bool, typer.Option("--squash", help="one commit for all")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    name: CampaignName = None,
) -> None:
    """Bring accepted patches to the branch that you are on: all by merge, or those named by cherry-pick."""
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
            raise UserError("promote", "there is nobody to ask", "Add --yes if that is what you want.")
        if not typer.confirm("Change your working tree so?"):
            raise typer.Exit(0)
    head = carry_out(checkout, wanted, typer.echo)
    typer.echo(f"{wanted.branch} is at {head[:12]}")


@app.command()
def revert(
    candidate: Annotated[str, typer.Argument(metavar="ID", help="an accepted patch: number, commit or ref")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    fresh: Fresh = REVERT_PAIRS,
    name: CampaignName = None,
) -> None:
    """Take a patch back on the campaign's branch, then compare before and after in fresh pairs (--fresh 0: do not)."""
    from agent.kernel.loop.match import Opening
    from agent.kernel.loop.settings import gate_settings
    from agent.kernel.record.ledger import Ledger
    from agent.kernel.record.lock import held
    from agent.review.act.revert import revert as take_back
    from agent.review.audit.judgement import fresh_sentence
    from agent.review.lookup import find_candidate

    config = load(path, {"name": name})
    open_ledger(config).close()
    with held(config.folder), Ledger(config.folder / "ledger.sqlite") as ledger:
        repository = open_repository(config, ledger)
        target = find_candidate(candidate, ledger, repository)
        opening = Opening(settings=gate_settings(config), runs=config.gate_options.runs)
        done = take_back(target, ledger, repository, opening)
        typer.echo(f"#{target.id} is taken back by #{done.candidate}, commit {done.sha[:12]} on {repository.branch}")
        if not fresh:
            return
        typer.echo(
            f"comparing before and after; should it stop, `ratchet verify {done.sha[:12]} --fresh {fresh}` repeats it"
        )
        sentence = fresh_sentence(_measured(config, done.trees, fresh), None)
        ledger.note("revert", f"#{target.id} taken back: {sentence}")
    typer.echo(sentence)


# ------------------------------------------------------------------------------------ steps


def _evidence(config: Config, ledger: Ledger) -> Evidence:
    from agent.kernel.loop.settings import opening_of
    from agent.review.audit.verify import Evidence
    from agent.suites.loader import load_suite

    suite = load_suite(config.suite)
    return Evidence(
        ledger=ledger,
        repository=open_repository(config, ledger),
        opening=opening_of(config, suite),
        seed=config.seed if (seed := ledger.recollect("seed")) is None else int(seed),
        suite=suite,
    )


def _claimed(commit: Commit, evidence: Evidence) -> float | None:
    """The difference that a commit's test found; None for a revert."""
    from agent.review.audit.verify import find_entry

    entry = find_entry(commit, evidence.ledger)
    test = next((row for row in evidence.ledger.tests() if entry is not None and row.id == entry.test), None)
    return None if test is None or test.decision is None else float(test.decision["delta"])


def _replayed(config: Config, evidence: Evidence, commit: Commit) -> Finding:
    import asyncio

    from agent.models.gateway.record import Recording
    from agent.review.audit.judgement import replay_finding
    from agent.review.audit.verify import find_entry
    from agent.wiring import replay_again

    ledger, entry = evidence.ledger, find_entry(commit, evidence.ledger)
    if entry is None or entry.test is None:
        raise UserError("--replay", "no test of the gate stands behind this commit", "Use --fresh N.")
    if ledger.recollect("suite") != evidence.suite.hash:
        raise UserError("suite", f"{evidence.suite.name} is not what it was", "Bring the suite of that time back.")
    trials = [trial for _, *sides in ledger.pair_trials(entry.test) for trial in sides]
    recording = Recording(call for trial in trials for call in ledger.calls(trial.id))
    return replay_finding(asyncio.run(replay_again(config, trials, recording)))


def _compared(config: Config, evidence: Evidence, commit: Commit, pairs: int) -> Comparison:
    repository = evidence.repository
    return _measured(config, (repository.tree_of(commit.parents[0]), commit.tree), pairs)


def _measured(config: Config, trees: tuple[str, str], pairs: int) -> Comparison:
    import asyncio

    from agent.wiring import measure_again

    return asyncio.run(measure_again(config, trees, pairs))
