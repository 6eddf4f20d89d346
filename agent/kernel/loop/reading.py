"""Reads candidates' Python in a child process: hostile source costs the child its limits, never the campaign.

It lives in the loop because it acts: it starts processes. What they do is pure (`decide.parsing`). They have an empty
environment, no site packages and no open file but their sockets, and nothing of a candidate is run in them. A process
that lives on forks one child for each reading (`forking`), which has that reading to itself. Whatever goes wrong there
is the candidate's fault, since a source can provoke all of it.
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
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.base.errors import InfrastructureError, Refused
from agent.base.types import Files
from agent.kernel.decide import parsing, weaving
from agent.kernel.decide.parsing import Finding, Reading, Readings
from agent.kernel.loop import forking

WALL_SECONDS = 60.0
ANSWER_BYTES = 32 << 20
KEPT_BYTES = 16 << 20
"""Bytes of the sources whose readings are kept: most of a patched tree was read before."""


class _Child:
    """One run at a time of a program that is given sources; `program` is a file like `decide/parsing.py`."""

    def __init__(self, program: Path, seconds: float) -> None:
        self._program, self._seconds = program, seconds
        self._alone = asyncio.Semaphore(1)
        self._parent: _Parent | None = None

    async def ask(self, sources: list[bytes]) -> bytes:
        """What the program prints about some sources.

        Raises:
            Refused: the child ran out of time or memory, or died.
            InfrastructureError: it cannot be started.
        """
        async with self._alone:
            return await self._ask(sources)

    async def _ask(self, sources: list[bytes]) -> bytes:
        parent = self._parent or _Parent(self._program)
        self._parent = None  # it is not used again unless this reading comes to its end
        try:
            async with asyncio.timeout(self._seconds):
                answer, code = await parent.run(sources)
        except TimeoutError:
            raise Refused(f"its Python takes longer than {self._seconds:g} s to parse") from None
        except OSError as error:
            raise InfrastructureError(f"the process that parses Python is gone: {error}") from error
        else:
            self._parent = parent
        finally:
            if self._parent is None:
                parent.end()
        if code < 0:
            most = f"{parsing.CPU_SECONDS} s of processor time or {parsing.MEMORY_BYTES >> 20} MiB"
            raise Refused(f"its Python takes more than {most} to parse (the parser got signal {-code})")
        if code:
            raise Refused(f"its Python cannot be read: the parser ended with code {code}")
        if len(answer) > ANSWER_BYTES:
            raise Refused("its Python cannot be read: the parser's answer is too long")
        return answer


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


class _Parent:
    """The process that forks. It ends when its socket is closed, so with us."""

    def __init__(self, program: Path) -> None:
        """Raises InfrastructureError."""
        self._control, its = socket.socketpair()
        self._control.setblocking(False)
        command = (sys.executable, "-I", "-S", forking.__file__, str(program))
        try:
            with its:
                process = subprocess.Popen(
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
        self.end = weakref.finalize(self, _end, process, self._control)

    async def run(self, sources: Iterable[bytes]) -> tuple[bytes, int]:
        """What one child answers, and its exit code. Raises OSError if the parent is gone."""
        ours, its = socket.socketpair()
        with its:
            socket.send_fds(self._control, [b"1"], [its.fileno()])
        with ours:
            ours.setblocking(False)
            answer, _ = await asyncio.gather(_answer(ours), _feed(ours, b"".join(map(parsing.frame, sources))))
        line = await asyncio.get_running_loop().sock_recv(self._control, 16)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("it ended")
        return answer, int(line)


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """End a parent and what it forked."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    control.close()
    process.wait()


async def _feed(connection: socket.socket, data: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # it died: its exit code says why
        await asyncio.get_running_loop().sock_sendall(connection, data)
        connection.shutdown(socket.SHUT_WR)


async def _answer(connection: socket.socket) -> bytes:
    answer, receive = bytearray(), asyncio.get_running_loop().sock_recv
    with suppress(ConnectionResetError):  # it died with some of the sources unread
        while chunk := await receive(connection, 1 << 16):
            if len(answer) <= ANSWER_BYTES:  # what is too long is read on, but not kept
                answer += chunk
    return bytes(answer)


def _reading(answer: Mapping[str, Any]) -> Reading:
    fault = answer["fault"]
    return Reading(
        fault=None if fault is None else str(fault),
        line=int(answer["line"]),
        essence=str(answer["essence"]),
        findings=tuple(Finding(str(one["kind"]), str(one["what"]), int(one["line"])) for one in answer["findings"]),
    )
