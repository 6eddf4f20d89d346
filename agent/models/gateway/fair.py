"""Max-min fair shares of one resource between boxes: the pure core, without a clock or a loop of its own.

Each owner (a box) has a queue. A free slot goes to the owner that has the fewest calls in service; where a rate
and not the slots is scarce, to the owner that has had the least of it (start-time fair queueing: a new owner
starts at the level of the others, so nobody saves up). A ticket may wait for several owners at once, since both
sides of a pair may ask one question: it is served at the first turn of any of them.

The reserve: while several boxes are open, the last quarter of the slots and of each rate goes only to owners with
nothing in service. So a flood never makes the other side of a pair wait for more than one call.

A resource that works the slower the more it has in service, such as a model on this machine, is shared evenly: while
there are several owners, each has no more than `each` in service, also where slots are free.

Who is delayed by others (`delayed`): an owner that waits while it has less than its share of the slots; where a rate
is scarce, no more than the mean; in a pause or a hold, also a box that did not cause it. A box that asks for more than
its share waits for itself alone, and then its time runs on.
Not covered: a box that computes while a call of its own waits behind others gets the time for both.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_RECENT_SECONDS = 60.0
_TINY = 1e-9

OwnerT = TypeVar("OwnerT", bound=Hashable)


class Bucket:
    """What a rate allows: refilled continuously, `per_minute` in a minute, and full at the start."""

    def __init__(self, per_minute: float, now: float = 0.0) -> None:
        self.burst, self._rate = float(per_minute), per_minute / 60
        self._level, self._at = self.burst, now

    def level(self, now: float) -> float:
        """How much may be taken now."""
        return min(self.burst, self._level + (now - self._at) * self._rate)

    def take(self, amount: float, now: float) -> None:
        """Take it; never more than a full bucket."""
        self._level, self._at = self.level(now) - min(amount, self.burst), now

    def seconds_to(self, amount: float, now: float) -> float:
        """Seconds until the bucket holds so much, or is full."""
        return max(0.0, (min(amount, self.burst) - self.level(now)) / self._rate)


@dataclass(eq=False, slots=True)
class Ticket(Generic[OwnerT]):
    """One piece of work. `size` is in the unit of the volume rate (tokens, bytes)."""

    owners: list[OwnerT]
    size: float = 1.0
    askers: set[OwnerT] = field(init=False)
    """Everybody who ever was an owner."""
    waiting: bool = False
    payer: OwnerT | None = None
    cautious: bool = False

    def __post_init__(self) -> None:
        self.askers = set(self.owners)


@dataclass(slots=True)
class _Stand(Generic[OwnerT]):
    """One owner's part. `used` is virtual time; `recent` what it had in about the last minute."""

    queue: deque[Ticket[OwnerT]] = field(default_factory=deque)
    enrolled: bool = False
    serving: int = 0
    used: float = 0.0
    recent: float = 0.0
    recent_at: float = 0.0

    def head(self) -> Ticket[OwnerT] | None:
        """The first ticket that still waits."""
        while self.queue and not self.queue[0].waiting:
            self.queue.popleft()
        return self.queue[0] if self.queue else None

    def lately(self, now: float) -> float:
        """Recent use, fading."""
        return self.recent * math.exp((self.recent_at - now) / _RECENT_SECONDS)

    def add(self, amount: float, now: float) -> None:
        """Count something as used now."""
        self.recent, self.recent_at = self.lately(now) + amount, now


class Rates:
    """The rates of one resource, if it has any: requests, and volume in the unit of a ticket's size."""

    def __init__(self, requests: Bucket | None, volume: Bucket | None) -> None:
        self._requests = requests
        self._buckets = [bucket for bucket in (requests, volume) if bucket is not None]

    def weight(self, ticket: Ticket[OwnerT]) -> float:
        """A ticket's part of what is scarce: of the scarcer rate, or its size where no rate is set."""
        parts = [self._amount(bucket, ticket) / bucket.burst for bucket in self._buckets]
        return max(parts) if parts else ticket.size

    def scarce(self, tickets: Sequence[Ticket[OwnerT]], now: float) -> bool:
        """Whether the rates do not allow all of these tickets now."""
        return any(sum(self._amount(b, ticket) for ticket in tickets) > b.level(now) for b in self._buckets)

    def seconds_to(self, ticket: Ticket[OwnerT], now: float, reserved: float) -> float:
        """Seconds until the rates allow a ticket, with a part of each left alone; 0 if they allow it now."""
        waits = [b.seconds_to(self._amount(b, ticket) + reserved * b.burst, now) for b in self._buckets]
        longest = max(waits, default=0.0)
        return longest if longest > _TINY else 0.0

    def take(self, ticket: Ticket[OwnerT], now: float) -> None:
        """A ticket is served."""
        for bucket in self._buckets:
            bucket.take(self._amount(bucket, ticket), now)

    def _amount(self, bucket: Bucket, ticket: Ticket[OwnerT]) -> float:
        return min(1.0 if bucket is self._requests else ticket.size, bucket.burst)


