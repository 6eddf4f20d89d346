"""A git process that lives on and answers one request after another: to start one costs more than what it is asked."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

from agent.base.errors import RecordBroken
from agent.base.text import clean_line

T = TypeVar("T")
_WORDS = 300


class Lasting:
    """Started at its first request, again when it has died, and ended with this object; any thread may ask.

    `name` is what it is called in errors, `folder` where it runs, `env` all of its environment.

    A process whose answer was not read to its end, for whatever reason, is ended: the next request gets a new one.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self._name, self._command, self._folder, self._env = name, command, folder, env
        self._lock = threading.Lock()
        self._live: _Process | None = None

    def ask(self, request: bytes, read: Callable[[IO[bytes]], T]) -> T:
        """Send a request, and read its answer; `read` raises EOFError where that ends too early.

        A request may be sent twice, so it must not matter. It must fit into a pipe (64 KiB) if git answers before it
        has read all of it.

        Raises:
            RecordBroken: git says so, or it cannot be run.
        """
        with self._lock:
            if self._live is not None:
                try:
                    return self._asked(self._live, request, read)
                except RecordBroken:
                    pass  # it may have been killed since the last request: once more, by a new one
            return self._asked(self._started(), request, read)

    def _started(self) -> _Process:
        try:
            self._live = _Process(self._command, self._folder, self._env)
        except OSError as fault:
            raise RecordBroken(f"git cannot be run: {fault}") from fault
        return self._live

    def _asked(self, process: _Process, request: bytes, read: Callable[[IO[bytes]], T]) -> T:
        try:
            return process.ask(request, read)
        except BaseException as fault:
            self._live = None
            said = process.end()
            if isinstance(fault, OSError | EOFError):
                raise RecordBroken(f"git {self._name} failed: {said or fault}") from fault
            raise


class _Process:
    """One such process. Ctrl-C in a terminal does not reach it; it ends when its input ends, so with us."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process; a pipe could fill up
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _end, self._process, self._errors)

    def ask(self, request: bytes, read: Callable[[IO[bytes]], T]) -> T:
        if self._process.stdin is None or self._process.stdout is None:
            raise EOFError
        self._process.stdin.write(request)
        self._process.stdin.flush()
        return read(self._process.stdout)

    def end(self) -> str:
        """Make an end of it; returns the last of what it said."""
        return str(self._end() or "")


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    process.kill()
    process.communicate()
    errors.seek(0)
    said = clean_line(errors.read().decode(errors="replace"))[-_WORDS:]
    errors.close()
    return said


def line(out: IO[bytes]) -> bytes:
    """One line of an answer, without its end. Raises EOFError."""
    found = out.readline()
    if not found.endswith(b"\n"):
        raise EOFError("it ended")
    return found[:-1]


def exactly(out: IO[bytes], size: int) -> bytes:
    """So many bytes of an answer. Raises EOFError."""
    found = out.read(size)
    if len(found) != size:
        raise EOFError("it ended")
    return found
