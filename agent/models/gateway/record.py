"""In-memory records: for tests and short runs, and as the source of a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.base.refusal import Refusal
from agent.base.types import Call, CallRecord
from agent.models.ports import settled


class MemoryRecord:
    """A CallRecord that lives as long as the process."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.refusals: list[Refusal] = []
        self._answers: dict[tuple[str, str, int], Call] = {}

    def record_call(self, call: Call) -> None:
        """Keep one call."""
        self.calls.append(call)
        if call.answer_scope is not None and call.fresh and settled(call.status):
            self._answers.setdefault((call.answer_scope, call.key, call.k), call)

    async def kept(self) -> None:
        """Memory has no disk to wait for."""

    def record_refusal(self, refusal: Refusal) -> None:
        """Keep one refused call."""
        self.refusals.append(refusal)

    def recall(self, answer_scope: str, key: str, k: int) -> Call | None:
        """What settled the k-th occurrence of a request in an answer scope: the first answer or refusal."""
        return self._answers.get((answer_scope, key, k))


class WatchedRecord:
    """A CallRecord that tells somebody of each call and each refusal once it is kept."""

    def __init__(self, record: CallRecord, told: Callable[[Call | Refusal], object]) -> None:
        self._record, self._told = record, told

    def record_call(self, call: Call) -> None:
        """Keep one call, then tell of it."""
        self._record.record_call(call)
        self._told(call)

    async def kept(self) -> None:
        """Wait until the record is on the disk."""
        await self._record.kept()

    def record_refusal(self, refusal: Refusal) -> None:
        """Keep a refused call, then tell of it."""
        self._record.record_refusal(refusal)
        self._told(refusal)

    def recall(self, answer_scope: str, key: str, k: int) -> Call | None:
        """What settled a question, as the record has it."""
        return self._record.recall(answer_scope, key, k)


class Recording:
    """Calls of finished trials, to be answered from again: what trial X was told, in the order X asked."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._answers = {(c.trial, c.key, c.k): c for c in calls if settled(c.status)}

    def find(self, trial: str, key: str, k: int) -> Call | None:
        """The k-th answer that a trial got to a request."""
        return self._answers.get((trial, key, k))