class Shares(Generic[OwnerT]):
    """Decides whose turn it is. Times are in seconds on any monotonic clock."""

    def __init__(
        self, slots: int, *, requests: Bucket | None = None, volume: Bucket | None = None, each: int | None = None
    ) -> None:
        self._slots, self._rates, self._each = slots, Rates(requests, volume), each
        self._stands: dict[OwnerT, _Stand[OwnerT]] = {}
        self._serving = self._on_trial = 0
        self._virtual, self._paused, self._cautious = 0.0, 0.0, False
        self._gone: _Stand[OwnerT] = _Stand()
        self._refused: set[OwnerT] = set()
        self._culprits: list[frozenset[OwnerT]] = []

    # ------------------------------------------------------------------------ owners and tickets

    def enroll(self, owner: OwnerT) -> None:
        """An owner may ask from now on: while there are several, none may take the reserve for itself."""
        self._stand(owner).enrolled = True

    def dismiss(self, owner: OwnerT) -> None:
        """An owner asks no more."""
        self._stand(owner).enrolled = False
        self._forget(owner)

    def wait(self, ticket: Ticket[OwnerT], *, first: bool = False) -> None:
        """Queue a ticket for each of its owners; `first` for one that has been served before and comes again."""
        ticket.waiting = True
        for owner in ticket.owners:
            self._queue(ticket, owner, first=first)

    def join(self, ticket: Ticket[OwnerT], owner: OwnerT) -> None:
        """One more owner of a ticket: if it still waits, it may now also be served at this owner's turn."""
        if owner not in ticket.owners:
            ticket.owners.append(owner)
            ticket.askers.add(owner)
            if ticket.waiting:
                self._queue(ticket, owner, first=False)

    def leave(self, ticket: Ticket[OwnerT], owner: OwnerT) -> None:
        """An owner is no longer interested; a ticket that is being served stays charged to its payer."""
        if owner in ticket.owners:
            ticket.owners.remove(owner)
        stand = self._stands.get(owner)
        if stand is not None and ticket in stand.queue:
            stand.queue.remove(ticket)
        self._forget(owner)

    def abandon(self, ticket: Ticket[OwnerT]) -> None:
        """A waiting ticket is withdrawn."""
        ticket.waiting = False
        for owner in ticket.owners:
            self._forget(owner)

    def done(self, ticket: Ticket[OwnerT]) -> None:
        """A served ticket gives its slot back; more than once is fine."""
        owner, ticket.payer = ticket.payer, None
        if owner is None:
            return
        self._stand(owner).serving -= 1
        self._serving -= 1
        self._on_trial -= ticket.cautious
        ticket.cautious = False
        self._forget(owner)

    def next(self, now: float) -> Ticket[OwnerT] | None:
        """Admit the ticket whose turn it is; None if none can be served now."""
        if not self._open(now):
            return None
        for owner, stand in self._order(now):
            ticket = stand.queue[0]
            if not self._rates.seconds_to(ticket, now, self._reserved(stand)):
                return self._admit(ticket, owner, now)
            if self._rates.seconds_to(ticket, now, 0.0):
                return None  # the next one waits for the rate: if others passed it, a large call would starve
        return None

    # ------------------------------------------------------------------------ pauses

    def pause(self, until: float, refused: Collection[OwnerT]) -> None:
        """Admit nothing until then, and afterwards one ticket at a time until one does well; `refused` did not."""
        self._paused, self._cautious = max(self._paused, until), True
        self._refused.update(refused)

    def did_well(self, ticket: Ticket[OwnerT]) -> None:
        """A ticket was served well: after a pause, the full width again if it was the one that was tried."""
        if ticket.cautious:
            self.resume()

    def resume(self) -> None:
        """End a pause, and the caution after it."""
        self._paused, self._cautious = 0.0, False
        self._refused.clear()

    def hold(self, culprits: frozenset[OwnerT]) -> None:
        """Admit nothing until `release`, because of some owners; holds nest."""
        self._culprits.append(culprits)

    def release(self, culprits: frozenset[OwnerT]) -> None:
        """End one hold."""
        self._culprits.remove(culprits)

    # ------------------------------------------------------------------------ what can be seen

    @property
    def serving(self) -> int:
        """How many tickets are being served."""
        return self._serving

    def payers(self) -> set[OwnerT]:
        """The owners that have something in service."""
        return {owner for owner, stand in self._stands.items() if stand.serving}

    def wake(self, now: float) -> float | None:
        """Seconds after which time alone may have changed the answer of `next`; None if time changes nothing."""
        heads = [ticket for _, ticket in self._heads()]
        if not heads or self._culprits:
            return None
        if now < self._paused:
            return self._paused - now
        waits = [self._refill(ticket, now) for ticket in heads]
        return min((wait for wait in waits if wait > 0), default=None)

    def delayed(self, now: float) -> set[OwnerT]:
        """The owners whose tickets wait because of others."""
        waiting = {owner for owner, _ in self._heads()}
        contending = waiting | self.payers()
        if not waiting:
            return set()
        width = self._slots - (self._reserve() if self._several() else 0)
        share = min(self._most(), max(1.0, width / len(contending)))
        below = {owner for owner in waiting if self._stands[owner].serving < share}
        if self._culprits:
            return below.difference(*self._culprits)
        if self._slots_are_scarce():
            return below
        innocent = below - self._refused if self._cautious else set()
        return innocent | {owner for owner in below if self._modest(owner, now)}

    # ------------------------------------------------------------------------ the parts

    def _stand(self, owner: OwnerT) -> _Stand[OwnerT]:
        stand = self._stands.get(owner)
        if stand is None:
            stand = self._stands[owner] = _Stand(used=self._virtual)
        return stand

    def _forget(self, owner: OwnerT) -> None:
        stand = self._stands.get(owner)
        if stand is not None and not stand.enrolled and not stand.serving and stand.head() is None:
            at = max(stand.recent_at, self._gone.recent_at)
            self._gone.add(stand.lately(at), at)  # what a box has just used up is not forgotten with it
            del self._stands[owner]

    def _queue(self, ticket: Ticket[OwnerT], owner: OwnerT, *, first: bool) -> None:
        stand = self._stand(owner)
        if stand.head() is None and not stand.serving:
            stand.used = max(stand.used, self._virtual)
        if first:
            stand.queue.appendleft(ticket)
        else:
            stand.queue.append(ticket)

    def _heads(self) -> Iterator[tuple[OwnerT, Ticket[OwnerT]]]:
        for owner, stand in self._stands.items():
            if (ticket := stand.head()) is not None:
                yield owner, ticket

    def _open(self, now: float) -> bool:
        if self._culprits or now < self._paused or (self._cautious and self._on_trial):
            return False
        return self._serving < self._slots

    def _order(self, now: float) -> list[tuple[OwnerT, _Stand[OwnerT]]]:
        """The owners that may have a slot, in the order of their turns."""
        free = self._slots - self._serving
        heads = list(self._heads())
        ready = [(owner, self._stands[owner]) for owner, _ in heads]
        most = self._most()
        ready = [(owner, stand) for owner, stand in ready if free > self._kept(stand) and stand.serving < most]
        if self._rates.scarce([ticket for _, ticket in heads], now):
            return sorted(ready, key=lambda part: part[1].used)
        return sorted(ready, key=lambda part: (part[1].serving, part[1].used))

    def _several(self) -> bool:
        return sum(stand.enrolled for stand in self._stands.values()) > 1

    def _most(self) -> int:
        """Slots that one owner may have."""
        return self._each if self._each is not None and self._several() else self._slots

    def _reserve(self) -> int:
        return max(1, self._slots // 4) if self._slots > 1 else 0

    def _kept(self, stand: _Stand[OwnerT]) -> int:
        """Slots that this owner must leave free."""
        return self._reserve() if stand.serving and self._several() else 0

    def _reserved(self, stand: _Stand[OwnerT]) -> float:
        """The part of each rate that this owner must leave."""
        return 0.25 if stand.serving and self._several() else 0.0

    def _refill(self, ticket: Ticket[OwnerT], now: float) -> float:
        """Seconds until the rates allow a ticket, the reserve left alone where it must be."""
        stands = [self._stands[owner] for owner in ticket.owners if owner in self._stands]
        reserved = min((self._reserved(stand) for stand in stands), default=0.0)
        return self._rates.seconds_to(ticket, now, reserved)

    def _admit(self, ticket: Ticket[OwnerT], owner: OwnerT, now: float) -> Ticket[OwnerT]:
        stand, weight = self._stands[owner], self._rates.weight(ticket)
        stand.queue.popleft()
        ticket.waiting, ticket.payer, ticket.cautious = False, owner, self._cautious
        self._rates.take(ticket, now)
        self._virtual = max(self._virtual, stand.used)
        stand.used += weight
        stand.add(weight, now)
        stand.serving += 1
        self._serving += 1
        self._on_trial += ticket.cautious
        return ticket

    def _slots_are_scarce(self) -> bool:
        if self._cautious:
            return False
        return self._slots - self._serving <= (self._reserve() if self._several() else 0)

    def _modest(self, owner: OwnerT, now: float) -> bool:
        """Whether an owner had no more than the mean of those that use the resource; alone, it met its own limit."""
        stands = [stand for stand in self._stands.values() if stand.recent or stand.head() is not None]
        uses = [stand.lately(now) for stand in [*stands, *([self._gone] if self._gone.recent else [])]]
        return len(uses) > 1 and self._stands[owner].lately(now) <= sum(uses) / len(uses) + _TINY
