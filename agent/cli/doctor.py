"""What `ratchet doctor` checks: one line per finding, and the command that fixes a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.base.errors import RatchetError, UserError
from agent.base.types import Split
from agent.cli.calibrating import headroom, last_calibration
from agent.cli.conformance import OBLIGING_SECONDS, conform
from agent.cli.findings import Finding, failed, tried
from agent.cli.forecast import SECONDS_PER_TRIAL, SEED_SCORE, assumed_duration, forecast
from agent.cli.machine import (
    boxes_start,
    boxes_start_directly,
    disk,
    elsewhere,
    engine,
    git,
    load,
    local_servers,
    python,
)
from agent.config.campaign import Config, load_config
from agent.kernel.loop.opening import open_ledger, scaffold_layers
from agent.kernel.loop.settings import unprovable
from agent.kernel.loop.starting import Start
from agent.kernel.record.lock import holder, named
from agent.models.gateway.preflight import preflight
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers import weights
from agent.review.terminal.folding import folded
from agent.suites.images import task_images
from agent.trials.places import cluster_seats
from agent.wiring.program import programs
from sandbox.image import ensure_image, image_megabytes

Say = Callable[[str], None]
_MARKS = {True: ("ok   ", "green"), False: ("FAIL ", "bold red"), None: ("note ", "yellow")}
_INDENT = 14
"""Columns before the text of a finding."""

_NO_CONFIG = Finding(
    what="config",
    ok=None,
    text="no campaign.yaml here: suite, repository, models, agent unchecked",
    fix="name a campaign's file, or write one with `ratchet init`",
)


def examine(path: Path | None, *, repair: bool) -> bool:
    """Print every finding; True if nothing is wrong. Without a `path`, a note says what is not checked."""
    console = Console(highlight=False)
    fine = True
    said: set[str] = set()
    for finding in _findings(path, repair=repair, say=partial(_say, console)):
        fine = fine and finding.ok is not False
        if finding.ok is not False or finding.text not in said:  # what fails for the same reason is said once
            _print(finding, console)
        said.add(finding.text)
    return fine


def _say(console: Console, line: str) -> None:
    for piece in folded(f"  {line}", console.width, 2):
        console.print(Text(piece, style="dim"), soft_wrap=True)


def _print(finding: Finding, console: Console) -> None:
    mark, style = _MARKS[finding.ok]
    for number, line in enumerate(folded(f"{mark}{finding.what:<8} {finding.text}", console.width, _INDENT)):
        text = Text(line)
        if number == 0:
            text.stylize(style, 0, len(mark.rstrip()))
        console.print(text, soft_wrap=True)
    if finding.fix and not finding.ok:
        for line in folded(f"fix: {finding.fix}", console.width - len(mark)):
            console.print(Text(f"{' ' * len(mark)}{line}"), soft_wrap=True)


def _findings(path: Path | None, *, repair: bool, say: Say) -> Iterator[Finding]:
    yield from (python(), git(), disk(), load())
    found = engine(repair=repair, say=say)
    yield found
    config = None
    if path is None:
        yield _NO_CONFIG
    else:
        finding, config = _config(path)
        yield finding
    boxes = found.ok is True
    for finding in _of_engine(config, say) if boxes else ():
        boxes = boxes and finding.ok is not False
        yield finding
    if _embedded(config) or weights.present():
        say("loading the embedded model; its weights are fetched the first time")
        yield tried("weights", lambda: weights.fast().name)
    yield from local_servers(config)
    if config is not None:
        yield from _of_config(config, say, boxes=boxes)


def _of_engine(config: Config | None, say: Say) -> Iterator[Finding]:
    image = cache(partial(_image, config, say))
    yield (made := tried("image", lambda: f"{image()}, {image_megabytes(image())} MB"))
    if made.ok:
        say("starting boxes")
        start = boxes_start_directly if config and config.boxes.engine == "oci" else boxes_start
        yield from start(config.boxes.runtime if config else None, image())
        yield from elsewhere(image())


def _image(config: Config | None, say: Say) -> str:
    if config is None:
        return ensure_image(say=say)
    with ExitStack() as opened:
        begun = (config.folder / "ledger.sqlite").exists()
        repository = Start(config, opened.enter_context(open_ledger(config)) if begun else None).repository
        return ensure_image(config.scaffold.image, layers=scaffold_layers(config, repository), say=say)


def _embedded(config: Config | None) -> bool:
    models = [] if config is None else [m for role in config.models.roles for m in config.models.of(role)]
    return any(model.provider == "embedded" for model in models)


def _config(path: Path) -> tuple[Finding, Config | None]:
    try:
        config = load_config(path)
    except UserError as error:
        return Finding(what="config", ok=False, text=f"{error.field}: {error.problem}", fix=error.fix), None
    return Finding(what="config", ok=True, text=f"{path}: campaign {config.name}"), config


# ------------------------------------------------------------------------------------ what a campaign needs


def _of_config(config: Config, say: Say, *, boxes: bool) -> Iterator[Finding]:
    with ExitStack() as opened:
        ledger = None
        if (config.folder / "ledger.sqlite").exists():
            try:
                ledger = opened.enter_context(open_ledger(config))
            except RatchetError as error:
                yield failed("runs", error)
        start, passed = Start(config, ledger), True
        for check in start.checks():
            yield (finding := tried(check.what, check.look))
            passed = passed and finding.ok is True
        yield from _remarks(config, start) if passed else ()
        proof = tried("proof", lambda: _proof(config, start))
        yield replace(proof, ok=None) if not proof.ok and _predicted(config, start) else proof
        yield tried("headroom", lambda: headroom(config, start.suite))
        if boxes and passed and any(task.image or task.build or task.check_image for task in start.suite.tasks):
            yield tried("images", lambda: _task_images(config, start, say))
        if config.executor.kind == "ray":
            yield tried("cluster", lambda: _cluster(config, start))
        say("asking every model once")
        yield tried("models", lambda: _models(config))
        if boxes and passed:
            yield from _agents(config, say)


def _remarks(config: Config, start: Start) -> Iterator[Finding]:
    for remark in start.repository.remarks(config.scaffold.include, config.scaffold.build):
        yield Finding(what="repo", ok=None, text=remark)
    if (pid := holder(config.folder)) is not None:
        text = f"{named(pid)} is running this campaign"
        yield Finding(what="runs", ok=None, text=text, fix="wait for it, or `ratchet stop`")


def _agents(config: Config, say: Say) -> list[Finding]:
    """Whether the agent, and its improver if that is another program, keep the contract."""
    say(f"trying the agent in boxes, without a real model: {OBLIGING_SECONDS:.0f} s at most, after it is built")

    async def try_them() -> list[Finding]:
        async with programs(config, say) as found:
            return [finding for who, program in found.items() for finding in await conform(program, who)]

    try:
        return asyncio.run(try_them())
    except RatchetError as error:
        return [failed("agent", error)]


def _task_images(config: Config, start: Start, say: Say) -> str:
    layers = scaffold_layers(config, start.repository)
    images = task_images(start.suite, config.scaffold.image, layers=layers, say=say)
    return f"{len(set(images.values()))} of tasks are ready"


def _proof(config: Config, start: Start) -> str:
    """What the budget can prove on this suite. Raises UserError if that is nothing."""
    if config.gate != "proven":
        return f"gate: {config.gate} proves nothing, and commits say so"
    suite = start.suite
    if all(task.deterministic for task in suite.split(Split.GATE)):
        return "every gate task is deterministic: fixed runs of each side decide"
    if (error := unprovable(config, suite)) is not None:
        raise error
    known_score = (last_calibration(config, suite) or {}).get("score", SEED_SCORE)
    prediction = forecast(config, suite, score=known_score)
    if prediction is None:
        return "no limit bounds the number of trials; `ratchet simulate --cost-per-trial` predicts"
    if prediction.provable_half is None:
        problem = f"{prediction.trials:,} trials are too few to prove any improvement"
        raise UserError("budget", problem, "Give more trials, or set gate: better, which proves nothing.")
    assumed = assumed_duration(config, prediction, SECONDS_PER_TRIAL)
    said = f" ({assumed}; `ratchet simulate --seconds-per-trial N` takes yours)" if assumed else ""
    return f"{prediction.sentence.rstrip('.')}{said}"


def _predicted(config: Config, start: Start) -> bool:
    """Whether nothing but a prediction, which assumes how long a trial takes, says that nothing can be proven."""
    try:
        return unprovable(config, start.suite) is None
    except RatchetError:
        return False


def _models(config: Config) -> str:
    async def try_them() -> list[str]:
        async with GatewayServer(config.models, MemoryRecord()) as gateway:
            return await preflight(gateway)

    config.models.check_keys()
    notes = asyncio.run(try_them())
    named = (f"{role}: {'/'.join(m.name for m in config.models.of(role))}" for role in config.models.roles)
    return ", ".join(named) + "".join(f"\n{note}" for note in notes)


def _cluster(config: Config, start: Start) -> str:
    """How much room the nodes of the Ray cluster have. Raises UserError if no pair has room."""
    seats = [count for count in cluster_seats(config, start.suite) if count]
    return f"{len(seats)} nodes with room for {sum(seats)} boxes at a time"
