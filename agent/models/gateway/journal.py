"""A call in the journal of those under way, from its first attempt until its row is in the record."""

from __future__ import annotations

from collections.abc import Callable

from agent.base.types import Call
from agent.models.gateway.bill import Bill
from agent.models.ports import Journal


class NoJournal:
    """For runs whose record does not outlive them. Satisfies `ports.Journal`."""

    def sent(self, call: Call, number: int | None) -> int:  # noqa: ARG002 - satisfies Journal
        """Forget it."""
        return 0

    def ended(self, number: int) -> None:
        """Forget it."""


class Entry:
    """One call. `row` makes its row as it is booked if nothing more is heard of it."""

    def __init__(self, journal: Journal, row: Callable[[Bill], Call]) -> None:
        self._journal, self._row = journal, row
        self._number: int | None = None

    def sent(self, bill: Bill) -> None:
        """One more attempt is sent. Raises RecordBroken."""
        self._number = self._journal.sent(self._row(bill), self._number)

    def ended(self) -> None:
        """Its row is kept, or nothing was sent. Raises RecordBroken."""
        if self._number is not None:
            self._journal.ended(self._number)
