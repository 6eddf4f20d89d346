"""The whole machine of a box: a root that its processes may change, in user and mount namespaces of their own.

PID 1 starts as root with a few capabilities, and before any code of a candidate it

* makes a user namespace whose ids 0 to 65535 are ids of the host that no other box has, and a mount namespace in it;
* copies the image's root into a tmpfs there, which is limited to what the image takes and `room` beyond it;
* becomes a user of its own that this namespace does not know, and gives up every capability.

It owns the namespace, so it can enter it and kill everything in it; nothing in it can reach PID 1. Whatever runs inside
has fewer capabilities than Docker's default, over its own namespace alone, and a filter that refuses mounts and
namespaces. What may not be replaced is mounted read-only: our own tools, the scaffold, the task, the hidden tests.

Standard library only; a copy lies in the image.
"""

# ruff: noqa: PTH103, PTH123 - pathlib would cost every box its import

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
import warnings  # noqa: F401 - what runs inside imports nothing: os.execvpe would import this

from sandbox import frames
from sandbox.copying import AREAS, IDS, READ_ONLY, SHARED, TESTS, TOOLS, copied
from sandbox.privileges import LIBC, become_owner, check, confine, give_up, pivot_root, traceable

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

ROOT = "/usr/lib/ratchet/root"
"""Where the new root is made; `install.py` makes the folder."""

INODES_PER_MIB = 128
WHILE_COPIED = "mode=755,size=1t,nr_inodes=1000000000"
TESTS_OPTIONS = "mode=700,size=64m,nr_inodes=8192"
"""Hidden tests are for root alone: a check may run a program of the submission as another user."""

SETTLE_SECONDS = 0.02  # what is changed after this has a later change time than everything that was copied

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 32, 4096, 16384, 1 << 19
MNT_DETACH = 2


class Machine:
    """The namespaces of a box, seen from outside. `base` is each path of the image's root with its inode."""

    def __init__(self, users: int, mounts: int, base: dict[str, int], settled: int) -> None:
        self._users, self._mounts, self.base, self.settled = users, mounts, base, settled

    def enter(self, *, trusted: bool = False) -> None:
        """Become root inside. Not `trusted`: for good, without mounts and namespaces."""
        check(LIBC.setns(self._users, CLONE_NEWUSER))
        check(LIBC.setns(self._mounts, CLONE_NEWNS))
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if not trusted:
            confine()

    def inside(self, work: Callable[[], bytes | None], most: int, *, trusted: bool = False) -> bytes:
        """What `work` returns, run inside by a process of its own.

        Raises:
            frames.Malformed: it failed, or returned more than `most` bytes.
        """
        told, tells = os.pipe()
        pid = os.fork()
        if not pid:
            self._report(work, tells, trusted=trusted)
        os.close(tells)
        answer = _read(told, most + 1)
        os.close(told)
        os.waitpid(pid, 0)
        if answer[:1] != b"+" or len(answer) > most + 1:
            raise frames.Malformed(answer[1:4096].decode(errors="replace") or "it was ended while it was read")
        return answer[1:]

    def _report(self, work: Callable[[], bytes | None], tells: int, *, trusted: bool) -> NoReturn:
        """In the process inside: one byte that says how it went, and what came of it."""
        try:
            self.enter(trusted=trusted)
            answer = b"+" + (work() or b"")
        except Exception as error:  # noqa: BLE001 - whatever a candidate left behind provokes is told
            answer = b"-" + str(error).encode(errors="replace")
        try:
            _write(tells, answer)
        finally:
            os._exit(0)

    def command(self, argv: list[str], env: dict[str, str], output: int, score: str) -> int:
        """Start a command inside; returns its pid. One that cannot be started ends with 127."""
        pid = os.fork()
        if not pid:
            self._become(argv, env, output, score)
        return pid

    def _become(self, argv: list[str], env: dict[str, str], output: int, score: str) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(source, target)
            os.setsid()
            self.enter()
            traceable()
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write(score)
            try:
                os.chdir("/workspace")
            except OSError:  # a machine may have lost it
                os.chdir("/")
            os.execvpe(argv[0], argv, env)  # noqa: S606 - the point of it
        except (OSError, ValueError) as error:
            _write(2, f"cannot start {argv[0]!r}: {error}\n".encode(errors="replace"))
        finally:
            os._exit(127)

    def hide(self, tests: Callable[[], None], *, sealed: bool) -> None:
        """Put hidden tests in place by `tests`, over what is there; sealed ones cannot be changed."""

        def work() -> None:
            _mount("tmpfs", TESTS, "tmpfs", MS_NOSUID | MS_NODEV, TESTS_OPTIONS)
            tests()
            if sealed:
                _mount("", TESTS, "", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, TESTS_OPTIONS)

        self.inside(work, 0, trusted=True)


