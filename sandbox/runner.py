"""PID 1 of every box: takes files in, runs one command, gives files out, over its stdin and stdout.

Why a candidate, which runs under the same user id, cannot touch it:

* signals from inside a PID namespace reach PID 1 only where it has a handler: its one, for SIGCHLD, only wakes it;
* it is not dumpable, so /proc/1/mem and /proc/1/fd are closed, and ptrace is denied by seccomp anyway;
* prlimit on another process is denied by seccomp, so RLIMIT_CPU cannot be used to have the kernel kill it;
* it keeps its end of the pipes to the host under close-on-exec, and starts nothing before it did so.

So PID 1 can only die by: memory (the engine says so), its own defect (EXIT_BROKEN), the host closing the pipe
(EXIT_HOST_GONE), and SIGKILL from outside.

When a command has ended, `kill(-1)` from PID 1 reaches every process of the box at once, and a fork that was under way
fails. Standard library only; a copy lies in the image.
"""

# ruff: noqa: PTH123 - pathlib would cost every box its import

from __future__ import annotations

import os
import select
import sys
import time

from sandbox import frames, workspace
from sandbox.light import become_undumpable, signal, suppress

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from typing import NoReturn

    from sandbox.carry import Carrier
    from sandbox.machine import Machine

PROBE_SOCKET = "/run/ratchet/probe.sock"
OOM_COUNTERS = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")
OOM_SCORE_OF_COMMANDS = "900"
CANNOT_START = 127
ASK_SECONDS = 5.0  # how long the host may take to say whether a command gets more time
STEP_SECONDS = 0.1  # the host is asked no more often than this
DEFAULTS = (signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD)


class Host:
    """The pipes to the host."""

    def __init__(self, inward: int, outward: int) -> None:
        self.inward, self.outward, self._decoder = inward, outward, frames.Decoder()

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Write one frame whole; the host gone is the end."""
        view = memoryview(frames.frame(kind, payload))
        try:
            while view:
                view = view[os.write(self.outward, view) :]
        except BrokenPipeError:
            os._exit(frames.EXIT_HOST_GONE)

    def pull(self) -> None:
        """Read what there is; the host gone is the end."""
        data = os.read(self.inward, frames.CHUNK)
        if not data:
            os._exit(frames.EXIT_HOST_GONE)
        self._decoder.feed(data)

    def next(self) -> tuple[bytes, bytes] | None:
        """A frame that has already arrived, if there is one."""
        return self._decoder.next(frames.tar_limit(1 << 14, frames.MAX_PUT))

    def receive(self) -> tuple[bytes, bytes]:
        """Wait for one frame."""
        while (got := self.next()) is None:
            self.pull()
        return got


class Output:
    """The first and the last half of what a command says; the first half goes to the host at once."""

    def __init__(self, host: Host, limit: int) -> None:
        self._host, self._head, self._room = host, limit // 2, limit - limit // 2
        self._tail, self._lost = bytearray(), 0

    def add(self, data: bytes) -> None:
        """Take what the command wrote."""
        if self._head:
            first, data = data[: self._head], data[self._head :]
            self._head -= len(first)
            self._host.send(frames.OUT, first)
        self._tail += data
        excess = len(self._tail) - self._room
        if excess > 0:
            self._lost += excess
            del self._tail[:excess]

    def read(self, pipe: int) -> bool:
        """Take what the command wrote to a pipe; False at the pipe's end."""
        data = os.read(pipe, frames.CHUNK)
        self.add(data)
        return bool(data)

    def finish(self) -> bool:
        """Send the rest; True if something was left out."""
        if self._lost:
            self._host.send(frames.OUT, b"\n[... %d bytes left out ...]\n" % self._lost)
        for start in range(0, len(self._tail), frames.CHUNK):
            self._host.send(frames.OUT, bytes(self._tail[start : start + frames.CHUNK]))
        return self._lost > 0


class Limit:
    """How long a command may run. The host extends it while the command runs, when asked at its end."""

    def __init__(self, host: Host, start: float, timeout: float, *, asks: bool) -> None:
        self._host, self._start, self._timeout, self._asks = host, start, timeout, asks
        self._end, self._asked = start + timeout, False

    def left(self) -> float:
        """Seconds until the command must end; at 0 the host is asked first, if it may grant more."""
        left = self._end - time.monotonic()
        if left <= 0 and self._asks and not self._asked:
            self._asked = True
            self._end = time.monotonic() + ASK_SECONDS
            self._host.send(frames.LATE)
            return ASK_SECONDS
        return left

    def extend(self, granted: bytes) -> None:
        """Take the host's answer."""
        if self._asked:
            self._asked, now = False, time.monotonic()
            end = self._start + self._timeout + frames.SECONDS.unpack(granted)[0]
            self._asks = end > now
            self._end = max(end, now + STEP_SECONDS) if self._asks else now


