"""A sandbox in memory: boxes whose commands are scripted Python functions. For logic tests and dry runs.

It keeps the same contract as the Docker one (one conformance list runs against both), and contains nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.base.errors import CandidateFault, SandboxDown
from agent.base.types import BoxSpec, Ending, Files, RunResult
from sandbox import frames
from sandbox.areas import READ_ONLY
from sandbox.box import MOST_NAMES, WORKSPACE
from sandbox.globs import matcher


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeRun:
    """What a program sees: its command, the read-only areas, and the workspace, which it may change."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    workspace: dict[str, bytes]
    areas: Mapping[str, Files]
    box: str
    socket: Path | None

    @property
    def task(self) -> Files:
        """What was put below /task."""
        return self.areas["/task"]

    @property
    def scaffold(self) -> Files:
        """What was put below /scaffold."""
        return self.areas["/scaffold"]


Said = RunResult | str | None
Program = Callable[[FakeRun], Said | Awaitable[Said]]


def ran(
    output: str = "",
    exit_code: int | None = 0,
    ending: Ending = Ending.EXITED,
    *,
    orphans: int = 0,
    seconds: float = 0.0,
    pressure: float = 0.0,
) -> RunResult:
    """What a program may return: a result in few words. `seconds` is added to the time that really passed."""
    return RunResult(
        ending=ending,
        exit_code=exit_code,
        output=output.encode(),
        truncated=False,
        seconds=seconds,
        orphans=orphans,
        pressure=pressure,
    )


class FakeSandbox:
    """Boxes in memory.

    Args:
        programs: the beginning of a command line -> what it does; the longest match wins. A program returns
            a RunResult (see `ran`), its output as text, or nothing; an exception that it raises, such as
            SandboxDown, is the box's. A command that no program matches is an error in the test.
        folder: where boxes with a gateway have their sockets; needed only if something listens there.
    """

    def __init__(self, programs: Mapping[str, Program], *, folder: Path | None = None) -> None:
        self._programs, self._folder = dict(programs), folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.opened: list[BoxSpec] = []
        self.open_boxes: set[str] = set()
        self._down: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open_boxes.clear()
        self._down = "the sandbox is closed"

    def break_down(self, reason: str | None) -> None:
        """From now on every new box fails as if the engine were gone; None fixes it."""
        self._down = reason

    async def open(self, spec: BoxSpec) -> FakeBox:
        """A fresh box. Raises SandboxDown after `break_down`."""
        if self._down is not None:
            raise SandboxDown(self._down)
        name = secrets.token_hex(6)
        self.opened.append(spec)
        self.open_boxes.add(name)
        return FakeBox(name, spec, self)

    def prewarm(self, spec: BoxSpec, count: int) -> None:
        """Nothing to do: a fake box is always ready."""

    def expect(self, spec: BoxSpec) -> AbstractContextManager[None]:  # noqa: ARG002 - a fake box is always ready
        """Nothing to do."""
        return nullcontext()

    def program(self, argv: Sequence[str]) -> Program:
        """What a command line does. Raises LookupError if the script does not say."""
        line = " ".join(argv)
        fitting = [start for start in self._programs if line.startswith(start)]
        if not fitting:
            raise LookupError(f"no program is scripted for {line!r}")
        return self._programs[max(fitting, key=len)]

    def socket_of(self, name: str) -> Path:
        """Where the gateway of one box would listen."""
        return (self._folder or Path("/nonexistent")) / f"{name}.sock"


