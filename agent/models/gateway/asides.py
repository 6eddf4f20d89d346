"""Calls that no box made: preflights, probes, and questions about a parameter. They are paid for, so they are booked.

Each goes through the campaign's budget like a call of a box, and into the record under what it was for.
"""

from __future__ import annotations

import hashlib
import time
from functools import partial

from agent.base.errors import BudgetSpent
from agent.base.refusal import Aside
from agent.base.types import Call, CallRecord
from agent.config.models import ModelConfig
from agent.models.dialects import checks
from agent.models.dialects.formats import FORMATS
from agent.models.gateway import bill as billing
from agent.models.gateway.bill import Bill
from agent.models.gateway.calls import cut_off
from agent.models.gateway.journal import Entry
from agent.models.ports import OK, BadCall, Budget, Dialect, Journal, Json, Post, Trouble
from agent.models.redact import Redactor


class Asides:
    """The books for one model's calls of this kind. Satisfies `ports.Asides`."""

    def __init__(
        self,
        role: str,
        model: ModelConfig,
        *,
        record: CallRecord,
        redactor: Redactor,
        budget: Budget | None,
        journal: Journal,
    ) -> None:
        self._role, self._model, self._record = role, model, record
        self._redactor, self._budget, self._journal = redactor, budget, journal

    async def __call__(self, kind: Aside, native: Dialect, body: Json, post: Post) -> Json:
        """The answer to a request, booked.

        Raises:
            BudgetSpent: the campaign cannot pay for it.
            BadCall: the provider refused it.
            Trouble: no answer.
        """
        named = (kind, self._role, f"{self._model.provider}/{self._model.name}", "")
        entry = Entry(self._journal, partial(cut_off, *named))
        bill = await self._reserved(native, body, entry)
        started, answer = time.monotonic(), None
        bill.sent()
        try:
            answer = await post(body)
            bill.book(billing.believed(FORMATS[native].tokens, answer, bill.size))
        except BadCall:
            bill.free()
            raise
        except Trouble as error:
            bill.book(None) if error.billed else bill.free()
            raise
        finally:
            bill.close()
            bill.seconds = time.monotonic() - started
            if bill.tokens.total:
                self._record.record_call(self._row(kind, body, answer, bill))
            entry.ended()
        return answer

    async def _reserved(self, native: Dialect, body: Json, entry: Entry) -> Bill:
        request = checks.canonical(body)
        wanted = FORMATS[native].output_limit(body)
        bill = Bill(
            self._model,
            billing.size(self._model, len(request), billing.estimate(request), body, wanted),
            self._budget,
            entry.sent,
        )
        try:
            await bill.afford()
        except BadCall as error:
            raise BudgetSpent(f"{error}: not even a trivial call to {self._model.name} can be paid for") from None
        return bill

    def _row(self, kind: Aside, body: Json, answer: Json | None, bill: Bill) -> Call:
        request = checks.canonical(body)
        return Call(
            trial=kind,
            role=self._role,
            model=f"{self._model.provider}/{self._model.name}",
            key=hashlib.sha256(request).hexdigest(),
            k=0,
            answer_scope=None,
            fresh=True,
            request=self._redactor.raw(request),
            response=self._redactor.raw(checks.canonical(answer or {})),
            status=OK if answer is not None else 503,
            retries=0,
            **bill.columns(),
        )
