"""Where load was seen: events of the machine, discarded trials, pairs in which time ran out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.kernel.record.ledger import EventRow, Ledger

LOADED: Final = "load"
"""Kind of the event about load: what the campaign saw, and what it did."""

DISCARDED: Final = "void"
"""Kind of the event that says that a trial was discarded, to be retried."""

SHOWN_EVENTS: Final = 50
_LATE: Final = re.compile(r"(\d+) of \d+ pairs of test (\d+) hit the time limit on both sides")
"""What the campaign writes down at the end of a test; only it knows the time limits of the tasks."""

_OUT_OF_TIME: Final = ("out of time", "timed out")
_PAIRS: Final = (
    "SELECT p.test, p.void_side, a.reason, b.reason FROM pairs p LEFT JOIN trials a ON a.id = p.champion_trial"
    " LEFT JOIN trials b ON b.id = p.candidate_trial ORDER BY p.test"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadRow:
    """The pairs of one test: how many, how many were discarded, and in how many time ran out on both sides or one."""

    test: int
    pairs: int
    discarded: int
    both: int
    one: int

    @property
    def seen(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.discarded or self.both or self.one)


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Load over the whole campaign. `tests` and `events` hold only those that show load, the latest events."""

    loaded: int
    discarded_trials: int
    pairs: int
    discarded_pairs: int
    both_out_of_time: int
    one_out_of_time: int
    tests: tuple[LoadRow, ...]
    events: tuple[EventRow, ...]

    @property
    def seen(self) -> bool:
        """Whether load was seen at all."""
        return bool(self.tests or self.events)


def load_of(ledger: Ledger, events: Sequence[EventRow]) -> Load:
    """Read the load of a campaign from its pairs and its `events`."""
    told = [event for event in events if event.kind in {LOADED, DISCARDED}]
    late = {int(found[2]): int(found[1]) for event in told if (found := _LATE.match(event.text))}
    tests = [_test(test, pairs, late.get(test, 0)) for test, pairs in _by_test(ledger.stream(_PAIRS)).items()]
    return Load(
        loaded=sum(event.kind == LOADED for event in told),
        discarded_trials=sum(event.kind == DISCARDED for event in told),
        pairs=sum(test.pairs for test in tests),
        discarded_pairs=sum(test.discarded for test in tests),
        both_out_of_time=sum(test.both for test in tests),
        one_out_of_time=sum(test.one for test in tests),
        tests=tuple(test for test in tests if test.seen),
        events=tuple(told[-SHOWN_EVENTS:]),
    )


Pair = tuple[str | None, str | None, str | None]
"""(side whose trial was discarded, the champion's reason, the candidate's reason)."""


def _by_test(rows: Iterable[Sequence[object]]) -> dict[int, list[Pair]]:
    found: dict[int, list[Pair]] = defaultdict(list)
    for test, *pair in rows:
        void, champion, candidate = (None if value is None else str(value) for value in pair)
        found[int(str(test))].append((void, champion, candidate))
    return found


def _test(test: int, pairs: Sequence[Pair], late_pairs: int) -> LoadRow:
    late = [_out_of_time(champion) + _out_of_time(candidate) for void, champion, candidate in pairs if void is None]
    return LoadRow(
        test=test,
        pairs=len(pairs),
        discarded=len(pairs) - len(late),
        both=max(late.count(2), late_pairs),
        one=late.count(1),
    )


def _out_of_time(reason: str | None) -> bool:
    return reason is not None and any(words in reason for words in _OUT_OF_TIME)
