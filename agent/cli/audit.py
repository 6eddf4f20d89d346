"""Check a claim: hold a commit against its record (verify)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, check_order, load, terminal
from agent.kernel.loop.opening import open_ledger, open_repository, with_recorded_windows

if TYPE_CHECKING:
    from agent.config.campaign import Config
    from agent.kernel.git.messages import Commit
    from agent.kernel.record.ledger import Ledger, TestRow
    from agent.review.audit.fresh import Comparison
    from agent.review.audit.verify import Checked, Evidence

app = typer.Typer()

FreshPairs = Annotated[
    int, typer.Option("--fresh", min=0, metavar="N", help="measure N new pairs, with model calls; 0: none")
]


@app.command()
def verify(
    commit: Annotated[str | None, typer.Argument(help="an accepted patch: commit, ref, number or `champion`")] = None,
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    whole: Annotated[
        bool, typer.Option("--ledger", help="check every row of the ledger; takes no COMMIT, --replay or --fresh")
    ] = False,
    replay: Annotated[bool, typer.Option("--replay", help="run its trials again with the recorded answers")] = False,
    fresh: FreshPairs = 0,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Recompute a commit's verdict from the ledger.

    Exit code 3: something does not match. Exit code 4: the pairs of --fresh do not confirm the claim.
    Without --replay and --fresh no box starts and no model is called.
    """
    import json

    from agent.review.audit.judgement import facts, verdict
    from agent.review.audit.verify import verify as look
    from agent.review.lookup import find_commit
    from agent.review.terminal.verify import render_checks, render_fresh

    if whole:
        _check_alone(commit=commit is not None and path != DEFAULT_CONFIG, replay=replay, fresh=fresh > 0)
        raise typer.Exit(_verify_ledger(path if commit is None else Path(commit), name, as_json=as_json))
    if commit is None:
        raise UserError("COMMIT", "no patch is named", "Name one, for example `champion`, or add --ledger.")
    check_order("verify", path, commit)
    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        evidence = _evidence(config, ledger)
        found = find_commit(commit, ledger, evidence.repository)
        findings = look(found, evidence)
        if replay:
            findings.append(_replayed(config, evidence, found))
        test = _test_of(found, evidence)
        claimed = None if test is None or test.decision is None else float(test.decision["delta"])
        comparison = _compared(config, evidence, found, fresh, test) if fresh else None
    if as_json:
        typer.echo(json.dumps(facts(found, findings, comparison, claimed), indent=1))
    else:
        console = terminal()
        render_checks(found, findings, console)
        if comparison is not None:
            render_fresh(comparison, claimed, console)
    raise typer.Exit(verdict(findings, comparison if claimed is not None else None))


def _check_alone(*, commit: bool, replay: bool, fresh: bool) -> None:
    """Raise UserError for what is about one commit, beside --ledger."""
    given = {"COMMIT": commit, "--replay": replay, "--fresh": fresh}
    if extra := [name for name, there in given.items() if there]:
        raise UserError("--ledger", "checks every row, not one commit", f"Remove {', '.join(extra)}.")


def _verify_ledger(path: Path, name: str | None, *, as_json: bool) -> int:
    from agent.review.audit.judgement import TAMPERED
    from agent.review.terminal.verify import check_ledger

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        commits = open_repository(config, ledger).accepted()
        return 0 if check_ledger(ledger, commits, terminal(), as_json=as_json) else TAMPERED


@app.command()
def audit(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    name: CampaignName = None,
    out: Annotated[Path | None, typer.Option(help="file to write; default: standard output")] = None,
    as_json: AsJson = False,
) -> None:
    """Write down who decided what, on which evidence, as Markdown.

    For a reviewer: starts with their kernel and configuration, verdicts, approvals, commits with their figures.
    """
    from agent.review.audit import decisions

    config = load(path, {"name": name})
    with open_ledger(config) as ledger:
        log = decisions.audit_log(config.name, ledger)
        text = decisions.as_json(log, ledger) if as_json else decisions.as_markdown(log)
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError("--out", f"{out} cannot be written ({error.strerror})", "Choose another file.") from error
    typer.echo(f"wrote {out}")


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


def _test_of(commit: Commit, evidence: Evidence) -> TestRow | None:
    """The gate test behind a commit; None for a revert."""
    from agent.review.audit.verify import find_entry

    entry = find_entry(commit, evidence.ledger)
    return next((row for row in evidence.ledger.tests() if entry is not None and row.id == entry.test), None)


def _replayed(config: Config, evidence: Evidence, commit: Commit) -> Checked:
    import asyncio

    from agent.cli.measuring import replay_trials
    from agent.models.gateway.record import Recording
    from agent.review.audit.judgement import replay_check
    from agent.review.audit.verify import find_entry

    ledger, entry = evidence.ledger, find_entry(commit, evidence.ledger)
    if entry is None or entry.test is None:
        raise UserError("--replay", "this commit has no gate test", "Use --fresh N.")
    if ledger.recollect("suite") != evidence.suite.hash:
        problem = f"{evidence.suite.name} has changed since the test, so its trials cannot be repeated"
        raise UserError("suite", problem, "Check out the suite of that time.")
    trials = [trial for _, *sides in ledger.pair_trials(entry.test) for trial in sides]
    recording = Recording(call for trial in trials for call in ledger.calls(trial.id))
    return replay_check(asyncio.run(replay_trials(with_recorded_windows(config, ledger), trials, recording)))


def _compared(config: Config, evidence: Evidence, commit: Commit, pairs: int, test: TestRow | None) -> Comparison:
    import asyncio

    from agent.cli.measuring import compare_trees
    from agent.kernel.decide.cheaper import Gain
    from agent.kernel.loop.match import opened_with
    from agent.review.audit.verify import find_entry

    entry, tree_of = find_entry(commit, evidence.ledger), evidence.repository.tree_of
    trees = (tree_of(commit.parents[0]), commit.tree)
    if entry is not None and entry.series:
        trees = (tree_of(entry.parent), tree_of(entry.sha))
    decision = {} if test is None or test.decision is None else test.decision
    known = opened_with(evidence.ledger, test.id) if test is not None and decision.get("gain") == Gain.CHEAPER else None
    return asyncio.run(compare_trees(config, trees, pairs, None if known is None else known.aim))
