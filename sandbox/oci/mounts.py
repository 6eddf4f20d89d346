"""Mounts that only one thread of this process and the programs that it starts can see.

They end with the process, however it ends, so that nothing has to be unmounted after it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_FS, CLONE_NEWNS = 0x200, 0x20000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REC, MS_SLAVE = 1, 2, 4, 16384, 1 << 19
MNT_DETACH = 2
HYBRID = Path("/sys/fs/cgroup/unified")
"""Where a machine with control groups of version 1 has those of version 2; crun refuses to run beside them."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def own_mounts() -> None:
    """Give the calling thread a mount namespace of its own; it still sees what the machine mounts later.

    Raises:
        OSError: this process may not.
    """
    _check(_LIBC.unshare(CLONE_FS | CLONE_NEWNS), "a mount namespace")
    _mount("none", "/", "", MS_REC | MS_SLAVE, "")
    if HYBRID.is_mount():
        unmount(HYBRID)


def lay(root: Path, nothing: Path, target: Path) -> None:
    """Mount a tree read-only, as a file system of its own: locks and watches on it are seen by nobody else.

    Args:
        root: the tree.
        nothing: an empty folder; the kernel wants two.
        target: where to mount it.

    Raises:
        OSError: it cannot be done.
    """
    below = ":".join(_escaped(path) for path in (nothing, root))
    _mount("overlay", str(target), "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, f"lowerdir={below}")


def unmount(target: Path) -> None:
    """Take away what is mounted there. Raises OSError."""
    _check(_LIBC.umount2(os.fsencode(target), MNT_DETACH), str(target))


def _escaped(path: Path) -> str:
    return "".join(f"\\{letter}" if letter in "\\:," else letter for letter in str(path))


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    words = [os.fsencode(word) for word in (source, target, kind)]
    _check(_LIBC.mount(*words, ctypes.c_ulong(flags), os.fsencode(options)), target)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
