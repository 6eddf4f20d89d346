"""The commands for task suites: `ratchet tasks ...`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.opening import terminal

if TYPE_CHECKING:
    from agent.kernel.types import Suite

app = typer.Typer(help="Look at task suites and prove them.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def tasks_list(suite: Annotated[Path, typer.Argument(help="folder of a suite")]) -> None:
    """List the tasks of a suite."""
    from agent.suites.loader import load_suite

    loaded = load_suite(suite)
    for task in loaded.tasks:
        typer.echo(f"{task.id:<32} {task.split:<8} {' '.join(task.tags)}")
    typer.echo(f"{len(loaded.tasks)} tasks, hash {loaded.hash}")


@app.command("check")
def tasks_check(
    suite: Annotated[Path, typer.Argument(help="folder of a suite")],
    *,
    parallel: Annotated[int, typer.Option(min=1, help="boxes at a time")] = 4,
) -> None:
    """Prove a suite in real boxes: the starting files must score 0, the reference solution 1, twice."""
    import asyncio

    from agent.suites.loader import load_suite

    raise typer.Exit(0 if asyncio.run(prove_suite(load_suite(suite), parallel)) else 2)


async def prove_suite(suite: Suite, parallel: int) -> bool:
    """Prove a suite and print what is wrong with it; True if nothing is."""
    import asyncio
    import tempfile

    from rich.progress import Progress

    from agent.suites.check import prove
    from sandbox.docker_sandbox import DockerSandbox
    from sandbox.image import ensure_image

    console = terminal()
    image = await asyncio.to_thread(ensure_image, say=console.print)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder, Progress(console=console, transient=True) as bar:
        line = bar.add_task("proving", total=len(suite.tasks))
        async with DockerSandbox(uuid.uuid4().hex[:8], f"check-{suite.name}", Path(folder), ready=parallel) as sandbox:
            proofs = await prove(sandbox, image, suite, parallel=parallel, done=lambda: bar.advance(line))
    bad = [proof for proof in proofs if proof.complaints]
    for proof in bad:
        console.print(f"{proof.task}: {'; '.join(proof.complaints)}", markup=False)
    console.print(f"{len(proofs) - len(bad)} of {len(proofs)} tasks proven: starter scores 0, reference 1, twice")
    return not bad
