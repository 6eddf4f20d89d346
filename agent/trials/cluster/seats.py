"""Which node has room for a box: seats are given in the order in which they were asked for, as far as they fit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.base.errors import UserError
from agent.base.types import BoxSpec
from agent.trials.executor import NodeLost

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 2.0
PAIR = 2
REMEDY = "Use larger nodes, or ask less for a box (boxes.cpus, boxes.memory_mb)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What one box takes of a node: processors, bytes of memory, and custom resources by name."""

    cpus: float
    memory: int
    custom: Mapping[str, float]

    @classmethod
    def of(cls, kinds: Collection[BoxSpec], custom: Mapping[str, float]) -> Need:
        """Enough for the largest of some kinds of boxes."""
        memory = max(kind.memory_mb for kind in kinds) << 20
        return cls(cpus=max(kind.cpus for kind in kinds), memory=memory, custom=custom)

    def bundle(self, count: int = 1) -> dict[str, float]:
        """The same as Ray names it, for some boxes."""
        each = {"CPU": self.cpus, "memory": self.memory, **self.custom}
        return {name: count * amount for name, amount in each.items()}

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many boxes a node with these resources can hold."""
        return min(int(resources.get(name, 0.0) / amount) for name, amount in self.bundle().items() if amount)

    def lack(self, resources: Mapping[str, float]) -> str:
        """What a node with these resources has too little of for one box."""
        has = {name: resources.get(name, 0.0) for name in self.bundle()}
        short = [(name, amount) for name, amount in self.bundle().items() if has[name] < amount]
        return "; ".join(f"{n}: a box takes {_shown(n, amount)}, it has {_shown(n, has[n])}" for n, amount in short)

    def remedy(self, own: BoxSpec) -> str:
        """What helps where a node is too small. `own` is the campaign's box; a task may ask for more than that."""
        memory = self.memory >> 20
        cpus_key = "boxes.cpus" if self.cpus <= own.cpus else f"the largest `cpus` of a task, {self.cpus:g}"
        key = "boxes.memory_mb" if memory <= own.memory_mb else f"the largest `memory_mb` of a task, {memory}"
        return REMEDY.replace("boxes.cpus", cpus_key).replace("boxes.memory_mb", key)


def _shown(name: str, amount: float) -> str:
    return f"{amount / (1 << 20):.0f} MiB" if name == "memory" else f"{amount:g}"


def room(nodes: Collection[Mapping[str, float]], need: Need, own: BoxSpec) -> list[int]:
    """How many boxes each of some nodes could hold at a time, by their resources. `own` is the campaign's box.

    Raises:
        UserError: none has room for both sides of a pair.
    """
    found = [need.fits(node) for node in nodes]
    if max(found, default=0) < PAIR:
        memory = _shown("memory", need.memory)
        problem = (
            f"no node has room for {PAIR} boxes at a time, of which the largest takes {need.cpus:g} CPU and {memory}"
        )
        raise UserError("executor", problem, f"{need.remedy(own)}, unless the cluster adds nodes by itself")
    return found


@dataclass(eq=False, slots=True)
class Place:
    """A node with room for `total` boxes."""

    name: str
    total: int
    taken: int = 0

    @property
    def free(self) -> int:
        """Seats that nobody holds."""
        return self.total - self.taken


class Seats:
    """Room for boxes on all nodes. `patience` is how long to wait, in seconds, while there is no node at all.

    `remedy` is what the user can do if every node is too small.
    """

    def __init__(self, *, patience: float = PATIENCE_SECONDS, remedy: str = REMEDY) -> None:
        self._patience, self._remedy, self._places = patience, remedy, dict[str, Place]()
        self._waiting: deque[tuple[int, asyncio.Future[Place]]] = deque()
        self._empty_since = time.monotonic()

    @property
    def total(self) -> int:
        """Seats of all nodes."""
        return sum(place.total for place in self._places.values())

    def add(self, name: str, total: int) -> None:
        """A node is ready."""
        self._places[name] = Place(name, total)
        self._serve()

    def remove(self, name: str) -> int:
        """A node is gone; those that sit there find out for themselves. How many seats it had."""
        place = self._places.pop(name, None)
        self._empty_since = time.monotonic()
        return place.total if place is not None else 0

    @asynccontextmanager
    async def take(self, count: int = 1) -> AsyncIterator[str]:
        """Hold `count` seats of one node, whose name it gives.

        Raises:
            NodeLost: there was no node for longer than the patience.
            UserError: no node is large enough.
        """
        place = await self._seat(count)
        try:
            yield place.name
        finally:
            self._give_back(place, count)

    async def _seat(self, count: int) -> Place:
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        self._serve()
        try:
            while not turn.done():
                self._check(count)
                await asyncio.wait((turn,), timeout=LOOK_SECONDS)
        except BaseException:
            if turn.done():
                self._give_back(turn.result(), count)
            else:
                self._waiting.remove((count, turn))
                self._serve()
            raise
        return turn.result()

    def _check(self, count: int) -> None:
        if not self._places and time.monotonic() - self._empty_since > self._patience:
            raise NodeLost(f"no node of the cluster was ready for {self._patience:.0f} s")
        if self._places and all(place.total < count for place in self._places.values()):
            problem = f"no node has room for {count} boxes at a time"
            raise UserError("executor", problem, self._remedy)

    def _give_back(self, place: Place, count: int) -> None:
        place.taken -= count
        self._serve()

    def _serve(self) -> None:
        """Seat those that wait, in their order, each on the node with most room.

        That node, or every one that is large enough if all are full, is kept for one who does not fit there yet, and
        others may pass on other nodes.
        """
        kept = set[Place]()
        for count, turn in list(self._waiting):
            places = [place for place in self._places.values() if place not in kept and place.total >= count]
            best = max(places, key=lambda place: place.free, default=None)
            if best is None:
                continue
            if best.free < 1:
                kept.update(places)
                continue
            if best.free < count:
                kept.add(best)
                continue
            self._waiting.remove((count, turn))
            best.taken += count
            turn.set_result(best)