class FakeBox:
    """One box in memory."""

    def __init__(self, name: str, spec: BoxSpec, home: FakeSandbox) -> None:
        self._name, self._spec, self._home = name, spec, home
        self._socket = home.socket_of(name) if spec.gateway else None
        self._areas: dict[str, dict[str, bytes]] = {root: {} for root in (WORKSPACE, *READ_ONLY)}
        self._ended, self._closed = "", False

    @property
    def id(self) -> str:
        """A name that is unique over all boxes of this machine."""
        return self._name

    @property
    def socket(self) -> Path | None:
        """Host path at which the gateway must listen for this box; None without a gateway."""
        return self._socket

    async def put(self, files: Files, root: str) -> None:
        """Put files below a root."""
        self._check_alive()
        if root not in self._areas:
            raise ValueError(f"no area {root!r} in a box")
        for path in files:
            fault = frames.crossing_fault(path)
            if fault:
                raise CandidateFault(f"path {path!r} {fault}")
        self._areas[root].update(files)

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout: float,
        output_limit: int = 1 << 20,
        more: Callable[[], float] | None = None,
        heard: Callable[[bytes], None] | None = None,
    ) -> RunResult:
        """Run one scripted program; `heard` gets its output at its end."""
        result = await self._run(argv, env, timeout, output_limit, more)
        if heard is not None and result.output:
            heard(result.output)
        return result

    async def _run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        timeout: float,
        output_limit: int,
        more: Callable[[], float] | None,
    ) -> RunResult:
        self._check_alive()
        scene = FakeRun(
            argv=tuple(argv),
            env=dict(env),
            workspace=self._areas[WORKSPACE],
            areas=self._areas,
            box=self._name,
            socket=self._socket,
        )
        start = time.monotonic()
        said = self._home.program(argv)(scene)
        try:
            result = _result(await _within(said, timeout, more) if inspect.isawaitable(said) else said)
        except TimeoutError:
            return _bounded(ran("", None, Ending.TIMEOUT), output_limit, time.monotonic() - start)
        if result.ending in {Ending.MEMORY, Ending.KILLED} and result.exit_code is None:
            self._ended = result.ending.value
        return _bounded(result, output_limit, time.monotonic() - start)

    async def take(
        self,
        globs: Sequence[str],
        *,
        without: Sequence[str] = (),
        max_files: int = 256,
        max_bytes: int = 4 << 20,
        root: str = WORKSPACE,
    ) -> Files:
        """Files of the workspace that match; a fake box has no other files."""
        self._check_alive()
        if root != WORKSPACE:
            return {}
        matches = matcher(globs)
        found = {path: content for path, content in self._left(without).items() if matches(path)}
        for path in found:
            fault = frames.crossing_fault(path)
            if fault:
                raise CandidateFault(f"{path!r} {fault}")
        if len(found) > max_files or sum(map(len, found.values())) > max_bytes:
            raise CandidateFault(f"more than {max_files} files or {max_bytes} bytes match {', '.join(globs)}")
        return found

    async def names(self, *, without: Sequence[str] = (), most: int = MOST_NAMES) -> tuple[str, ...]:
        """Paths of files of the workspace."""
        self._check_alive()
        skipped = matcher(without)
        tops = (next(filter(skipped, _and_folders(path)), path) for path in self._areas[WORKSPACE])
        files = {top if top in self._areas[WORKSPACE] else f"{top}/" for top in tops}
        return tuple(sorted(path for path in files if not skipped(path))[:most])

    def _left(self, without: Sequence[str]) -> Files:
        skipped = matcher(without)
        files = self._areas[WORKSPACE]
        return {path: body for path, body in files.items() if not any(map(skipped, _and_folders(path)))}

    async def hide(self, tests: Files, *, sealed: bool) -> None:  # noqa: ARG002 - no program changes an area
        """Put hidden tests into `/tests`."""
        await self.put(tests, "/tests")

    async def freeze(self, *, most: int) -> bytes:
        """The workspace: a fake box has no other files."""
        self._check_alive()
        frozen = frames.to_tar(self._areas[WORKSPACE])
        if len(frozen) > most:
            raise CandidateFault(f"what was changed takes more than {most} bytes")
        return frozen

    async def thaw(self, snapshot: bytes) -> None:
        """Make the workspace what another box had."""
        self._check_alive()
        try:
            found = frames.from_tar(snapshot, max_files=MOST_NAMES, max_bytes=len(snapshot))
        except frames.Malformed as error:
            raise CandidateFault(str(error)) from error
        self._areas[WORKSPACE].clear()
        self._areas[WORKSPACE].update(found)

    async def close(self) -> None:
        """Destroy the box."""
        self._closed = True
        self._home.open_boxes.discard(self._name)

    def _check_alive(self) -> None:
        if self._closed:
            raise ValueError("the box is closed")
        if self._ended:
            raise CandidateFault(f"the box is lost: {self._ended}")


def _and_folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


async def _within(said: Awaitable[Said], timeout: float, more: Callable[[], float] | None) -> Said:
    """What a program says. Raises TimeoutError when its time, extended as `more` grants, is up."""
    start, task = time.monotonic(), asyncio.ensure_future(said)
    try:
        while not task.done():
            left = start + timeout + (more() if more is not None else 0.0) - time.monotonic()
            if left <= 0:
                raise TimeoutError
            await asyncio.wait((task,), timeout=left)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))


def _result(said: Said) -> RunResult:
    return said if isinstance(said, RunResult) else ran(said or "")


def _bounded(result: RunResult, limit: int, seconds: float) -> RunResult:
    """The same cut as the runner makes: the first and the last half stay."""
    output, lost = result.output, len(result.output) - limit
    if lost > 0:
        note = b"\n[... %d bytes left out ...]\n" % lost
        output = output[: limit // 2] + note + output[len(output) - (limit - limit // 2) :]
    return replace(result, output=output, truncated=result.truncated or lost > 0, seconds=result.seconds + seconds)
