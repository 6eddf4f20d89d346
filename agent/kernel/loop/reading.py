"""Reads candidates' Python in a child process: hostile source costs the child its limits, never the campaign.

It lives in the loop because it acts: it starts processes. What they do is pure (`decide.parsing`). They have an empty
environment, no site packages and no open file but their sockets, and nothing of a candidate is run in them. One answers
readings one after another (`answering`) until one of them makes it grow or ends it: the next gets a new one. Whatever
goes wrong there is the candidate's fault, since a source can provoke all of it.

Not covered: a source that takes the interpreter's own parser over could answer for the next ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.base.errors import InfrastructureError, Refused
from agent.base.types import Files
from agent.kernel.decide import parsing, weaving
from agent.kernel.decide.parsing import Finding, Reading, Readings
from agent.kernel.loop import answering

WALL_SECONDS = 60.0
ANSWER_BYTES = 32 << 20
KEPT_BYTES = 16 << 20
"""Bytes of the sources whose readings are kept: most of a patched tree was read before."""


class _Child:
    """A process that is given sources, one request at a time; `program` is a file like `decide/parsing.py`."""

    def __init__(self, program: Path, seconds: float) -> None:
        self._program, self._seconds = program, seconds
        self._alone = asyncio.Semaphore(1)
        self._live: _Process | None = None

    async def ask(self, sources: Sequence[bytes]) -> bytes:
        """What the program says of some sources.

        Raises:
            Refused: the process ran out of time or memory, or died.
            InfrastructureError: it cannot be started.
        """
        async with self._alone:
            if self._live is not None and not self._live.runs():
                self._live = None  # it was killed while nothing was asked of it: no fault of this request
            process = self._live or _Process(self._program)
            self._live = None  # it is asked again only if this request comes to its end
            try:
                async with asyncio.timeout(self._seconds):
                    answer, stays = await process.ask(sources)
                    code = 0 if answer is not None else await asyncio.to_thread(process.wait)
                self._live = process if stays else None
            except TimeoutError:
                raise Refused(f"its Python takes longer than {self._seconds:g} s to parse") from None
            finally:
                if self._live is None:
                    process.end()
        if answer is not None:
            return answer
        if code < 0:
            most = f"{answering.CPU_SECONDS} s of processor time or {answering.MEMORY_BYTES >> 20} MiB"
            raise Refused(f"its Python takes more than {most} to parse (the parser got signal {-code})")
        raise Refused(f"its Python cannot be read: the parser ended with code {code}")


class PythonReader:
    """How Python reads candidates' files; `program`, a file like `decide/parsing.py`, and `seconds` are for tests."""

    def __init__(self, program: Path = Path(parsing.__file__), seconds: float = WALL_SECONDS) -> None:
        self._child = _Child(program, seconds)
        self._known, self._size = OrderedDict[bytes, Reading](), 0

    async def read(self, *trees: Files) -> Readings:
        """How Python reads every `.py` file of some trees.

        Raises:
            Refused: the child ran out of time or memory, or died.
            InfrastructureError: it cannot be started.
        """
        sources = dict.fromkeys(body for files in trees for path, body in files.items() if path.endswith(".py"))
        known = {body: self._known[body] for body in sources if body in self._known}
        if missing := [body for body in sources if body not in known]:
            answer = await self._child.ask(missing)
            try:
                known |= dict(zip(missing, map(_reading, json.loads(answer)), strict=True))
            except (ValueError, KeyError, TypeError) as error:
                raise Refused("its Python cannot be read: the parser gave no answer") from error
        self._keep(known)
        return {body: known[body] for body in sources}

    def _keep(self, known: Readings) -> None:
        for body, reading in known.items():
            self._size += 0 if body in self._known else len(body)
            self._known[body] = reading
            self._known.move_to_end(body)
        while self._size > KEPT_BYTES:
            self._size -= len(self._known.popitem(last=False)[0])


class PythonWeaver:
    """Merges candidates' Python by definitions (`decide.weaving`); the parameters are for tests."""

    def __init__(self, program: Path = Path(weaving.__file__), seconds: float = WALL_SECONDS) -> None:
        self._child = _Child(program, seconds)

    async def weave(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        """The merge of two changed sources, or None for a conflict; what no child can merge conflicts too.

        Raises:
            InfrastructureError: the child cannot be started.
        """
        try:
            woven = json.loads(await self._child.ask([base, ours, theirs]))
        except (Refused, ValueError):
            return None
        return woven.encode() if isinstance(woven, str) else None


class _Process:
    """The process. It ends when its socket is closed, so with us."""

    def __init__(self, program: Path) -> None:
        """Raises InfrastructureError."""
        self._control, its = socket.socketpair()
        self._control.setblocking(False)
        command = (sys.executable, "-I", "-S", answering.__file__, str(program))
        try:
            with its:
                self._process = subprocess.Popen(
                    command,
                    stdin=its.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=dict[str, str](),
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            self._control.close()
            raise InfrastructureError(f"the process that parses Python cannot be started: {error}") from error
        self.end = weakref.finalize(self, _end, self._process, self._control)
        self.wait = self._process.wait

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    async def ask(self, sources: Sequence[bytes]) -> tuple[bytes | None, bool]:
        """The answer, or None if it died instead; and whether it stays for another one. Raises Refused."""
        loop = asyncio.get_running_loop()
        with suppress(BrokenPipeError, ConnectionResetError):  # it died: its exit code says why
            await loop.sock_sendall(self._control, answering.request(sources))
        answer, wanted = bytearray(), answering.HEAD_BYTES
        while len(answer) < wanted:
            try:
                chunk = await loop.sock_recv(self._control, 1 << 16)
            except ConnectionResetError:  # with some of the sources unread
                chunk = b""
            if not chunk:
                return None, False
            answer += chunk
            if wanted == answering.HEAD_BYTES <= len(answer):
                wanted += answering.size(answer)
                if wanted > ANSWER_BYTES:
                    raise Refused("its Python cannot be read: the parser's answer is too long")
        stays = bytes(answer[answering.LENGTH_BYTES : answering.HEAD_BYTES]) == answering.STAYS
        return bytes(answer[answering.HEAD_BYTES :]), stays


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """End a process and whatever it started; once it was waited for, its number may be another's."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    control.close()
    process.wait()


def _reading(answer: Mapping[str, Any]) -> Reading:
    fault = answer["fault"]
    return Reading(
        fault=None if fault is None else str(fault),
        line=int(answer["line"]),
        essence=str(answer["essence"]),
        findings=tuple(Finding(str(one["kind"]), str(one["what"]), int(one["line"])) for one in answer["findings"]),
    )
