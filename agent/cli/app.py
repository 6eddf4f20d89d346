"""The command line: one module per group of commands, put together here.

Heavy imports happen inside the commands, so that `ratchet --help` answers at once.
Exit codes: 0 done, 1 stopped by an infrastructure error (resumable), 2 user error, 130 interrupted;
`ratchet verify` adds 3 (something does not match) and 4 (fresh pairs do not confirm the claim).
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from agent.base.errors import InfrastructureError, UserError
from agent.cli import act, audit, control, demo, docs, models, read, setup, skill, suites, trials

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ratchet {version('ratchet-rsi')}")
        raise typer.Exit


@app.callback()
def ratchet(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="print the version", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """An agent that rewrites its own scaffold, and commits only what is shown to score better."""


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal may know no more than ASCII, and a model may write anything.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        typer.echo(f"ratchet: {error}", err=True)
        sys.exit(2)
    except InfrastructureError as error:
        said = f"ratchet: infrastructure error: {error}"
        typer.echo(f"{said}\nWhat was finished is kept. Run the same command again: `ratchet run` resumes.", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


for group in (setup, demo, control, read, trials, audit, act, docs, skill):
    app.add_typer(group.app)
app.add_typer(suites.app, name="tasks")
app.add_typer(models.app, name="models")
