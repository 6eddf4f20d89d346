"""How many connections boxes may hold open, each and together, so that none uses up the process's descriptors.

Over its own limit a box loses its longest idle connection, or the new one if all are in use. Over the limit of all
boxes together, the box that has most loses. Connections that never send a whole request count as idle.
"""

from __future__ import annotations

import resource
from collections.abc import Hashable
from contextlib import suppress
from typing import Protocol

MAX_PER_BOX = 256
WANTED_DESCRIPTORS = 1 << 16
MACOS_DESCRIPTORS = 10_240
"""What macOS allows at most although it names no limit."""
_KEPT_FOR_OURSELVES = 256


class Connection(Protocol):
    """One open connection of a box."""

    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        ...

    def drop(self) -> None:
        """Close it at once."""
        ...


def raise_limit() -> int:
    """Raise the soft limit of open files as far as the system lets us; returns how many may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return WANTED_DESCRIPTORS
    for wanted in (WANTED_DESCRIPTORS, MACOS_DESCRIPTORS):
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with suppress(OSError, ValueError):
            if soft < most:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
                return most
    return soft


def bound(descriptors: int) -> int:
    """How many connections all boxes may hold together: half of what we do not need ourselves."""
    return max(32, (descriptors - _KEPT_FOR_OURSELVES) // 2)


class Connections:
    """The open connections of all boxes, each box's in the order of their last use."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._boxes: dict[Hashable, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._boxes.values()))

    def opened(self, box: Hashable, connection: Connection) -> None:
        """A box has connected; some connection of a box that has too many is dropped, maybe this one."""
        self._boxes.setdefault(box, {})[connection] = None
        if len(self._boxes[box]) > MAX_PER_BOX:
            self._drop_one(box)
        if len(self) > self._most:
            self._drop_one(max(self._boxes, key=lambda name: len(self._boxes[name])))

    def used(self, box: Hashable, connection: Connection) -> None:
        """A connection carries bytes, so it is not the next to go."""
        held = self._boxes.get(box, {})
        if connection in held:
            del held[connection]
            held[connection] = None

    def closed(self, box: Hashable, connection: Connection) -> None:
        """A connection is gone; more than once is fine."""
        held = self._boxes.get(box, {})
        held.pop(connection, None)
        if not held:
            self._boxes.pop(box, None)

    def _drop_one(self, box: Hashable) -> None:
        held = list(self._boxes[box])
        going = next((connection for connection in held if not connection.busy()), held[-1])
        self.closed(box, going)
        going.drop()
