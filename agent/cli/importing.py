"""The command `ratchet tasks import`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import AsJson, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from agent.suites.importing.draft import Draft, Options, Refusal
    from agent.suites.importing.run import Imported
    from agent.suites.importing.solving import Solved
    from agent.suites.importing.write import NothingTaken

SHOWN = 20
"""Lines about refused or unsolved tasks that are printed; import.json has all of them."""


def tasks_import(
    kind: Annotated[
        str,
        typer.Argument(
            help="harbor, terminal-bench, swebench, exercism, humaneval, evalplus, mbpp, stdio, evals or pytest; "
            "auto: detect"
        ),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            help="folder of tasks, JSONL file (plain or gzip), dataset.toml, registry.json or harbor://ORG/NAME@REF"
        ),
    ],
    dest: Annotated[Path, typer.Argument(help="folder to create the suite in")],
    *,
    image: Annotated[
        str | None,
        typer.Option(
            help="image for every task, instead of the one it names; own: Ratchet's own; swebench: a pattern with "
            "{instance_id}, or the image to build on"
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            help="exercism: command whose exit code grades tasks in other languages than Python; swebench: command "
            "that runs tests"
        ),
    ] = None,
    reward_key: Annotated[
        str, typer.Option(help="harbor: key of the reward in a reward.json that holds several")
    ] = "reward",
    repos: Annotated[
        Path | None,
        typer.Option(help="folder of clones (OWNER/NAME); swebench: instead of images; registry.json: of its tasks"),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="registry.json: the dataset to take, NAME or NAME@VERSION")
    ] = None,
    solve: Annotated[
        bool,
        typer.Option(
            "--solve", help="build the images, run reference scripts in boxes, keep the files they leave as solutions"
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="replace an earlier import")] = False,
    parallel: Annotated[int, typer.Option(min=1, help="number of boxes at a time, with --solve")] = 4,
    as_json: AsJson = False,
) -> None:
    """Convert tasks of another format to a suite.

    A task that needs an unsupported feature is refused, and the feature is named. The exit code is 2 if every
    task is refused.
    """
    from rich.console import Console

    from agent.suites.importing.draft import Options
    from agent.suites.importing.write import NothingTaken

    console = Console(stderr=True, highlight=False)
    solved: list[Solved] = []

    def prepare(suite: Path) -> None:
        solved.extend(solve_references(suite, image, parallel, console))

    options = Options(image=image, check=check, reward_key=reward_key, repos=repos, dataset=dataset)
    try:
        imported = _import(kind, source, dest, options, console, replace=replace, prepare=prepare if solve else None)
    except NothingTaken as nothing:
        _say_nothing(nothing, dest, as_json=as_json)
        raise
    _say(imported, solved if solve else None, as_json=as_json)


def _import(
    kind: str,
    source: Path,
    dest: Path,
    options: Options,
    console: Console,
    *,
    replace: bool,
    prepare: Callable[[Path], None] | None,
) -> Imported:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from agent.suites.importing.run import import_suite

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task("importing", total=None)

        def done(_: Draft | Refusal) -> None:
            bar.advance(line)

        return import_suite(kind, source, dest, options=options, replace=replace, done=done, prepare=prepare)


def carry_left_files(folder: Path, base: str | None, console: Console) -> None:
    """Make starting files of what the tasks' image builds leave in their working directories.

    A task whose image cannot be built goes into quarantine, with the reason. Raises InfrastructureError.
    """
    import asyncio
    import tempfile
    from dataclasses import replace

    from agent.base.errors import UserError
    from agent.suites.images import task_images
    from agent.suites.importing.draft import OWN_IMAGE
    from agent.suites.importing.left import Left, gather, keeping, may_leave, write_left
    from agent.suites.loader import load_suite
    from agent.suites.quarantine import quarantine
    from sandbox.docker_sandbox import DockerSandbox

    suite = load_suite(folder)
    images: dict[str, str] = {}
    faults: dict[str, str] = {}
    for task in suite.tasks:
        alone = replace(suite, tasks=(keeping(task) if may_leave(task) else task,))
        try:
            images |= task_images(alone, None if base == OWN_IMAGE else base, say=console.print)
        except UserError as error:
            faults[task.id] = error.problem

    async def run(boxes: Path) -> list[Left]:
        async with DockerSandbox(uuid.uuid4().hex[:8], "import", boxes, ready=1) as sandbox:
            return [await gather(sandbox, images[task.id], task) for task in asked]

    if asked := [task for task in suite.tasks if task.id in images and may_leave(task)]:
        with tempfile.TemporaryDirectory(prefix="ratchet-") as boxes:
            for left in asyncio.run(run(Path(boxes))):
                if left.problem:
                    faults[left.task.id] = left.problem
                else:
                    write_left(folder, left)
    if len(faults) == len(suite.tasks):
        name, reason = next(iter(faults.items()))
        raise UserError(f"--solve: task {name}", f"{reason}; no other task has an image either", "Omit --solve.")
    if faults:
        quarantine(folder, faults)


def solve_references(folder: Path, base: str | None, parallel: int, console: Console) -> list[Solved]:
    """Run a suite's reference scripts and keep the files they leave as solutions. Raises InfrastructureError."""
    import asyncio
    import tempfile

    from rich.progress import Progress

    from agent.suites.images import task_images
    from agent.suites.importing.draft import OWN_IMAGE
    from agent.suites.importing.solving import solve, with_script, write_solutions
    from agent.suites.loader import load_suite
    from sandbox.docker_sandbox import DockerSandbox
    from sandbox.image import ensure_image

    chosen = None if base == OWN_IMAGE else base
    image = ensure_image(chosen, say=console.print)
    carry_left_files(folder, base, console)
    suite = load_suite(folder)
    images = task_images(suite, chosen, say=console.print)

    async def run(boxes: Path, bar: Progress) -> list[Solved]:
        line = bar.add_task("solving", total=len(with_script(suite)))
        async with DockerSandbox(uuid.uuid4().hex[:8], "import", boxes, ready=parallel) as sandbox:
            return await solve(
                sandbox,
                lambda task: images.get(task.id, image),
                suite,
                parallel=parallel,
                done=lambda: bar.advance(line),
            )

    with tempfile.TemporaryDirectory(prefix="ratchet-") as boxes, Progress(console=console, transient=True) as bar:
        solved = asyncio.run(run(Path(boxes), bar))
    write_solutions(folder, solved)
    return solved