def build(user: int, room: int) -> Machine:
    """Make the machine, and become `user`, the id below those of the machine. Needs root and `TO_BUILD`.

    Args:
        user: what PID 1 becomes; the machine's ids follow it.
        room: MiB that may be written beyond what the image holds.
    """
    ours, theirs = socket.socketpair()
    builder = os.fork()
    if not builder:
        try:
            _builder(theirs, user, room)
        finally:
            os._exit(1)
    theirs.close()
    become_owner(user)
    _expect(ours, b"namespaces")
    for kind in ("gid", "uid"):
        with open(f"/proc/{builder}/{kind}_map", "w") as table:
            table.write(f"0 {user + 1} {IDS}\n")
    for area in (*READ_ONLY, TESTS[1:]):
        os.makedirs(f"{AREAS}/{area}", exist_ok=True)
    ours.send(b"mapped")
    said, fds, _, _ = socket.recv_fds(ours, 16, 3)
    if said != b"mounted":
        raise RuntimeError("the machine of a box could not be made")
    for number in fds:
        os.set_inheritable(number, False)  # what is received is inherited, unlike what is opened
    users, mounts, root = fds
    base = copied(root, user + 1)
    os.close(root)
    ours.send(b"copied")
    _expect(ours, b"done")
    os.waitpid(builder, 0)
    give_up()
    time.sleep(SETTLE_SECONDS)
    settled = time.clock_gettime_ns(time.CLOCK_REALTIME)
    time.sleep(SETTLE_SECONDS)
    return Machine(users, mounts, base, settled)


def _builder(host: socket.socket, user: int, room: int) -> None:
    """The process that makes the namespaces and all mounts in them."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    check(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    host.send(b"namespaces")
    _expect(host, b"mapped")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _mount("", "/", "", MS_REC | MS_SLAVE)
    _mount("tmpfs", ROOT, "tmpfs", MS_NOSUID | MS_NODEV, WHILE_COPIED)
    namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "mnt")]
    socket.send_fds(host, [b"mounted"], [*namespaces, os.open(ROOT, os.O_RDONLY)])
    _expect(host, b"copied")
    _limit(room)
    _furnish()
    os.chdir(ROOT)
    pivot_root()
    check(LIBC.umount2(b".", MNT_DETACH))
    host.send(b"done")
    os._exit(0)


def _limit(room: int) -> None:
    """No more than the image takes and `room` MiB beyond it, and as many files."""
    used = os.statvfs(ROOT)
    size = (used.f_blocks - used.f_bfree) * used.f_frsize + (room << 20)
    inodes = used.f_files - used.f_ffree + room * INODES_PER_MIB
    _mount("", ROOT, "", MS_REMOUNT | MS_NOSUID | MS_NODEV, f"size={size},nr_inodes={inodes}")


def _furnish() -> None:
    """Mount what comes from outside into the new root, each where nothing inside can move or hide it."""
    for path in ("/usr", "/usr/lib"):
        # A folder that is a mount cannot be renamed, so the path to our tools always leads to them.
        _mount(ROOT + path, ROOT + path, "", MS_BIND)
    _mount(TOOLS, ROOT + TOOLS, "", MS_BIND)
    for path in SHARED:
        _mount(path, ROOT + path, "", MS_BIND | MS_REC)
    for area in READ_ONLY:
        _mount(f"{AREAS}/{area}", f"{ROOT}/{area}", "", MS_BIND)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = [os.fsencode(word) for word in (source or "none", target, kind)]
    check(LIBC.mount(*words, ctypes.c_ulong(flags), os.fsencode(options)), target)


def _expect(peer: socket.socket, word: bytes) -> None:
    if peer.recv(16) != word:
        raise RuntimeError("the machine of a box could not be made")


def _read(pipe: int, most: int) -> bytes:
    """At most so many bytes and one, to the pipe's end."""
    found = bytearray()
    while len(found) <= most and (data := os.read(pipe, frames.CHUNK)):
        found += data
    return bytes(found)


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]
