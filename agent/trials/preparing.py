"""Builds each candidate once, in a box without a network; its trials share the result.

A build that fails is a result of the candidate, with its log. A result that was kept is never built again, so that all
trials of a candidate run the same files, whatever a build does at random.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import CandidateFault, RecordBroken
from agent.base.types import Box, BoxSpec, Ending, Files, RunResult, Sandbox
from agent.trials.grading import STARVED_SHARE, refuse_starved
from sandbox import frames
from sandbox.box import from_box, to_box

PREPARE_FAILED = "prepare failed"
MAX_FILES = 4096
MAX_BYTES = 64 << 20
LAST_WORDS = 300


class PrepareFailed(CandidateFault):
    """A candidate that cannot be built. `log` is what the command printed."""

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(f"{PREPARE_FAILED}: {reason}")
        self.reason, self.log = reason, log

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.log)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a candidate is built: the command, the kind of box, seconds, and the share that may be starved."""

    command: Sequence[str]
    spec: BoxSpec
    timeout: float
    starved: float = STARVED_SHARE

    @property
    def key(self) -> str:
        """Stable over runs; different for another command or image."""
        return hashlib.sha256("\0".join((self.spec.image, *self.command)).encode()).hexdigest()[:12]


class Prepared:
    """tree -> what lies below /scaffold in its boxes. `build` makes it, `folder` keeps it under `key`."""

    def __init__(
        self, build: Callable[[Files], Awaitable[Files]], sources: Mapping[str, Files], key: str, folder: Path
    ) -> None:
        self._build, self._sources, self._key, self._folder = build, sources, key, folder
        self._failed: dict[str, PrepareFailed] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def files(self, tree: str) -> Files:
        """The result for one tree, built unless it is known.

        Raises:
            PrepareFailed: also if the result is too large, or not of plain files.
            InfrastructureError: the build is void.
        """
        async with self._turns.setdefault(tree, asyncio.Lock()):
            if tree in self._failed:
                raise self._failed[tree]
            kept = self._folder / f"{tree}-{self._key}"
            try:
                if kept.exists():
                    return await asyncio.to_thread(_read, kept)
                built = await self._build(self._sources[tree])
                await asyncio.to_thread(_write, kept, built)
            except PrepareFailed as fault:
                self._failed[tree] = fault
                raise
            except OSError as error:
                raise RecordBroken(f"a prepared scaffold cannot be kept: {error}") from error
            return built


async def build(sandbox: Sandbox, recipe: Recipe, files: Files) -> Files:
    """What a recipe makes of a scaffold, in a box of its own.

    Raises:
        PrepareFailed: also if the result is too large, or not of plain files.
        InfrastructureError: the build is void.
    """
    box = await sandbox.open(recipe.spec)
    try:
        return await _built(box, recipe, files)
    finally:
        await box.close()


async def _built(box: Box, recipe: Recipe, files: Files) -> Files:
    log = ""
    try:
        await box.put(files, "/workspace")
        run = await box.run(recipe.command, env={}, timeout=recipe.timeout)
        log = run.output.decode(errors="replace")
        fault = _fault(run, recipe.timeout)
        built = {} if fault else await box.take(["**"], max_files=MAX_FILES, max_bytes=MAX_BYTES)
    except CandidateFault as lost:
        raise PrepareFailed(str(lost), log) from lost
    refuse_starved(run, recipe.starved)
    if fault:
        raise PrepareFailed(f"{fault}{_last_words(log)}", log)
    return built


def _fault(run: RunResult, timeout: float) -> str | None:
    if run.ending is Ending.TIMEOUT:
        return f"it took longer than {timeout:g} s"
    if run.ending is not Ending.EXITED:
        return run.ending.value
    return f"exit code {run.exit_code}" if run.exit_code else None


def _last_words(log: str) -> str:
    words = " ".join(log.split())
    return f": {words[-LAST_WORDS:]}" if words else ""


def _read(kept: Path) -> Files:
    return from_box(frames.from_tar(zlib.decompress(kept.read_bytes()), max_files=MAX_FILES, max_bytes=MAX_BYTES))


def _write(kept: Path, files: Files) -> None:
    """Whole or not at all: a run may be killed at any instant."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    half = kept.with_suffix(".half")
    half.write_bytes(zlib.compress(frames.to_tar(to_box(files)), level=1))
    half.replace(kept)
