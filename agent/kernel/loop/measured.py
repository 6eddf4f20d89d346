"""The finished trials of every candidate for one purpose, in sums, and who has done best; no answer walks them all."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Container, Iterable

from agent.base.types import Purpose
from agent.kernel.record.ledger import Ledger, Tally


class Measured:
    """The trials of one candidate for one purpose in sum, and which of its indices they took."""

    __slots__ = ("_above", "_next", "total", "trials")

    def __init__(self) -> None:
        self.trials, self.total = 0, 0.0
        # All indices below `_next` are finished, and those in `_above`.
        self._next, self._above = 0, set[int]()

    @classmethod
    def of(cls, tally: Tally, indices: Callable[[], Iterable[int]]) -> Measured:
        """As the ledger knows it; `indices` is only asked if there is a hole in them."""
        known = cls()
        known.trials, known.total, known._next = tally.trials, tally.total, tally.top + 1
        if tally.trials != tally.top + 1:
            known._next = 0
            for index in indices():
                known._take(index)
        return known

    @property
    def mean(self) -> float | None:
        """The mean score; None before the first trial."""
        return self.total / self.trials if self.trials else None

    def add(self, index: int, score: float) -> None:
        """Count one finished trial."""
        self.trials, self.total = self.trials + 1, self.total + score
        self._take(index)

    def _take(self, index: int) -> None:
        self._above.add(index)
        while self._next in self._above:
            self._above.remove(self._next)
            self._next += 1

    def free(self, taken: Container[int], wanted: int = 0) -> int:
        """An index that is neither finished nor `taken`: the one that is wanted, or else the first."""
        if wanted >= self._next and wanted not in self._above and wanted not in taken:
            return wanted
        index = self._next
        while index in self._above or index in taken:
            index += 1
        return index


class Standings:
    """Candidate -> what its trials for `purpose` came to, with all candidates in the order of their mean scores."""

    def __init__(self, ledger: Ledger, purpose: Purpose, candidates: Iterable[int]) -> None:
        self.trials = 0
        """Finished trials of all candidates."""
        self._known = {candidate: Measured() for candidate in candidates}
        for tally in ledger.tallies(purpose):
            owner = tally.candidate
            self._known[owner] = Measured.of(tally, lambda owner=owner: ledger.scores(purpose, owner))  # type: ignore[misc]
            self.trials += tally.trials
        self._order = sorted(self._place(one) for one, known in self._known.items() if known.trials)

    def __getitem__(self, candidate: int) -> Measured:
        return self._known[candidate]

    def know(self, candidate: int) -> None:
        """Know a new candidate, which has no trial yet."""
        self._known[candidate] = Measured()

    def add(self, candidate: int, index: int, score: float) -> None:
        """Count one finished trial."""
        known = self._known[candidate]
        if known.trials:
            del self._order[bisect_left(self._order, self._place(candidate))]
        known.add(index, score)
        insort(self._order, self._place(candidate))
        self.trials += 1

    def best(self, count: int) -> list[int]:
        """The candidates with the highest mean scores, the earlier ones first where they are equal."""
        return [candidate for _, candidate in self._order[:count]]

    def mean(self, candidate: int) -> float | None:
        """The mean score of a candidate; None before its first trial, and for a candidate that is not known."""
        known = self._known.get(candidate)
        return None if known is None else known.mean

    def _place(self, candidate: int) -> tuple[float, int]:
        known = self._known[candidate]
        return -known.total / known.trials, candidate
