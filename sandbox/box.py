"""One hardened container, used once; the errors of its methods say whose fault a failure is."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.base.errors import CandidateFault, SandboxDown, from_candidate
from agent.base.executable import Executable
from agent.base.types import BoxSpec, Ending, Files, RunResult
from sandbox import frames
from sandbox.areas import READ_ONLY, Areas
from sandbox.contract import SIGKILLED, State, settled
from sandbox.folders import SOCKET
from sandbox.globs import matcher
from sandbox.wire import Lost, Wire

WORKSPACE = "/workspace"
GRACE_SECONDS = 15.0
LATE_SECONDS = 3.0
TRANSFER_SECONDS = 60.0
SLOW_BYTES = 1 << 18  # a second, on a slow way to an engine elsewhere
MAX_AGE_SECONDS = 3600.0
DONE_LIMIT = 1 << 16
MOST_NAMES = 1000
NAME_ROOM = 1 << 13
# Exit codes of PID 1 that nothing inside a box can cause: host's pipe closed, and what an engine
# writes for a container whose end it did not see (0, 255), or that it stopped itself (143).
FROM_OUTSIDE = frozenset({frames.EXIT_HOST_GONE, 0, 255, 143})


class Said:
    """What a command said so far, within the limit; `heard` gets each piece as it comes."""

    def __init__(self, limit: int, heard: Callable[[bytes], None] | None) -> None:
        self.output, self._limit, self._heard = bytearray(), limit, heard

    def add(self, kind: bytes, payload: bytes) -> None:
        """Take a frame. Raises frames.Malformed if it is not output, or more than the runner may send."""
        self.output += payload
        # The runner keeps the limit, give or take its own note on what it left out.
        if kind != frames.OUT or len(self.output) > self._limit + 100:
            raise frames.Malformed("more output than was asked for")
        if self._heard is not None:
            self._heard(payload)


class DockerBox:
    """A running container whose runner is ready.

    Whose fault an end is: PID 1 of a box ignores every signal from inside its namespace, its limits cannot be
    touched, and its exit code is its own (see runner.py). So SIGKILL without the engine's out-of-memory mark
    came from outside, as did the removal of the container or the end of the engine: SandboxDown. Memory
    exhausted, and any other way for PID 1 to end, counts as the candidate's. So does SIGKILL under an engine that
    does not mark memory: a candidate that could void its trials by memory would choose which of them count.
    """

    def __init__(
        self,
        name: str,
        spec: BoxSpec,
        folder: Path,
        *,
        container: str,
        user: int,
        wire: Wire,
        areas: Areas,
        state: Callable[[], Awaitable[State]],
        withheld: Callable[[float, float], float] | None = None,
        marks_memory: bool = True,
    ) -> None:
        self._name, self._spec, self._folder, self._container = name, spec, folder, container
        self._user = user
        self._wire, self._areas, self._marks_memory = wire, areas, marks_memory
        self._state = state
        self._withheld = withheld or (lambda _start, _end: 0.0)
        self._born, self._closed = time.monotonic(), False
        self._broken: SandboxDown | CandidateFault | None = None
        self.grace = GRACE_SECONDS
        self.on_close: Callable[[DockerBox], Awaitable[None]] | None = None

    @property
    def id(self) -> str:
        """A name that is unique over all boxes of this machine."""
        return self._name

    @property
    def socket(self) -> Path | None:
        """Host path at which the gateway must listen for this box; None without a gateway."""
        return self._folder / SOCKET if self._spec.gateway else None

    @property
    def container(self) -> str:
        """The engine's id of the container."""
        return self._container

    @property
    def user(self) -> int:
        """The user id in the box."""
        return self._user

    @property
    def folder(self) -> Path:
        """The host's side of the box."""
        return self._folder

    @property
    def fresh(self) -> bool:
        """Whether the box still lives and is young enough to be handed out."""
        return not self._closed and not self._wire.ended and time.monotonic() - self._born < MAX_AGE_SECONDS

    async def put(self, files: Files, root: str) -> None:
        """Put files below `/workspace` (by the runner), or below a read-only area (past it)."""
        self._check_alive()
        if root in READ_ONLY:
            await self._areas.put(files, root)
            return
        if root != WORKSPACE:
            raise ValueError(f"no area {root!r} in a box")
        await self._transfer(frames.PUT, _packed(files), 0)

    async def hide(self, tests: Files, *, sealed: bool) -> None:
        """Put hidden tests into `/tests` of a machine."""
        self._check_alive()
        await self._transfer(frames.HIDE, (b"1" if sealed else b"0") + _packed(tests), 0)

    async def freeze(self, *, most: int) -> bytes:
        """What differs in a machine from its image; nothing here looks into it."""
        self._check_alive()
        return await self._transfer(frames.FREEZE, frames.order(most=most), most)

    async def thaw(self, snapshot: bytes) -> None:
        """Make the changes of another machine in this one."""
        self._check_alive()
        await self._transfer(frames.THAW, snapshot, 0)

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
        """Run one command in `/workspace`; then nothing of it is left. A box that dies of it is a result."""
        self._check_alive()
        await self._areas.arrive()
        start = time.monotonic()
        words = {"argv": list(argv), "env": dict(env), "timeout": timeout, "limit": output_limit}
        order = frames.order(**words, asks=more is not None)
        said = Said(output_limit, heard)
        result = await self._obey(order, timeout, said, more)
        return replace(result, pressure=self._withheld(start, time.monotonic()))

    async def _obey(self, order: bytes, timeout: float, said: Said, more: Callable[[], float] | None) -> RunResult:
        start = time.monotonic()
        with self._order():
            try:
                async with asyncio.timeout(timeout + self.grace) as limit:
                    await self._wire.send(frames.RUN, order)
                    return await self._follow(said, more, limit)
            except TimeoutError:
                if (late := await self._late(said)) is not None:
                    return late
                ending = await self._unanswered()
            except Lost:
                ending = await self._post_mortem()
            except frames.Malformed:
                ending = Ending.KILLED
        self._broken = _lost(ending.value)
        return RunResult(
            ending=ending,
            exit_code=None,
            output=bytes(said.output),
            truncated=False,
            seconds=time.monotonic() - start,
        )

    async def _late(self, said: Said) -> RunResult | None:
        """An answer that the network held up: once the engine answers, it comes too. Raises SandboxDown."""
        await self._state()
        with contextlib.suppress(TimeoutError, Lost, frames.Malformed):
            async with asyncio.timeout(LATE_SECONDS) as time_limit:
                return await self._follow(said, None, time_limit)
        return None

    @contextlib.contextmanager
    def _order(self) -> Iterator[None]:
        """While an order is under way; one that failed or was cancelled leaves the box unusable, and says why."""
        self._broken = SandboxDown(f"an order to box {self._name} was cut short")
        try:
            yield
        except (SandboxDown, CandidateFault) as error:
            self._broken = error
            raise
        self._broken = None

    async def _follow(self, said: Said, more: Callable[[], float] | None, time_limit: asyncio.Timeout) -> RunResult:
        """Collect output until the done frame; say how much more time there is when the runner asks."""
        granted, end = 0.0, time_limit.when()
        while True:
            kind, payload = await self._wire.receive(DONE_LIMIT)
            if kind == frames.DONE:
                return _result(payload, bytes(said.output))
            if kind == frames.LATE and more is not None and end is not None:
                granted = max(granted, more())
                time_limit.reschedule(end + granted)
                self._wire.post(frames.MORE, frames.SECONDS.pack(granted))
                continue
            said.add(kind, payload)

    async def take(
        self,
        globs: Sequence[str],
        *,
        without: Sequence[str] = (),
        max_files: int = 256,
        max_bytes: int = 4 << 20,
        root: str = WORKSPACE,
    ) -> Files:
        """Regular files below `root` that match a glob, checked again on this side."""
        self._check_alive()
        bounds = {"max_files": max_files, "max_bytes": max_bytes}
        order = frames.order(globs=list(globs), without=list(without), root=root, **bounds)
        limit = frames.tar_limit(max_files, max_bytes)
        payload = await self._transfer(frames.TAKE, order, limit)
        try:
            files = await asyncio.to_thread(frames.from_tar, payload, max_files=max_files, max_bytes=max_bytes)
        except frames.Malformed as error:
            raise CandidateFault(f"the submission cannot be read: {error}") from error
        matches = matcher(globs)
        return from_box({path: content for path, content in files.items() if matches(path)})

    async def names(self, *, without: Sequence[str] = (), most: int = MOST_NAMES) -> tuple[str, ...]:
        """Paths below `/workspace`, as the box says them: hostile text of bounded length."""
        self._check_alive()
        order = frames.order(without=list(without), most=most)
        return _names(await self._transfer(frames.NAME, order, most * NAME_ROOM), most)

    async def _transfer(self, kind: bytes, payload: bytes, limit: int) -> bytes:
        """One request that the runner answers at once."""
        with self._order():
            try:
                async with asyncio.timeout(TRANSFER_SECONDS + (len(payload) + limit) / SLOW_BYTES):
                    await self._wire.send(kind, payload)
                    answer, content = await self._wire.receive(max(limit, DONE_LIMIT))
            except TimeoutError:
                raise _lost((await self._unanswered()).value) from None
            except Lost:
                raise _lost((await self._post_mortem()).value) from None
            except frames.Malformed as error:
                raise _lost(str(error)) from error
            if answer not in {frames.OK, frames.FILES, frames.NAMES, frames.FAULT}:
                raise _lost("it does not keep the protocol")
        if answer == frames.FAULT:
            raise CandidateFault(content.decode(errors="replace"))
        return content

    def _check_alive(self) -> None:
        if self._closed:
            raise ValueError("the box is closed")
        if self._broken is not None:
            raise self._broken

    async def _unanswered(self) -> Ending:
        """The runner said nothing in time: the candidate starved it, unless the engine is at fault."""
        state = await self._state()
        if state.running:
            return Ending.TIMEOUT
        return await self._post_mortem()

    async def _post_mortem(self) -> Ending:
        """Why PID 1 ended. Raises SandboxDown if it was ended from outside the box."""
        state = await settled(self._state, self._name)
        code = state.code
        if state.out_of_memory or (code == SIGKILLED and not self._marks_memory):
            return Ending.MEMORY
        if code in FROM_OUTSIDE or code == SIGKILLED:
            raise SandboxDown(f"box {self._name} was ended from outside (code {code})")
        return Ending.KILLED

    async def close(self) -> None:
        """Destroy the box; the slow part runs in the background, and the sandbox waits for it when it closes."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._wire.close()
        finally:  # also when cancelled here: only this call still knows the box
            if self.on_close is not None:
                await self.on_close(self)


def _packed(files: Files) -> bytes:
    """Files as an archive. Raises CandidateFault for paths that cannot be, and for too much."""
    try:
        archive = frames.to_tar(to_box(files))
    except frames.Malformed as error:
        raise CandidateFault(str(error)) from error
    if len(archive) > frames.MAX_PUT:
        raise CandidateFault(f"more than {frames.MAX_PUT >> 20} MiB of files")
    return archive


def _lost(reason: str) -> CandidateFault:
    return CandidateFault(f"the box is lost: {reason}")


def _names(payload: bytes, most: int) -> tuple[str, ...]:
    """What a names frame says. Raises CandidateFault, whatever is wrong with it."""
    with from_candidate("the list of files"):
        return tuple(path.decode() for path in payload.split(b"\0")[:-1][:most])


def _result(payload: bytes, output: bytes) -> RunResult:
    """What a done frame says. Raises frames.Malformed, whatever is wrong with it."""
    try:
        ending, exited, code, truncated, seconds, orphans = frames.END.unpack(payload)
        return RunResult(
            ending=Ending(frames.ENDINGS[ending]),
            exit_code=code if exited else None,
            output=output,
            truncated=truncated,
            seconds=seconds,
            orphans=orphans,
        )
    except Exception as error:
        raise frames.Malformed(f"not a proper done frame: {error}") from error


def to_box(files: Files) -> Files:
    """The same files in the words of `frames`, which knows nothing of ours: it has a copy in each box."""
    return {path: frames.Executable(body) if isinstance(body, Executable) else body for path, body in files.items()}


def from_box(files: Files) -> Files:
    """The reverse of `to_box`."""
    return {path: Executable(body) if isinstance(body, frames.Executable) else body for path, body in files.items()}


def make_folder(folder: Path) -> None:
    """The host's side of a box: readable for the box's user, reachable only for us (its parent is private)."""
    try:
        for area in READ_ONLY:
            (folder / area[1:]).mkdir(parents=True)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
    except OSError as error:
        raise SandboxDown(f"cannot make the folder of a box: {error.strerror}") from error


def remove_folder(folder: Path) -> None:
    """Remove the host's side of a box."""
    shutil.rmtree(folder, ignore_errors=True)