def _say_nothing(nothing: NothingTaken, dest: Path, *, as_json: bool) -> None:
    """Every reason with its count; the error itself names only the first."""
    from agent.review.terminal.suites import print_stdout

    if as_json:
        head = {"kind": nothing.kind, "suite": str(dest), "taken": 0, "changed": False}
        print_stdout({**head, "refused": _refused(nothing.refusals), "reasons": nothing.reasons, "remarks": []})
    else:
        _print_counts("refused", nothing.reasons)


def _refused(refusals: Sequence[Refusal]) -> list[dict[str, str]]:
    return [{"id": r.id, "from": r.origin, "feature": r.feature} for r in refusals]


def _print_counts(what: str, counts: Sequence[Mapping[str, object]]) -> None:
    from agent.base.text import visible

    console = terminal()
    for one in counts[:SHOWN]:
        console.print(visible(f"{what} {one['count']} x {one['reason']}"), markup=False, soft_wrap=True)
    if len(counts) > SHOWN:
        console.print(f"and {len(counts) - SHOWN} more", markup=False)


def _say(imported: Imported, solved: list[Solved] | None, *, as_json: bool) -> None:
    """What came of an import; `solved` is None if no reference script was run."""
    from agent.base.text import visible
    from agent.review.terminal.suites import print_stdout
    from agent.suites.quarantine import quarantined

    problems = {one.task: one.problem for one in solved or () if one.problem}
    out = quarantined(imported.dest)
    if as_json:
        print_stdout(
            {
                "kind": imported.kind,
                "suite": str(imported.dest),
                "taken": imported.taken,
                "changed": imported.changed,
                "refused": _refused(imported.refused),
                "reasons": imported.reasons,
                "remarks": imported.remarks,
                "scripts": imported.scripts,
                "solved": sum(one.problem is None for one in solved or ()),
                "unsolved": problems,
                "quarantined": out,
            }
        )
        return
    console = terminal()
    _print_counts("refused", imported.reasons)
    _print_counts("changed meaning in", imported.remarks)
    lines = [f"refused {r.origin}: {r.feature}" for r in imported.refused]
    lines += [f"in quarantine {task}: {reason}" for task, reason in out.items()]
    lines += [f"no solution for {task}: {problem}" for task, problem in problems.items()]
    for line in lines[:SHOWN]:
        console.print(visible(line), markup=False, soft_wrap=True)
    if len(lines) > SHOWN:
        console.print(f"and {len(lines) - SHOWN} more, see {imported.dest / 'import.json'}", markup=False)
    end = "written" if imported.changed else "unchanged"
    said = f"{imported.taken} tasks imported ({imported.kind}), {len(imported.refused)} refused; {imported.dest} {end}"
    console.print(said, markup=False, soft_wrap=True)
    console.print(_next_step(imported, ran=solved is not None), markup=False, soft_wrap=True)


def _next_step(imported: Imported, *, ran: bool) -> str:
    """What to do with the suite; `ran` says whether its reference scripts were run."""
    check = f"`ratchet tasks check {imported.dest}`"
    if ran or not imported.scripts:
        return f"Prove it with {check}."
    return (
        f"{imported.scripts} of {imported.taken} tasks have a reference script that was not run, so nothing can prove "
        f"them: import again with --solve --replace, then run {check}."
    )
