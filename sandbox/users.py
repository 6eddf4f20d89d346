"""A user id of its own for every box: what the kernel counts per user (inotify, pipes, pending signals) is not shared.

The engine keeps ids apart: a box's container is named after its id, and the engine lets a name be used once. So no
two living boxes of one engine share an id, whichever process made them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWN = range(600_000, 1_000_000)
"""Above the ids that `adduser` and most `subuid` entries give out; within what archive formats can hold."""

OWN_OCI = range(1_000_000, 1_400_000)
"""For boxes that no engine runs, and whose names it does not keep apart from its own."""

MAPPED = range(10_000, 60_000)
"""For an engine whose containers see only 65,536 ids: rootless, or with a remapped user namespace."""

MACHINES = range(1 << 30, (1 << 31) - (1 << 17), 1 << 17)
"""For machines: each has the id and, above it, the 65,536 that its user namespace maps (see `sandbox.machine`)."""

TRIES = 50
IN_USE: Counter[int] = Counter()
"""How many living boxes of this process, over all its sandboxes, have an id."""


def users_of(info: Mapping[str, Any]) -> range:
    """The user ids that boxes of an engine may have, from the engine's `info` answer."""
    options = " ".join(map(str, info.get("SecurityOptions") or ()))
    return MAPPED if "name=userns" in options or "name=rootless" in options or not _all_mapped() else OWN


def any_user(users: range) -> int:
    """One of the ids by chance: processes that know nothing of each other rarely choose the same."""
    return random.choice(users)  # noqa: S311 - it has to differ, not to be secret


def container_name(user: int) -> str:
    """The name that keeps a user id for one container."""
    return f"ratchet-u{user}"


def _all_mapped() -> bool:
    """Whether our own user namespace knows the ids of OWN; an engine inside it can use no others."""
    try:
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").split("\n")
    except OSError:
        return True
    spans = [(int(first), int(count)) for first, _, count in (line.split() for line in lines if line.strip())]
    return any(first <= OWN.start and OWN.stop <= first + count for first, count in spans)


def ours(user: int) -> bool:
    """Whether a living box of this process has the id."""
    above = user - MACHINES.start
    return IN_USE[user - above % MACHINES.step if above >= 0 else user] > 0
