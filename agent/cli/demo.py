"""The demo: a campaign in a new folder that needs no key."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import again, load, terminal

if TYPE_CHECKING:
    from agent.config.campaign import Config

app = typer.Typer()


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="a new folder for the campaign", metavar="FOLDER")] = Path(
        "ratchet-demo"
    ),
    *,
    replay: Annotated[
        bool, typer.Option("--replay", help="a recorded campaign again: only the models' answers are recorded")
    ] = False,
) -> None:
    """Run a campaign that needs no key, in a new folder.

    The same command resumes it. Without options: ten minutes with the model that comes with Ratchet. With --replay:
    about a minute of real boxes, trials, gate tests and commits, with the recorded answers of a capable improver; ends
    with exit code 1 if anything came out differently.
    """
    from agent.cli.creating import CONFIG, REPLAY, STARTER, create_replay, create_starter
    from agent.cli.running import run_campaign

    path, shipped = folder / CONFIG, REPLAY / CONFIG if replay else STARTER
    if not path.is_file() or path.read_bytes() != shipped.read_bytes():
        for note in create_replay(folder) if replay else create_starter(folder):
            typer.echo(note)
    config = load(path, {})
    code = run_campaign(config, partial(again, path=path), partial(again, path=path.absolute()), terminal())
    raise typer.Exit(_compared(config) if replay and code == 0 else code)


def _compared(config: Config) -> int:
    """Say whether all came out as recorded; the exit code."""
    from agent.cli.creating import replayed_outcome
    from agent.kernel.record.ledger import Ledger
    from agent.review.audit.outcome import differences, outcome

    recorded = replayed_outcome()
    with Ledger(config.folder / "ledger.sqlite", read_only=True) as ledger:
        unlike = differences(recorded, outcome(ledger))
    if unlike:
        typer.echo("\n".join(["the replay came out differently:", *unlike]), err=True)
        return 1
    patches, tests, commits = (len(recorded[name]) for name in ("candidates", "tests", "commits"))
    typer.echo(
        f"As recorded, with the same trees and evidence: patches {patches - 1}, gate tests {tests}, commits {commits}."
    )
    return 0
