"""Draws one answer: asks the provider under the campaign's budget, and records before anybody relies on it."""

from __future__ import annotations

import asyncio
from functools import partial

from agent.base.errors import ProviderDown, RecordBroken
from agent.base.types import Call, CallRecord
from agent.models.dialects import checks, translate
from agent.models.gateway import bill as billing
from agent.models.gateway import neutral
from agent.models.gateway.answers import Flight
from agent.models.gateway.bill import Bill
from agent.models.gateway.calls import Ask, Rows
from agent.models.gateway.first import FirstAnswers
from agent.models.gateway.intake import SMALL_BYTES, misshapen
from agent.models.gateway.journal import Entry
from agent.models.gateway.session import as_shared
from agent.models.gateway.upstream import Work
from agent.models.ports import MISSHAPEN, BadCall, Budget, Journal, Json, Question, ReplaySource, Tokens, settled


class Drawing:
    """What drawing an answer takes besides the call itself."""

    def __init__(
        self,
        record: CallRecord,
        rows: Rows,
        *,
        budget: Budget | None,
        replay: ReplaySource | None,
        first: FirstAnswers,
        journal: Journal,
    ) -> None:
        self._record, self._rows, self._budget, self._replay = record, rows, budget, replay
        self._first, self._journal = first, journal

    async def draw(self, ask: Ask, sent: translate.Carried, flight: Flight) -> Call:
        """An answer, or a refusal that settles the question, once no power cut can take its row away.

        `sent` is the request in the provider's dialect.

        Raises:
            BadCall: the campaign cannot pay for it.
            BudgetSpent: it cannot even pay for finding out whose fault a failure is.
            ProviderDown: no answer.
        """
        replayed = self._replay.find(ask.scope.trial, ask.read.key, ask.k) if self._replay is not None else None
        if replayed is not None:
            return as_shared(replayed, ask.scope.trial)
        entry = Entry(self._journal, partial(self._rows.under_way, ask))
        try:
            call = await self._drawn(ask, sent, flight, Bill(ask.upstream.model, ask.size, self._budget, entry.sent))
        except RecordBroken:
            raise  # it has no row, so it stays in the journal
        except BaseException:
            entry.ended()
            raise
        entry.ended()  # it has a row: without one it would be booked a second time at the next start
        await self._record.kept()
        return call

    async def _drawn(self, ask: Ask, sent: translate.Carried, flight: Flight, bill: Bill) -> Call:
        try:
            answer = await ask.upstream.ask(self._work(ask, sent.body, flight, bill))
        except (BadCall, ProviderDown) as error:
            call = self._rows.failed(ask, sent, error, bill)
            if isinstance(error, BadCall) and bill.attempts:
                self._first.refused(ask.read.role, call.model, error)
            if settled(call.status):
                return self._recorded(call)
            if bill.attempts:
                self._recorded(call)
                if isinstance(error, BadCall):
                    error.recorded = True
            raise
        except BaseException:
            if bill.attempts:
                self._recorded(self._rows.failed(ask, sent, None, bill))
            raise
        return self._recorded(self._rows.answered(ask, sent, checks.canonical(answer), bill))

    def _work(self, ask: Ask, body: Json, flight: Flight, bill: Bill) -> Work:
        question = Question(
            body=body,
            trial=ask.scope.trial,
            answer_scope=ask.scope.answer_scope,
            key=ask.read.key,
            k=ask.k,
            headers=ask.read.headers,
        )
        return Work(question=question, flight=flight, bill=bill, accept=partial(self._accepted, ask))

    def _accepted(self, ask: Ask, raw: Json, used: Tokens | None) -> Json:
        answer = _for_boxes(ask, raw, used)
        model = ask.upstream.model
        self._first.answered(ask.read.role, f"{model.provider}/{model.name}", ask.upstream.provider.native, raw)
        return answer

    def _recorded(self, call: Call) -> Call:
        self._record.record_call(call)
        return call


def _for_boxes(ask: Ask, raw: Json, used: Tokens | None) -> Json:
    """A provider's answer as every box that asks this question gets it. Raises Trouble, or what is misshapen."""
    identity, native = neutral.identity(ask.read.key, ask.k), ask.upstream.provider.native
    shown = used or Tokens(input=ask.size.estimate, output=min(ask.size.output, billing.estimate(str(raw).encode())))
    plain = neutral.from_provider(native, raw, identity, ask.upstream.model.name, shown)
    translated = translate.answer(native, ask.read.dialect, plain, ask.read.question)
    return neutral.to_box(ask.read.dialect, translated, identity)


async def translated(ask: Ask) -> translate.Carried:
    """The request as its provider wants it, a large one away from the event loop. Raises BadCall."""
    read, model = ask.read, ask.upstream.model
    limit = billing.output_limit(model, read.wanted)
    carry = partial(translate.carry, read.dialect, ask.upstream.provider.native, read.body, model, limit)
    try:
        return carry() if len(read.request) <= SMALL_BYTES else await asyncio.to_thread(carry)
    except MISSHAPEN as error:
        raise misshapen(error) from error
