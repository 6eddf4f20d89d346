"""Commands about task suites: `ratchet tasks ...`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.base.errors import UserError
from agent.cli.calibrating import tasks_calibrate
from agent.cli.importing import tasks_import
from agent.cli.options import AsJson, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from agent.base.types import Suite
    from agent.suites.check import Proof

app = typer.Typer(help="List, write, import and prove task suites.", no_args_is_help=True, rich_markup_mode=None)
SuitePath = Annotated[Path, typer.Argument(help="folder of the suite, or the name of a shipped one")]
app.command("import")(tasks_import)
app.command("calibrate")(tasks_calibrate)


@app.command("list")
def tasks_list(
    suite: SuitePath,
    *,
    tag: Annotated[str | None, typer.Option(help="only tasks with this tag")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tasks of a suite."""
    from agent.review.terminal.suites import listed, print_list, print_stdout
    from agent.suites.loader import load_suite

    loaded = load_suite(suite)
    tasks = [task for task in loaded.tasks if tag is None or tag in task.tags]
    if as_json:
        print_stdout(listed(loaded, tasks))
    else:
        print_list(loaded, tasks, terminal())


@app.command("check")
def tasks_check(
    suite: SuitePath,
    *,
    parallel: Annotated[int, typer.Option(min=1, help="number of boxes at a time")] = 4,
    image: Annotated[
        str | None, typer.Option(help="base image of the boxes, like `scaffold.image` in campaign.yaml")
    ] = None,
    fix_splits: Annotated[
        bool, typer.Option("--fix-splits", help="move unproven tasks to quarantine.yaml, out of every split")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove in boxes that every task can be solved and cheating fails.

    Starting, emptied and broken files must score 0; the reference solution must score 1, twice.
    """
    import asyncio

    from rich.console import Console

    from agent.review.terminal.suites import print_proofs, print_stdout, proven
    from agent.suites.loader import load_suite, suite_file
    from agent.suites.quarantine import quarantine

    loaded = load_suite(suite)
    proofs = asyncio.run(prove_suite(loaded, parallel, image, Console(stderr=True, highlight=False)))
    if as_json:
        print_stdout(proven(loaded, proofs))
    else:
        print_proofs(proofs, terminal())
    bad = {proof.task.id: proof.reason for proof in proofs if proof.findings}
    if bad and fix_splits:
        quarantine(suite_file(suite).parent, bad)
        left = load_suite(suite)
        typer.echo(f"moved {len(bad)} tasks to quarantine; the suite is now {left.name}@{left.hash}", err=True)
    raise typer.Exit(2 if bad and not fix_splits else 0)


async def prove_suite(suite: Suite, parallel: int, base: str | None, console: Console) -> Sequence[Proof]:
    """Prove a suite in boxes of this machine's engine. A task whose image cannot be had is unproven for that.

    Raises:
        InfrastructureError: the engine failed.
        UserError: the base image cannot be had.
    """
    import asyncio
    import tempfile
    from dataclasses import replace

    from rich.progress import Progress

    from agent.suites.check import Flaw, Proof, prove, submissions
    from agent.suites.images import buildable_images, grading_image
    from sandbox.docker_sandbox import DockerSandbox
    from sandbox.image import ensure_image

    image = await asyncio.to_thread(ensure_image, base, say=console.print)
    images, failed = await asyncio.to_thread(buildable_images, suite, base, say=console.print)
    suite, whole = replace(suite, tasks=tuple(task for task in suite.tasks if task.id not in failed)), suite
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, Progress(console=console, transient=True) as bar:
        line = bar.add_task("proving", total=sum(len(submissions(task)) for task in suite.tasks))
        async with DockerSandbox(uuid.uuid4().hex[:8], f"check-{suite.name}", Path(folder), ready=parallel) as sandbox:
            proven = await prove(
                sandbox,
                lambda task: images.get(task.id, image),
                suite,
                grading=lambda task: grading_image(images, task.id, images.get(task.id, image)),
                parallel=parallel,
                done=lambda: bar.advance(line),
            )
    known = {proof.task.id: proof for proof in proven}
    for task in whole.tasks:
        if task.id in failed:
            known[task.id] = Proof(task=task, grades={}, findings=((Flaw.NO_IMAGE, failed[task.id]),))
    return [known[task.id] for task in whole.tasks]


@app.command("new")
def tasks_new(
    path: Annotated[Path, typer.Argument(help="folder to create: a suite, or a task inside a suite")],
) -> None:
    """Write a small suite, or a task inside a suite's folder.

    What it writes passes `ratchet tasks check`.
    """
    from agent.suites.skeleton import write_new

    for written in write_new(path):
        typer.echo(f"wrote {written}")


@app.command("schema")
def tasks_schema(kind: Annotated[str, typer.Argument(help="suite (suite.yaml) or task (task.yaml)")] = "suite") -> None:
    """Print the JSON Schema of the native format, for editors."""
    from agent.suites.format import SCHEMAS, schema

    if kind not in SCHEMAS:
        raise UserError(kind, "there is no such kind of file", f"Use {' or '.join(SCHEMAS)}.")
    typer.echo(schema(kind), nl=False)
