"""The command `ratchet tasks calibrate`, and what `ratchet doctor` reads of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.base.errors import UserError
from agent.cli.options import DEFAULT_CONFIG, AsJson, CampaignName, ConfigPath, load, terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.base.types import Suite, Task
    from agent.config.campaign import Config
    from agent.kernel.decide.calibration import Calibration
    from agent.suites.calibrating import Notebook, Ran

NOTEBOOK, REPORT = "calibration.jsonl", "calibration.json"
_NOT_THE_SCAFFOLD = {"repo", "base", "sabotage"}
"""Settings of `scaffold` that change no run: where the commit comes from, whose tree is known, and a trial before."""
_NOT_THE_MODEL = {
    "price",
    "api_key_env",
    "ca_file",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "attempts",
    "threads",
}
"""Settings of a model that change what a call costs and how long it waits, not the answer."""


def tasks_calibrate(
    path: ConfigPath = DEFAULT_CONFIG,
    *,
    runs: Annotated[int, typer.Option(min=1, help="runs of each task")] = 5,
    effect: Annotated[
        float, typer.Option(min=0.005, max=0.9, help="improvement in score that the gate should prove")
    ] = 0.1,
    rev: Annotated[str | None, typer.Option(help="commit to run; default: the seed")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="another campaign.yaml, whose solver shows what can be solved")
    ] = None,
    reference_rev: Annotated[
        str | None, typer.Option(help="commit of the reference; without --reference, with the same models")
    ] = None,
    split: Annotated[str | None, typer.Option(help="only the tasks of search, gate or holdout")] = None,
    name: CampaignName = None,
    as_json: AsJson = False,
) -> None:
    """Measure how hard the tasks of a suite are.

    Runs the seed on each task several times: pass rates, tasks without headroom, noise, splits and suite size.

    Runs are kept in the campaign's folder: the same command resumes, and more --runs add to what is there.
    """
    import asyncio

    from agent.base.types import Split
    from agent.review.terminal.calibration import as_data, print_calibration
    from agent.review.terminal.suites import print_stdout
    from agent.suites.calibrating import Notebook
    from agent.suites.loader import load_suite

    if split is not None and split not in set(Split):
        raise UserError("--split", f"there is no split {split!r}", "Use search, gate or holdout.")
    config = load(path, {"name": name})
    suite = load_suite(config.suite)
    tasks = suite.tasks if split is None else suite.split(Split(split))
    if not tasks:
        raise UserError("--split", f"{suite.name} has no task in it", "Name another split.")
    notebook = Notebook(config.folder / NOTEBOOK)
    seed = asyncio.run(_measured(config, rev, tasks, runs, notebook))
    best = None
    if reference is not None or reference_rev is not None:
        other = _reference_config(config, reference)
        best = asyncio.run(_measured(other, reference_rev, tasks, runs, notebook))
    found = _calibrated(config, tasks, seed, best, effect)
    said = as_data(suite, found, _costs(seed, best))
    write_report(config.folder / REPORT, said)
    if as_json:
        print_stdout(said)
    else:
        print_calibration(found, config.folder / REPORT, terminal())


def write_report(file: Path, said: Mapping[str, Any]) -> None:
    """Write a calibration's report in one step: the last one stays until the new one is whole. Raises UserError."""
    import json

    half = file.with_suffix(".tmp")
    try:
        half.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
        half.replace(file)
    except OSError as error:
        fix = "Make room, or the folder writable, and run the same command again: no run is repeated."
        raise UserError(str(file), f"cannot be written ({error.strerror})", fix) from error


def _reference_config(config: Config, reference: Path | None) -> Config:
    """The reference's configuration, for this suite."""
    if reference is None:
        return config
    return load(reference, {}).model_copy(update={"suite": config.suite})


async def _measured(
    config: Config, rev: str | None, tasks: Sequence[Task], runs: int, notebook: Notebook
) -> Mapping[str, list[Ran]]:
    """The runs of a commit, by task; of the commit from which the campaign starts if none is named."""
    from agent.cli.progress import progress
    from agent.suites.calibrating import Who, calibrate
    from agent.wiring.beside import measuring_parts

    console = terminal(stderr=True)
    async with (
        measuring_parts(config, console) as parts,
        progress(console, "calibrating", runs * len(tasks)) as counter,
    ):
        who = Who(
            tree=parts.repository.tree_of(rev or parts.repository.base),
            command=" ".join(config.scaffold.command),
            models=", ".join(f"{model.provider}/{model.name}" for model in config.models.of("solver")),
            settings=settings_of(config),
        )
        return await calibrate(parts.evaluator, who, tasks, runs, notebook=notebook, done=counter.advance)


def settings_of(config: Config) -> str:
    """A hash of the settings of scaffold and solver that can change a score, for which runs are kept."""
    import hashlib
    import json

    said = {
        "scaffold": config.scaffold.model_dump(mode="json", exclude=_NOT_THE_SCAFFOLD),
        "solver": [model.model_dump(mode="json", exclude=_NOT_THE_MODEL) for model in config.models.of("solver")],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _calibrated(
    config: Config,
    tasks: Sequence[Task],
    seed: Mapping[str, list[Ran]],
    best: Mapping[str, list[Ran]] | None,
    effect: float,
) -> Calibration:
    from agent.kernel.decide.calibration import Measured, calibrated
    from agent.kernel.loop.settings import gate_settings

    measured = [
        Measured(
            task=task.id,
            split=task.split,
            scores=tuple(ran.score for ran in seed[task.id]),
            reference=tuple(ran.score for ran in best[task.id]) if best else (),
        )
        for task in tasks
    ]
    return calibrated(measured, effect, gate_settings(config), config.gate_options.share)


def _costs(*sides: Mapping[str, list[Ran]] | None) -> dict[str, float]:
    """What all the runs took, those of earlier calls included."""
    every = [ran for side in sides if side for runs in side.values() for ran in runs]
    return {
        "runs": len(every),
        "seconds": round(sum(ran.seconds for ran in every), 1),
        "tokens": sum(ran.tokens for ran in every),
        "dollars": round(sum(ran.dollars or 0.0 for ran in every), 6),
    }


def last_calibration(config: Config, suite: Suite) -> dict[str, Any] | None:
    """The campaign's last calibration; None if there is none of this suite."""
    import json

    try:
        said = json.loads((config.folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and said.get("hash") == suite.hash else None


def headroom(config: Config, suite: Suite) -> str:
    """What the last calibration says about the gate's tasks, in a line.

    Raises:
        UserError: no gate task can show progress.
    """
    said = last_calibration(config, suite)
    if said is None:
        return "not measured; `ratchet tasks calibrate` shows which tasks can prove anything"
    gate = [task for task in said["tasks"] if task["split"] == "gate"]
    useful = [task for task in gate if task["headroom"] == "yes"]
    if gate and not useful:
        problem = f"none of the {len(gate)} gate tasks is solved sometimes: nothing can be proven"
        raise UserError("suite", problem, f"Choose other tasks; {config.folder / REPORT} has the pass rates.")
    return f"{len(useful)} of {len(gate)} gate tasks have headroom, the seed scores {said['score']:.0%}"
