"""Runs hidden tests in a process that candidate code does not share: `python3 -I -m ratchet_check test_x.py`.

It runs by Ratchet's own Python, the submission by the image's if that has one. Hidden tests that import a package of
the image are loaded again by the image's Python, before any of the submission runs.

A hidden test module holds plain `test_*` functions with asserts, or unittest.TestCase classes, and says

    from ratchet_check import RemoteError, remote
    add = remote("solution.py", "add")

    def test_add():
        assert add(1, 2) == 3

`add` runs in another process; only plain data comes back, so no object of the candidate is ever compared here.
In a box, the hidden files are read into memory and deleted before that other process starts, this process
cannot be traced or looked into, and at the end it kills every other process before it writes its verdict as
JUnit XML to the path in RATCHET_JUNIT. Test modules read their data at import. Standard library only.
"""

# It runs code on purpose, takes whatever that raises, and has to start fast:
# ruff: noqa: BLE001, INP001, PLC0415, PTH108, PTH109, PTH119, PTH120, PTH122, PTH123, S102, S606, SIM105, T201

from __future__ import annotations

import os
import select
import sys
import time

from ratchet_plain import ANSWERS, CALLS, HEAD, MAX_MESSAGE, NotPlain, pack, plain, unpack, unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

CALL_SECONDS = 5.0
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
SIGKILL = 9
MESSAGE = 500
OURS, IMAGE_PYTHON = "/usr/lib/ratchet/python/bin/python3", "/usr/lib/ratchet/image_python"
START = "/usr/lib/ratchet/check.py"
CHILD_ENV = {"PATH": os.defpath, "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}  # noqa: S108


class RemoteError(Exception):
    """The candidate's function raised, hung, died, or returned something other than plain data; `type` names it."""

    def __init__(self, type: str, message: str) -> None:  # noqa: A002 - the word that test authors expect
        super().__init__(f"{type}: {message}")
        self.type, self.message = type, message


class _Child:
    """The candidate's process as the checking process sees it: started at the first call and again after it died."""

    def __init__(self) -> None:
        self.pid = self.calls = self.answers = 0
        self.count = 0
        self.ready = False

    def call(self, seconds: float, request: list[object]) -> object:
        """One call, one answer. Raises RuntimeError while the tests, which it could read, are still being loaded."""
        if not self.ready:
            raise RuntimeError("the submission is called while the tests are loaded: call it within a test")
        if not self.pid:
            self._start()
        self.count += 1
        deadline = time.monotonic() + seconds
        try:
            self._send(pack([self.count, *request]), deadline)
            reply = self._reply(deadline)
        except RemoteError:
            self.stop()
            raise
        if reply[1] == "error":
            raise RemoteError(str(reply[2]), str(reply[3]))
        try:
            return unpacked(reply[2])
        except NotPlain as error:
            raise RemoteError("ProtocolError", str(error)) from None

    def _start(self) -> None:
        theirs_in, self.calls = os.pipe()
        self.answers, theirs_out = os.pipe()
        os.set_blocking(self.calls, False)
        # Descriptors are given lowest first, so these two copies lie above the numbers that the child expects.
        spare = [os.dup(theirs_in), os.dup(theirs_out)]
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, 2, 1),
            (os.POSIX_SPAWN_DUP2, spare[0], CALLS),
            (os.POSIX_SPAWN_DUP2, spare[1], ANSWERS),
        ]
        python = _image_python() or sys.executable
        argv = [python, "-I", "-c", _serving()]
        self.pid = os.posix_spawn(python, argv, CHILD_ENV, file_actions=actions, setpgroup=0)
        for end in (theirs_in, theirs_out, *spare):
            os.close(end)

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            _wait(self.calls, deadline, write=True)
            try:
                view = view[os.write(self.calls, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise RemoteError("ProcessDied", "the process of the submission ended") from None

    def _reply(self, deadline: float) -> list[object]:
        (size,) = HEAD.unpack(self._read(HEAD.size, deadline))
        if size > MAX_MESSAGE:
            raise RemoteError("ProtocolError", "the answer is too long")
        try:
            reply = unpack(self._read(size, deadline))
        except (ValueError, RecursionError):
            reply = None
        heads = {3: [self.count, "ok"], 4: [self.count, "error"]}
        if not isinstance(reply, list) or reply[:2] != heads.get(len(reply)):
            raise RemoteError("ProtocolError", "the answer is malformed")
        return reply

    def _read(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            _wait(self.answers, deadline, write=False)
            more = os.read(self.answers, min(count - len(data), 1 << 16))
            if not more:
                raise RemoteError("ProcessDied", "the process of the submission ended")
            data += more
        return bytes(data)

    def stop(self) -> None:
        """End the process and all of its group."""
        if self.pid:
            try:
                os.killpg(self.pid, SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                pass
            os.close(self.calls)
            os.close(self.answers)
            self.pid = 0


def _serving() -> str:
    """What the submission's process does; outside of a box, its module lies where this one does."""
    start = "from ratchet_serve import serve; serve()"
    if os.environ.get("RATCHET_BOX") == "1":
        return start
    return f"import sys; sys.path.append({os.path.dirname(__file__)!r}); {start}"


def _image_python() -> str:
    """The image's own Python as it was found when the image was built; empty if there is none, or outside of a box."""
    try:
        with open(IMAGE_PYTHON) as note:
            return note.read()
    except FileNotFoundError:
        return ""


def _wait(end: int, deadline: float, *, write: bool) -> None:
    poll = select.poll()
    poll.register(end, select.POLLOUT if write else select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise RemoteError("Timeout", "the call took too long")


_child = _Child()


def remote(file: str, name: str, *, seconds: float = CALL_SECONDS) -> Callable[..., object]:
    """A function of the submission as a callable; `name` may be dotted. Each call may take `seconds`."""

    def call(*args: object, **kwargs: object) -> object:
        return _child.call(seconds, [file, name, plain(args), plain(kwargs)])

    call.__name__ = call.__qualname__ = name
    return call


def _tests(path: str, namespace: dict[str, object]) -> Iterator[tuple[str, Callable[[], object]]]:
    stem, unittest = os.path.splitext(os.path.basename(path))[0], sys.modules.get("unittest")
    for name, thing in list(namespace.items()):
        if name.startswith("test") and callable(thing) and not isinstance(thing, type):
            yield f"{stem}.{name}", thing
    for thing in list(namespace.values()):
        if unittest and isinstance(thing, type) and issubclass(thing, unittest.TestCase):
            for case in unittest.defaultTestLoader.loadTestsFromTestCase(thing):
                name = case.id().rpartition(".")[2]
                yield f"{stem}.{thing.__name__}.{name}", unittest.TestSuite([case]).debug


def _load(paths: list[str]) -> list[tuple[str, Callable[[], object]]]:
    found = []
    for path in paths:
        with open(path, "rb") as source:
            code = compile(source.read(), path, "exec", dont_inherit=True)
        module = type(sys)(os.path.splitext(os.path.basename(path))[0])
        module.__file__ = path
        sys.modules.setdefault(module.__name__, module)
        exec(code, module.__dict__)
        found += list(_tests(path, module.__dict__))
    return found


def _load_here_or_there(paths: list[str]) -> list[tuple[str, Callable[[], object]]]:
    """The tests; those that need what only the image's Python has are loaded by it, in place of this process."""
    try:
        return _load(paths)
    except (ImportError, SyntaxError):
        python = _image_python()
        if sys.executable == OURS and python:
            os.execv(python, [python, "-I", START, *paths])
        raise


def _run(test: Callable[[], object]) -> tuple[str, str] | None:
    """None if it passed, else the kind of outcome and what was said."""
    try:
        test()
    except AssertionError as error:
        return "failure", str(error) or "assertion failed"
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        kind = "skipped" if type(error).__name__ == "SkipTest" else "error"
        return kind, f"{type(error).__name__}: {error}"
    return None


def _report(outcomes: list[tuple[str, float, tuple[str, str] | None]]) -> bytes:
    count = {kind: sum(1 for _, _, o in outcomes if o and o[0] == kind) for kind in ("failure", "error", "skipped")}
    total = f'tests="{len(outcomes)}" failures="{count["failure"]}"'
    lines = [f'<testsuite name="ratchet_check" {total} errors="{count["error"]}" skipped="{count["skipped"]}">']
    for name, seconds, outcome in outcomes:
        body = f'<{outcome[0]} message="{_quoted(outcome[1])}"/>' if outcome else ""
        lines.append(f'<testcase name="{_quoted(name)}" time="{seconds:.3f}">{body}</testcase>')
    return "\n".join([*lines, "</testsuite>\n"]).encode()


def _quoted(text: str) -> str:
    kept = "".join(c if c.isprintable() else " " for c in text[:MESSAGE])
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        kept = kept.replace(char, entity)
    return kept


def _seal() -> None:
    """Close this process to others of the same user, and become the parent of whatever they abandon."""
    import ctypes

    for option, value in ((PR_SET_DUMPABLE, 0), (PR_SET_CHILD_SUBREAPER, 1)):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _alone() -> None:
    """Kill every other process of the box, and reap what PID 1 does not."""
    try:
        os.kill(-1, SIGKILL)
    except ProcessLookupError:
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _write(path: str, report: bytes) -> None:
    _remove(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
        file.write(report)


def main(paths: list[str]) -> int:
    """Run the tests in these files; 0 if all passed."""
    boxed = os.environ.get("RATCHET_BOX") == "1"
    report, hidden = os.environ.get("RATCHET_JUNIT"), os.environ.get("RATCHET_HIDDEN", "")
    if boxed:
        _seal()
    # A file of the submission must never be imported here in place of a module that a test asks for.
    sys.path[:] = [entry for entry in sys.path if entry not in {"", os.getcwd()}]
    tests = _load_here_or_there(paths)
    if boxed:
        for path in {*paths, *filter(None, hidden.split("\n"))}:
            _remove(path)
    _child.ready = True
    outcomes = []
    for name, test in tests:
        start = time.monotonic()
        outcome = _run(test)
        outcomes.append((name, time.monotonic() - start, outcome))
    _child.stop()
    if boxed:
        _alone()
    if report:
        _write(report, _report(outcomes))
    for name, _, outcome in outcomes:
        print(f"{outcome[0] if outcome else 'passed':8}{name}{': ' + outcome[1][:MESSAGE] if outcome else ''}")
    return 0 if outcomes and all(outcome is None for _, _, outcome in outcomes) else 1


def end(paths: list[str]) -> NoReturn:
    """Run the tests, and end at once, whatever threads they have left.

    Nothing of the submission is left then, and Python's own end takes as long as half of its start.
    """
    code = 1
    try:
        code = main(paths)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code)


if __name__ == "__main__":
    # The module must be one and the same for the tests that import it by name.
    sys.modules["ratchet_check"] = sys.modules["__main__"]
    end(sys.argv[1:])
