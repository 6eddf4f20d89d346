"""Capabilities, and the filter of system calls, of what runs in a machine.

What our runner needs to make a machine, it gives up before anything of a candidate runs. Standard library only; a copy
lies in the image.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_DROP = 4, 8, 22, 24
CAP_LAST = 40
CAPABILITY_VERSION = 0x20080522
CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP = 0, 1, 3, 4, 5, 6, 7, 8
NET_BIND, AUDIT_WRITE, SETFCAP = 10, 29, 31
TO_BUILD = (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID)
"""What the container starts with."""

INSIDE = (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND, AUDIT_WRITE, SETFCAP)
"""What root has inside, over its own user namespace."""

REFUSED = {
    "x86_64": (155, 165, 166, 272, 308),
    "aarch64": (41, 40, 39, 97, 268),
    "riscv64": (41, 40, 39, 97, 268),
}
"""pivot_root, mount, umount2, unshare and setns: what the box needs before it runs anything, and nothing after."""

LIBC = ctypes.CDLL(None, use_errno=True)


def pivot_root() -> None:
    """Make the current folder, which is a mount, the root; the old one is mounted over it."""
    check(LIBC.syscall(REFUSED[os.uname().machine][0], b".", b"."))


def become_owner(user: int) -> None:
    """Change the user, and keep the capabilities that the rest of the work takes."""
    os.setgroups([])
    check(LIBC.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    capabilities(TO_BUILD)


def give_up() -> None:
    """Keep no capability."""
    capabilities(())
    check(LIBC.prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))


@contextlib.contextmanager
def file_owner(user: int) -> Iterator[None]:
    """Meanwhile, files are made as another user; afterwards as this process's own again."""
    kinds = (LIBC.setfsgid, LIBC.setfsuid)
    for kind in kinds:
        kind(user)
    try:
        yield
    finally:
        for kind in kinds:
            kind(os.geteuid())


def traceable() -> None:
    """Let this process look at itself in /proc, as execve would."""
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def confine() -> None:
    """Give up, for this process and all that it starts, what the box needs only before anything of a candidate runs."""
    for number in range(CAP_LAST + 1):
        if number not in INSIDE:
            LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    capabilities(INSIDE)
    program = _filter(REFUSED[os.uname().machine])
    kept = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
    check(LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(head), 0, 0))


def _filter(numbers: tuple[int, ...]) -> bytes:
    """A seccomp program that lets these system calls fail as not permitted, and everything else through."""
    load, equal, answer = 0x20, 0x15, 0x06
    program = struct.pack("HBBI", load, 0, 0, 0)
    for at, number in enumerate(numbers):
        program += struct.pack("HBBI", equal, len(numbers) - at, 0, number)
    allowed, refused = 0x7FFF0000, 0x00050001
    return program + struct.pack("HBBI", answer, 0, 0, allowed) + struct.pack("HBBI", answer, 0, 0, refused)


def capabilities(kept: tuple[int, ...]) -> None:
    """Make these the only capabilities."""
    bits = sum(1 << number for number in kept)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    head, sets = struct.pack("Ii", CAPABILITY_VERSION, 0), struct.pack("6I", low, low, 0, high, high, 0)
    check(LIBC.capset(ctypes.c_char_p(head), ctypes.c_char_p(sets)))


def check(result: int, what: str = "") -> None:
    """Raises OSError if a call of the C library failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
