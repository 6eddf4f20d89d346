"""What `ratchet doctor` checks: one line per finding, and the command that fixes a failure."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.base.errors import RatchetError, UserError
from agent.base.types import Split, Suite
from agent.cli.calibrating import headroom, last_calibration
from agent.cli.conformance import OBLIGING_SECONDS, conform
from agent.cli.findings import Finding, failed, tried
from agent.cli.forecast import SECONDS_PER_TRIAL, SEED_SCORE, forecast
from agent.config.campaign import Config, ScaffoldConfig, load_config
from agent.kernel.loop.opening import open_repository
from agent.kernel.loop.settings import unprovable
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.preflight import preflight
from agent.models.gateway.prices import unknown_prices
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers import weights
from agent.models.providers.discovery import local_servers
from agent.suites.loader import load_suite
from agent.wiring import cluster_seats, programs
from sandbox.architecture import foreign_images
from sandbox.endpoint import endpoint
from sandbox.engine import engine_status, start_engine
from sandbox.image import ensure_image, image_megabytes
from sandbox.load import host_load
from sandbox.trying import engine_runtimes, try_boxes

WAYS = {
    True: "the engine shares this machine's folders: files and model calls go through one",
    False: "the engine is elsewhere (in a virtual machine, a container, another machine): files and calls go "
    "through its API, and load over there voids no trial",
}
"""By whether the engine shares folders: what kind of engine it is, and what that means."""
NEEDED_GIT = (2, 38)
NEEDED_DISK_GB = 2
FAST_RUNTIME = "crun"
_MARKS = {True: ("ok   ", "green"), False: ("FAIL ", "bold red"), None: ("note ", "yellow")}


def examine(path: Path | None, *, repair: bool) -> bool:
    """Print every finding; True if nothing is wrong. Without a `path`, nothing of a configuration is checked."""
    console = Console(highlight=False)
    fine = True
    for finding in _findings(path, repair=repair, say=lambda line: console.print(Text(f"  {line}", style="dim"))):
        fine = fine and finding.ok is not False
        console.print(Text(*_MARKS[finding.ok]) + Text(f"{finding.what:<8} {finding.text}", style=""), soft_wrap=True)
        if finding.fix and not finding.ok:
            console.print(Text(textwrap.indent(f"fix: {finding.fix}", "     ")), soft_wrap=True)
    return fine


def _findings(path: Path | None, *, repair: bool, say: Callable[[str], None]) -> Iterator[Finding]:
    yield _python()
    yield _git()
    yield _disk()
    yield _load()
    engine = _engine(repair=repair, say=say)
    yield engine
    config = None
    if path is not None:
        finding, config = _config(path)
        yield finding
    boxes = engine.ok is True
    for finding in _of_engine(config, say) if boxes else ():
        boxes = boxes and finding.ok is not False
        yield finding
    if _embedded(config) or weights.present():
        yield tried("weights", lambda: weights.fast().name)
    yield from _local_servers(config)
    if config is not None:
        yield from _of_config(config, say, boxes=boxes)


def _of_engine(config: Config | None, say: Callable[[str], None]) -> Iterator[Finding]:
    image = cache(partial(_image, config, say))
    yield (made := tried("image", lambda: f"{image()}, {image_megabytes(image())} MB"))
    if made.ok:
        yield from _boxes(config.boxes.runtime if config else None, image())
        yield from _elsewhere(image())


def _embedded(config: Config | None) -> bool:
    models = [] if config is None else [m for role in config.models.roles for m in config.models.of(role)]
    return any(model.provider == "embedded" for model in models)


def _of_config(config: Config, say: Callable[[str], None], *, boxes: bool) -> Iterator[Finding]:
    suite = cache(partial(load_suite, config.suite))
    yield tried("suite", lambda: _suite(suite()))
    yield tried("proof", lambda: _proof(config, suite))
    yield tried("headroom", lambda: headroom(config, suite()))
    repo = tried("repo", lambda: _repo(config))
    yield repo
    yield tried("models", lambda: _models(config))
    yield tried("prices", lambda: _prices(config))
    if config.executor.kind == "ray":
        yield _cluster(config)
    if boxes and repo.ok:
        yield from _agents(config, say)


def _agents(config: Config, say: Callable[[str], None]) -> list[Finding]:
    """Whether the agent, and its improver if that is another program, keep the contract."""
    say(f"trying the agent in boxes, without a real model: {OBLIGING_SECONDS:.0f} s at most, after it is built")

    async def try_them() -> list[Finding]:
        async with programs(config, say) as found:
            return [finding for who, program in found.items() for finding in await conform(program, who)]

    try:
        return asyncio.run(try_them())
    except RatchetError as error:
        return [failed("agent", error)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(what="python", ok=sys.version_info >= (3, 11), text=version, fix="install Python 3.11 or later")


def _git() -> Finding:
    fix = "apt-get install git"
    if shutil.which("git") is None:
        return Finding(what="git", ok=False, text="not found", fix=fix)
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    version = tuple(int(part) for part in text.split(".")[:2])
    return Finding(what="git", ok=version >= NEEDED_GIT, text=text, fix=f"{fix}  (2.38 or later)")


def _disk() -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    text = f"{free:.1f} GB free for temporary files in {tempfile.gettempdir()}"
    return Finding(
        what="disk",
        ok=free >= NEEDED_DISK_GB,
        text=text,
        fix=f"free {NEEDED_DISK_GB} GB, or set TMPDIR to another disk",
    )


def _load() -> Finding:
    load = host_load()
    fix = "stop other programs, or lower `boxes.parallel`: trials that others starve are void and retried"
    return Finding(what="load", ok=None if load.heavy else True, text=load.line, fix=fix)


def _local_servers(config: Config | None) -> Iterator[Finding]:
    """Model servers on this machine that the configuration does not use yet, and how to use them."""
    used = {model.base_url for model in config.models.all()} if config else set()
    for found in local_servers():
        if found.base_url not in used:
            text = f"{found.server} at {found.base_url} offers {len(found.models)} models"
            yield Finding(what="local", ok=None, text=text, fix=f"to use it, write in campaign.yaml:\n{found.block()}")


def _engine(*, repair: bool, say: Callable[[str], None]) -> Finding:
    try:
        status = start_engine(say) if repair else engine_status()
    except RatchetError as error:
        return Finding(what="docker", ok=False, text=str(error), fix=getattr(error, "fix", "see the line above"))
    return Finding(what="docker", ok=status.ok, text=status.line, fix=status.fix)


def _config(path: Path) -> tuple[Finding, Config | None]:
    try:
        config = load_config(path)
    except UserError as error:
        return Finding(what="config", ok=False, text=f"{error.field}: {error.problem}", fix=error.fix), None
    return Finding(what="config", ok=True, text=f"{path}: campaign {config.name}"), config


def _image(config: Config | None, say: Callable[[str], None]) -> str:
    scaffold = config.scaffold if config else ScaffoldConfig()
    return ensure_image(scaffold.image, layers=scaffold.build, say=say)


def _boxes(runtime: str | None, image: str) -> Iterator[Finding]:
    """Whether boxes start under the runtime that is set, and whether crun, if the engine has it, would be faster."""
    start = cache(lambda name: asyncio.run(try_boxes(image, name)))
    named = f"runtime {runtime}" if runtime else "the engine's default runtime"
    yield (found := tried("boxes", lambda: f"one takes {start(runtime).seconds:.2f} s under {named}"))
    if found.ok:
        yield Finding(what="engine", ok=True, text=WAYS[start(runtime).shared])
    if not found.ok or runtime or FAST_RUNTIME not in engine_runtimes():
        return
    with_it = tried("boxes", lambda: f"one takes {start(FAST_RUNTIME).seconds:.2f} s under runtime {FAST_RUNTIME}")
    if not with_it.ok:
        with_it = replace(with_it, ok=None)
    elif start(FAST_RUNTIME).seconds < start(runtime).seconds:
        with_it = replace(
            with_it, ok=None, fix=f"to use it, write in campaign.yaml:\nboxes: {{runtime: {FAST_RUNTIME}}}"
        )
    yield with_it


def _elsewhere(image: str) -> Iterator[Finding]:
    """What may go wrong with an engine elsewhere: another processor, a way there that everybody can take."""
    for line in foreign_images({image}):
        yield Finding(what="image", ok=None, text=line, fix="name an image for the engine's processor")
    if endpoint().plain:
        text = f"{endpoint().host} is neither encrypted nor protected: what reaches that port is root there"
        yield Finding(what="engine", ok=None, text=text, fix="use ssh://user@host, or TLS (DOCKER_TLS_VERIFY)")


def _suite(suite: Suite) -> str:
    sizes = ", ".join(f"{len(suite.split(split))} {split}" for split in Split)
    return f"{suite.name}@{suite.hash}: {sizes} tasks"


def _proof(config: Config, load: Callable[[], Suite]) -> str:
    """What the budget can prove on this suite. Raises UserError if that is nothing."""
    if config.gate != "proven":
        return f"gate: {config.gate} proves nothing, and commits say so"
    suite = load()
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
    known = "" if config.budget.trials else f" (at {SECONDS_PER_TRIAL:.0f} s a trial)"
    return f"{prediction.sentence.rstrip('.')}{known}"


def _repo(config: Config) -> str:
    file = config.folder / "ledger.sqlite"
    if file.exists():
        with Ledger(file, read_only=True) as ledger:
            repository = open_repository(config, ledger)
    else:
        repository = open_repository(config, None)
    repository.claim()
    repository.check_include(config.scaffold.include, config.improve.include)
    left_out = "".join(f"\n     {remark}" for remark in repository.remarks(config.scaffold.include))
    return f"{repository.branch} starts from {repository.base[:10]}{left_out}"


def _models(config: Config) -> str:
    async def try_them() -> list[str]:
        async with GatewayServer(config.models, MemoryRecord()) as gateway:
            return await preflight(gateway)

    config.models.need(("solver", "improver"))
    notes = asyncio.run(try_them())
    named = (f"{role}: {'/'.join(m.name for m in config.models.of(role))}" for role in config.models.roles)
    return ", ".join(named) + "".join(f"\n     {note}" for note in notes)


def _cluster(config: Config) -> Finding:
    """How much room the nodes of the Ray cluster have."""
    try:
        seats = [count for count in cluster_seats(config) if count]
    except RatchetError as error:
        return failed("cluster", error)
    text = f"{len(seats)} nodes with room for {sum(seats)} boxes at a time"
    return Finding(
        what="cluster", ok=bool(seats) or None, text=text, fix="start nodes, unless the cluster grows itself"
    )


def _prices(config: Config) -> str:
    unknown = unknown_prices(config.models)
    return (
        f"no price is known for {', '.join(unknown)}: limit tokens, not dollars" if unknown else "known for every model"
    )
