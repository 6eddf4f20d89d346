"""The embedded model as a provider: starts the server process, and again if a request killed it.

Several boxes share the process. When it dies, each call that was in flight is asked again alone: the one that kills
it again is to blame, and the others never notice more than a delay.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO

from agent.base.children import python_module, with_our_code
from agent.base.errors import ProviderDown
from agent.config.models import EMBEDDED_SLOTS, ModelConfig
from agent.models.ports import PROVIDER_REFUSED, Asides, BadCall, Blame, Dialect, Json, Question, Trouble, unbooked
from agent.models.providers import embedded, weights
from agent.models.providers.sdk import OpenAIProvider, Unreachable
from agent.models.redact import Redactor

_START_SECONDS = 180.0
_PROBE_SECONDS = 60.0
_PROBE_TOKENS = 8
_DEATH_SECONDS = 5.0
_PROGRAM = python_module("agent.models.providers.embedded")


class _Died(Trouble):
    """The server process ended while it worked on a call."""


class _Turns:
    """Calls run side by side; a call that may have killed the process runs alone."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._running, self._waiting = 0, 0

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting == 0)
            self._running += 1
        try:
            yield
        finally:
            await asyncio.shield(self._left())

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._running == 0)
                yield
        finally:
            self._waiting -= 1
            await asyncio.shield(self._tell())

    async def _left(self) -> None:
        self._running -= 1
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _Served(OpenAIProvider):
    """llama.cpp's server. It takes any limit, and a small machine under load needs minutes for a long answer."""

    def small(self) -> Json:
        """The parameter that keeps an answer short."""
        return {self._model.limit_field: _PROBE_TOKENS}


class EmbeddedProvider:
    """A small model on this machine, in a child process that cannot outlive this one."""

    native = Dialect.CHAT

    def __init__(self, model: ModelConfig, program: Sequence[str] = _PROGRAM, *, asides: Asides = unbooked) -> None:
        self._model, self._program, self._asides = model, program, asides
        self._turns = _Turns()
        self._key = secrets.token_urlsafe(24)
        self._client: OpenAIProvider | None = None
        self._process: Process | None = None
        self._stderr: IO[bytes] | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Start the child and wait until it can answer.

        Raises:
            UserError: the `embedded` extra or the weights are not installed.
            ProviderDown: the child did not come up.
        """
        async with self._lock:
            ended = self._process is None or self._process.returncode is not None
            # A caller that was given up while the child started left a process without a client.
            if ended or self._client is None:
                await self._stop()
                await self._spawn()

    async def ask(self, question: Question) -> Json:
        """One attempt; a child that has died is started first.

        Raises:
            BadCall: the request was refused, or brought the child down when it ran alone.
            Trouble: no answer.
        """
        try:
            async with self._turns.together():
                return await self._asked(question)
        except _Died:
            pass
        async with self._turns.alone():
            try:
                return await self._asked(question)
            except _Died as error:
                why = f"this request brought the model's process down: {error}"
                raise BadCall(400, why, code=PROVIDER_REFUSED) from error

    async def _asked(self, question: Question) -> Json:
        await self.start()
        client, process = self._client, self._process
        if client is None or process is None:
            raise Trouble("the embedded model is closed", blame=Blame.FINAL)
        try:
            return await client.ask(question)
        except Unreachable as error:
            if await _ended(process):
                raise _Died(f"{error} {self._said()}".strip()) from error
            raise

    async def probe(self) -> None:
        """A one-word question to a living child."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self.start()
                if self._client is not None:
                    await self._client.probe()
        except TimeoutError:
            await self._kill()
            raise Trouble("the embedded model hangs; it was restarted") from None

    def left_out(self, body: Json) -> tuple[str, ...]:
        """The parameters of a request that are not sent."""
        return self._client.left_out(body) if self._client is not None else ()

    async def close(self) -> None:
        """End the child."""
        async with self._lock:
            await self._stop()

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def _spawn(self) -> None:
        path = self._model.weights or await asyncio.to_thread(weights.fast)
        argv = [*self._program, "--weights", str(path)]
        argv += ["--slots", str(self._model.slots or EMBEDDED_SLOTS), "--context", str(self._model.window)]
        argv += ["--threads", str(self._model.threads or embedded.default_threads())]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child, closed in _stop
        self._process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=self._stderr,
            env=with_our_code({**embedded.THREAD_WAIT, **_without_keys(), embedded.KEY_VARIABLE: self._key}),
            start_new_session=True,
        )
        address = await self._address(self._process)
        served = self._model.model_copy(update={"model": embedded.MODEL_NAME, "base_url": address})
        self._client = _Served(served, Redactor([self._key]), asides=self._asides).connect(self._key, f"{address}/v1")

    async def _address(self, process: Process) -> str:
        if process.stdout is None:
            raise ProviderDown("the embedded model's process has no output")
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
            return str(json.loads(line)["address"])
        except (TimeoutError, ValueError):
            said = self._said()
            await self._kill()
            raise ProviderDown(f"the embedded model did not start: {said}") from None

    def _said(self) -> str:
        if self._stderr is None:
            return ""
        self._stderr.seek(0)
        return self._stderr.read()[-1000:].decode(errors="replace").strip()

    async def _stop(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
        await self._kill()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
        if process is not None:
            await process.wait()


async def _ended(process: Process) -> bool:
    """Whether a process whose connection broke has ended: the system may say so a moment later."""
    try:
        async with asyncio.timeout(_DEATH_SECONDS):
            await process.wait()
    except TimeoutError:
        return False
    return True


def _without_keys() -> dict[str, str]:
    """The environment for a child that needs no secret of ours."""
    return {name: value for name, value in os.environ.items() if not name.upper().endswith(("_KEY", "_TOKEN"))}
