"""Run trials beside a campaign: measure scaffolds (eval), or look on while one trial runs (try)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, check_order, load, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.base.types import Split, Task
    from agent.config.campaign import Config

app = typer.Typer()

PROPOSALS = 10
"""What each improver makes with `eval --improver`, without --proposals."""

Rev = Annotated[str | None, typer.Option(help="commit or candidate (`#12`) to run; default: the champion")]
Keep = Annotated[bool, typer.Option("--keep", help="also keep what was handed in and what the check printed")]


@app.command(name="eval")
def evaluate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    rev: Rev = None,
    against: Annotated[
        str | None, typer.Option(help="commit or candidate to compare with, in fresh coupled pairs")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="search, gate or holdout; default: holdout, or all of them with --task")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(metavar="ID", help="a task to run; repeat for more")] = None,
    runs: Annotated[int, typer.Option(min=1, help="trials of each task")] = 1,
    improver: Annotated[
        str | None,
        typer.Option(help="compare this scaffold as an improver with --against: both patch --rev, on one brief"),
    ] = None,
    proposals: Annotated[
        int | None, typer.Option(min=1, help=f"proposals of each improver, with --improver; default: {PROPOSALS}")
    ] = None,
    keep: Keep = False,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Measure one commit, or compare two, with fresh trials.

    With --improver, compare two scaffolds by the patches that they make. Nothing is decided.
    Transcripts and model calls are kept in a folder that is named at the end; Ctrl-C keeps what
    is finished.
    """
    import asyncio

    from agent.cli.keeping import keeping
    from agent.cli.measuring import CHAMPION, Measurement, find_tasks, find_trees, measure_trees
    from agent.review.terminal.measured import print_measured
    from agent.suites.loader import load_suite

    _check_options(improver, proposals, keep=keep)
    config = load(path, {"name": name})
    if improver is not None:
        chosen = find_tasks(load_suite(config.suite), task or (), _split(split), "--task")
        trees = (("--rev", rev or CHAMPION), ("--improver", improver), ("--against", against or "seed"))
        _improvers(config, trees, chosen, (proposals or PROPOSALS, runs), as_json=as_json)
        return
    names = [("--rev", rev or CHAMPION), *([("--against", against)] if against else [])]
    tasks = find_tasks(load_suite(config.suite), task or (), _split(split), "--task")
    measurement = Measurement(trees=find_trees(config, names), tasks=tasks, runs=runs)
    with keeping(config.folder, measurement.trees, every=keep) as kept:
        try:
            asyncio.run(measure_trees(config, measurement, kept, terminal(stderr=as_json)))
        finally:
            if measurement.finished:  # some are, even where an error or Ctrl-C cut it short
                sides, total = measurement.sides(), len(measurement.planned)
                print_measured(sides, terminal(), folder=kept.folder, total=total, as_json=as_json)


def _check_options(improver: str | None, proposals: int | None, *, keep: bool) -> None:
    """Raise UserError for an option of `eval` that would do nothing."""
    if improver is None and proposals is not None:
        raise UserError("--proposals", "only improvers make proposals", "Add --improver, or remove --proposals.")
    if improver is not None and keep:
        problem = "a comparison of improvers keeps no files that were handed in"
        raise UserError("--keep", problem, "Remove --keep; diffs and transcripts are kept without it.")


def _improvers(
    config: Config,
    names: Sequence[tuple[str, str]],
    tasks: Sequence[Task],
    counts: tuple[int, int],
    *,
    as_json: bool,
) -> None:
    """Compare two scaffolds by what they make of a parent: `names` are those of parent and improvers."""
    import asyncio
    import json

    from agent.cli.improving import Experiment, check_improvers, compare_improvers
    from agent.cli.keeping import keeping
    from agent.cli.measuring import find_trees
    from agent.review.terminal.improvement import facts, print_improvement

    check_improvers(config)
    parent, *improvers = find_trees(config, names)
    proposals, runs = counts
    experiment = Experiment(
        parent=parent, improvers=(improvers[0], improvers[1]), tasks=tasks, proposals=proposals, runs=runs
    )
    with keeping(config.folder, [parent], every=False) as kept:
        try:
            asyncio.run(compare_improvers(config, experiment, kept, terminal(stderr=as_json)))
        finally:
            if experiment.made:  # some are, even where an error or Ctrl-C cut it short
                found = experiment.found
                (kept.folder / "improvers.json").write_text(json.dumps(facts(found), indent=1), encoding="utf-8")
                print_improvement(found, terminal(), folder=kept.folder, planned=proposals, as_json=as_json)


@app.command(name="try")
def try_task(
    task: Annotated[str, typer.Argument(metavar="TASK", help="the id of a task of the suite, of any split")],
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    rev: Rev = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="keep transcript, calls, what was handed in and what the check printed")
    ] = False,
    name: CampaignName = None,
) -> None:
    """Run one trial and show it as it happens.

    What the agent prints, each model call, and the verdict. Nothing is decided.
    """
    import asyncio

    from agent.cli.keeping import keeping
    from agent.cli.measuring import CHAMPION, find_tasks, find_trees
    from agent.cli.trying import watch_trial
    from agent.suites.loader import load_suite

    check_order("try", path, task)
    config = load(path, {"name": name})
    [chosen] = find_tasks(load_suite(config.suite), [task], None, "TASK")
    [tree] = find_trees(config, [("--rev", rev or CHAMPION)])
    with keeping(config.folder, [tree], every=True, for_good=keep) as kept:
        asyncio.run(watch_trial(config, chosen, tree, kept, terminal()))
        if keep:
            terminal().print(f"kept in {kept.folder}", markup=False, soft_wrap=True)


def _split(name: str | None) -> Split | None:
    from agent.base.types import Split

    if name is not None and name not in set(Split):
        raise UserError("--split", f"there is no split {name!r}", "Use search, gate or holdout.")
    return None if name is None else Split(name)