class Runner:
    """Serves one host until it goes.

    A box with a gateway has either a `listener`, which a forwarder in a process of its own serves, or a `carrier`. With
    a `machine` everything but this process is inside of it.
    """

    def __init__(
        self, host: Host, listener: object = None, carrier: Carrier | None = None, *, machine: Machine | None = None
    ) -> None:
        self.host, self.listener, self.carrier, self.machine = host, listener, carrier, machine
        self.forwarder = self.command = 0
        self.status: int | None = None
        self.orphans = 0
        self.wake_r, wake_w = os.pipe()
        for end in (self.wake_r, wake_w):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wake_w = wake_w

    def serve(self, ready: bytes) -> NoReturn:
        """Answer one request after the other."""
        self.host.send(frames.READY, ready)
        while True:
            kind, payload = self.host.receive()
            if kind == frames.RUN:
                self.run(**frames.read_order(payload))
            elif kind in {frames.PUT, frames.TAKE, frames.NAME, frames.HIDE, frames.FREEZE, frames.THAW}:
                self.answer(kind, payload)
            # The rest came after the command had ended: more time for it, bytes for its connections.

    def answer(self, kind: bytes, payload: bytes) -> None:
        """PUT and TAKE: whatever the file system refuses is told, not raised."""
        try:
            if self.machine is not None:
                from sandbox import errands  # noqa: PLC0415 - loaded before the machine was there

                self.host.send(*errands.inside(self.machine, kind, payload))
            elif kind == frames.PUT:
                workspace.put(payload)
                self.host.send(frames.OK)
            elif kind == frames.NAME:
                self.host.send(frames.NAMES, workspace.names(**frames.read_order(payload)))
            else:
                self.host.send(frames.FILES, workspace.take(**frames.read_order(payload)))
        except (OSError, frames.Malformed) as error:
            self.host.send(frames.FAULT, str(error).encode(errors="replace")[: frames.CHUNK])

    def run(self, argv: list[str], env: dict[str, str], timeout: float, limit: int, *, asks: bool = False) -> None:
        """Run one command to its end, then kill all it left, then answer."""
        start, ooms = time.monotonic(), oom_kills()
        output = Output(self.host, limit)
        self.status, self.orphans = None, 0
        if self.listener is not None:
            self.start_forwarder()
        out_r, out_w = os.pipe()
        self.spawn(argv, env, out_w, output)
        os.close(out_w)
        self.attend(out_r, output, Limit(self.host, start, timeout, asks=asks))
        ended = self.status is not None
        self.sweep()
        if self.carrier is not None:
            self.carrier.stop()
        elif self.listener is not None:
            from sandbox import forward  # noqa: PLC0415 - imported by `main` in a box with a gateway

            forward.forget(self.listener)  # type: ignore[arg-type]
        drain(out_r, output)
        os.close(out_r)
        code = None if not ended or self.status is None else os.waitstatus_to_exitcode(self.status)
        code = 128 - code if code is not None and code < 0 else code
        ending, truncated = "exited" if ended else "timeout", output.finish()
        if code == 128 + signal.SIGKILL and oom_kills() > ooms:
            ending = "out of memory"
        took = time.monotonic() - start
        answer = frames.ended(ending, code, truncated=truncated, seconds=took, orphans=self.orphans)
        self.host.send(frames.DONE, answer)

    def spawn(self, argv: list[str], env: dict[str, str], out: int, output: Output) -> None:
        """Start the command; one that cannot be started has ended with 127."""
        if self.machine is not None:
            self.command = self.machine.command(argv, {**os.environ, **env}, out, OOM_SCORE_OF_COMMANDS)
            return
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out, 1),
            (os.POSIX_SPAWN_DUP2, out, 2),
        ]
        whole = {**os.environ, **env}
        try:
            self.command = os.posix_spawnp(
                argv[0], argv, whole, file_actions=actions, setsid=True, setsigmask=(), setsigdef=DEFAULTS
            )
        except (OSError, ValueError) as error:
            self.command, self.status = -1, CANNOT_START << 8
            output.add(f"cannot start {argv[0]!r}: {error}\n".encode(errors="replace"))
            return
        # Best effort: under memory pressure the kernel should choose anything but PID 1.
        with suppress(OSError), open(f"/proc/{self.command}/oom_score_adj", "w") as score:
            score.write(OOM_SCORE_OF_COMMANDS)

    def start_forwarder(self) -> None:
        """Fork the process that carries bytes to the gateway; it holds no pipe to the host."""
        self.forwarder = os.fork()
        if self.forwarder:
            return
        try:
            signal.set_wakeup_fd(-1)
            for end in (self.host.inward, self.host.outward, self.wake_r, self.wake_w):
                os.close(end)
            from sandbox import forward  # noqa: PLC0415 - imported by `main` in a box with a gateway

            forward.Forwarder(self.listener, forward.GATEWAY_SOCKET).run()  # type: ignore[arg-type]
        finally:
            os._exit(1)

    def attend(self, out: int, output: Output, limit: Limit) -> None:
        """Carry output and reap children until the command ends or its time is up."""
        poll = select.poll()
        for end in (out, self.wake_r, self.host.inward):
            poll.register(end, select.POLLIN)
        if self.carrier is not None:
            self.carrier.start(poll)
        while self.status is None:
            left = limit.left()
            if left <= 0:
                return
            for end, events in poll.poll(left * 1000 + 1):
                if end != out:
                    self.event(end, events, limit)
                elif not output.read(out):
                    poll.unregister(out)

    def event(self, end: int, events: int, limit: Limit) -> None:
        """Something other than output happened while a command runs."""
        if end == self.host.inward:
            self.heed(limit)
        elif end == self.wake_r:
            self.woken()
        elif self.carrier is not None:
            self.carrier.event(end, events)

    def heed(self, limit: Limit) -> None:
        """Take what the host says while a command runs."""
        self.host.pull()
        while (got := self.host.next()) is not None:
            kind, payload = got
            if kind == frames.MORE:
                limit.extend(payload)
            elif self.carrier is not None:
                self.carrier.frame(kind, payload)

    def woken(self) -> None:
        """Children ended: reap them, and start the forwarder again if it was one of them."""
        with suppress(BlockingIOError):
            while os.read(self.wake_r, 4096):
                pass
        with suppress(ChildProcessError):
            while self.reaped(*os.waitpid(-1, os.WNOHANG)):
                pass
        if self.listener is not None and not self.forwarder and self.status is None:
            with suppress(OSError):
                self.start_forwarder()

    def reaped(self, pid: int, status: int) -> int:
        """Note who it was."""
        if pid == self.command:
            self.status = status
        elif pid == self.forwarder:
            self.forwarder = 0
        elif pid:
            self.orphans += 1
        return pid

    def sweep(self) -> None:
        """Kill and reap every other process of the box; returns when none is left."""
        while True:
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                return
            with suppress(ChildProcessError):
                while self.reaped(*os.waitpid(-1, 0)):
                    pass


