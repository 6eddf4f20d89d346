"""Reads candidates' Python in a child process: hostile source costs the child its limits, never the campaign.

It lives in the loop because it acts: it starts a process. What the process does is pure (`decide.parsing`). The child
is started with an empty environment, no site packages and no open file but its pipes, and nothing of the candidate
is run in it. Whatever goes wrong there is the candidate's fault, since a source can provoke all of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

from agent.base.errors import Refused
from agent.base.types import Files
from agent.kernel.decide import parsing
from agent.kernel.decide.parsing import Finding, Reading, Readings

WALL_SECONDS = 60.0
ANSWER_BYTES = 32 << 20
_COMMAND = (sys.executable, "-I", "-S", str(parsing.__file__))


class PythonReader:
    """Starts one child for each call of `read`, one at a time; `command` and `seconds` are for tests."""

    def __init__(self, command: Iterable[str] = _COMMAND, seconds: float = WALL_SECONDS) -> None:
        self._command, self._seconds = tuple(command), seconds
        self._alone = asyncio.Semaphore(1)

    async def read(self, *trees: Files) -> Readings:
        """How Python reads every `.py` file of some trees.

        Raises:
            Refused: the child ran out of time or memory, or died.
        """
        sources = list({body for files in trees for path, body in files.items() if path.endswith(".py")})
        if not sources:
            return {}
        async with self._alone:
            answer = await self._ask(sources)
        try:
            return dict(zip(sources, map(_reading, json.loads(answer)), strict=True))
        except (ValueError, KeyError, TypeError) as error:
            raise Refused("its Python cannot be read: the parser gave no answer") from error

    async def _ask(self, sources: list[bytes]) -> bytes:
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds):
                answer, _ = await asyncio.gather(_answer(child), _feed(child, sources))
                code = await child.wait()
        except TimeoutError:
            raise Refused(f"its Python takes longer than {self._seconds:g} s to parse") from None
        finally:
            await _end(child)
        if code < 0:
            most = f"{parsing.CPU_SECONDS} s of processor time or {parsing.MEMORY_BYTES >> 20} MiB"
            raise Refused(f"its Python takes more than {most} to parse (the parser got signal {-code})")
        if code:
            raise Refused(f"its Python cannot be read: the parser ended with code {code}")
        if len(answer) > ANSWER_BYTES:
            raise Refused("its Python cannot be read: the parser's answer is too long")
        return answer


async def _feed(child: asyncio.subprocess.Process, sources: Iterable[bytes]) -> None:
    pipe = cast("asyncio.StreamWriter", child.stdin)
    with suppress(BrokenPipeError, ConnectionResetError):  # it died: its exit code says why
        for source in sources:
            pipe.write(parsing.frame(source))
            await pipe.drain()
        pipe.close()


async def _answer(child: asyncio.subprocess.Process) -> bytes:
    pipe, answer = cast("asyncio.StreamReader", child.stdout), bytearray()
    while chunk := await pipe.read(1 << 16):
        if len(answer) <= ANSWER_BYTES:  # what is too long is read on, but not kept
            answer += chunk
    return bytes(answer)


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.kill()
    await asyncio.shield(child.communicate())  # a pipe that is not read to its end would keep the child unreaped


def _reading(answer: Mapping[str, Any]) -> Reading:
    fault = answer["fault"]
    return Reading(
        fault=None if fault is None else str(fault),
        line=int(answer["line"]),
        essence=str(answer["essence"]),
        findings=tuple(Finding(str(one["kind"]), str(one["what"]), int(one["line"])) for one in answer["findings"]),
    )