def drain(out: int, output: Output) -> None:
    """Read what is still in the pipe; every process that could write to it has ended."""
    os.set_blocking(out, False)
    with suppress(BlockingIOError):
        while data := os.read(out, frames.CHUNK):
            output.add(data)


def oom_kills() -> int:
    """How many processes of this box the kernel has killed for want of memory, as far as it tells."""
    for path in OOM_COUNTERS:
        with suppress(OSError), open(path) as counters:
            for line in counters:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def gateway(host: Host) -> tuple[object, Carrier | None]:
    """The way to the gateway, bound before any candidate code exists: a listener for a forwarder, or a carrier."""
    if "--gateway" not in sys.argv:  # such a box starts faster without these imports
        return None, None
    from sandbox import forward  # noqa: PLC0415

    listener = forward.listen()
    if "--stream" not in sys.argv:
        return listener, None
    from sandbox import carry  # noqa: PLC0415

    return None, carry.Carrier(listener, host.send)


def probe() -> bytes:
    """Whether a socket of the host can be reached through the folder that is mounted here: `yes` or nothing."""
    import socket  # noqa: PLC0415 - one box of a campaign does this

    with socket.socket(socket.AF_UNIX) as sock:
        return b"yes" if sock.connect_ex(PROBE_SOCKET) == 0 else b""


def main() -> NoReturn:
    """Close every way in but the pipe to the host, then serve."""
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    become_undumpable()
    machine = None
    if "--machine" in sys.argv:
        from sandbox import errands  # noqa: PLC0415 - most boxes start faster without

        machine = errands.machine_of(sys.argv)
    host = Host(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.chdir("/" if machine else workspace.ROOT)
    os.umask(0o022)
    Runner(host, *gateway(host), machine=machine).serve(probe() if "--probe" in sys.argv else b"")


def guarded() -> NoReturn:
    """A defect of the runner must not look like anything else."""
    try:
        main()
    except BaseException:  # noqa: BLE001 - it ends here, with a code of its own
        sys.excepthook(*sys.exc_info())
        os._exit(frames.EXIT_BROKEN)


if __name__ == "__main__":
    guarded()
