"""The gateway: opens a session per box and carries every call through the same few steps.

    read    the body, off the loop if it is large                                   intake
    hold    count the question's occurrence, reserve against the box's caps         session
    fly     one flight per question and scope; recalled if recorded                 answers
    draw    ask and record, without traces of others, before anybody relies on it   drawing, neutral, calls
    ask     a turn in the provider's fair line, attempts, blame                     upstream, line, fair, health
    book    what every attempt used, believed or bounded                            bill

A call is carried by a task of its session, and drawn by a task of the answer cache. The connection that asked only
waits: hanging up changes neither what is drawn, nor what is billed, nor what the box may ask next. A side
that gets a shared answer gets it no sooner, in its own time, than the side that paid for it did.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.base.errors import BudgetSpent, InfrastructureError, ProviderDown, RecordBroken
from agent.base.types import Call, CallRecord, CallScope
from agent.config.models import ModelsConfig
from agent.models.dialects.translate import Carried
from agent.models.gateway import bill as billing
from agent.models.gateway.answers import AnswerCache
from agent.models.gateway.asides import Asides
from agent.models.gateway.bill import OUT_OF_BUDGET
from agent.models.gateway.calls import Ask, Rows, Told, refusal
from agent.models.gateway.drawing import Drawing, translated
from agent.models.gateway.first import FirstAnswers
from agent.models.gateway.intake import Intake, Read, misshapen
from agent.models.gateway.journal import NoJournal
from agent.models.gateway.line import Line
from agent.models.gateway.listener import Listener
from agent.models.gateway.refusals import Refusals
from agent.models.gateway.session import BoxSession, as_shared
from agent.models.gateway.upstream import Upstream
from agent.models.gateway.upstreams import Upstreams
from agent.models.ports import (
    MISSHAPEN,
    NO_HEADERS,
    OK,
    Answered,
    BadCall,
    Budget,
    Dialect,
    Journal,
    Json,
    Learned,
    Provider,
    ReplaySource,
)
from agent.models.providers.parameters import MemoryLearned
from agent.models.redact import Redactor


class GatewayServer:
    """A Gateway. `providers` replaces the provider of a role, for tests and scripted demos.

    `learned` keeps which parameters models were found not to take, and `journal` which calls are under way, over
    restarts of the campaign.
    """

    def __init__(
        self,
        models: ModelsConfig,
        record: CallRecord,
        budget: Budget | None = None,
        *,
        replay: ReplaySource | None = None,
        providers: Mapping[str, Provider] | None = None,
        learned: Learned | None = None,
        journal: Journal | None = None,
        seed: int = 0,
    ) -> None:
        self.models = models
        self.redactor = Redactor(_keys(models))
        self._record, self._seed = record, seed
        self._learned, journal = learned or MemoryLearned(), journal or NoJournal()
        self._upstreams = Upstreams(
            models,
            providers or {},
            self.redactor,
            self._learned,
            partial(Asides, record=record, redactor=self.redactor, budget=budget, journal=journal),
        )
        self._sessions: set[BoxSession] = set()
        self._judging: set[asyncio.Task[None]] | None = set()
        self._intake, self._answers = Intake(models), AnswerCache(record)
        self._drawing = Drawing(
            record,
            Rows(self.redactor),
            budget=budget,
            replay=replay,
            first=FirstAnswers(self._learned),
            journal=journal,
        )
        self._refusals = Refusals(record, self.redactor)
        self._listener = Listener(self)

    async def __aenter__(self) -> Self:
        """Check the keys and make every provider ready.

        Raises:
            UserError: a key, an extra or a script is missing.
        """
        self.models.check_keys()
        await self._upstreams.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every session without judging it, then flights that nobody waits for, then the providers."""
        judging, self._judging = self._judging or set(), None
        for task in judging:
            task.cancel()
        for session in list(self._sessions):
            await session.close()
        await self._answers.close()
        await self._upstreams.close()

    async def open(self, socket: Path, scope: CallScope) -> BoxSession:
        """Listen at `socket` for one box.

        Raises:
            UserError: the scope names a role that is not configured.
            InfrastructureError: the socket cannot be made.
        """
        for role in scope.models.values():
            self.models.of(role)
        session = BoxSession(scope, self._shut)
        await self._listener.open(socket, session)
        self._sessions.add(session)
        for line in self._lines(scope):
            line.enroll(session.clock)
        return session

    def trouble(self, *roles: str) -> str | None:
        """Why the campaign should pause: the providers that are down, of these roles or of all; None if they are up."""
        down = [str(up.health.down) for up in self._upstreams.all(roles or None) if up.health.down is not None]
        return self.redactor.text("; ".join(dict.fromkeys(down))) or None

    async def ready(self) -> None:
        """Wait until no provider is down.

        Raises:
            OutOfService: waiting will not help, as where a provider does not accept its key.
        """
        for upstream in self._upstreams.all():
            await upstream.health.ready()

    def upstreams(self, role: str) -> tuple[Upstream, ...]:
        """The running models of a role."""
        return self._upstreams.of(role)

    # ---------------------------------------------------------------- what the HTTP side calls

    def catalogue(self, session: BoxSession) -> list[Json]:
        """What `/v1/models` tells a box: its aliases, and the context window where it is known."""
        listed: list[Json] = []
        for alias, role in session.scope.models.items():
            windows = [model.window for model in self.models.of(role)]
            entry: Json = {"id": alias, "object": "model", "created": 0, "owned_by": "ratchet"}
            known = [window for window in windows if window is not None]
            if len(known) == len(windows):
                entry["context_window"] = min(known)
            listed.append(entry)
        return listed

    def redacted(self, text: str) -> str:
        """The text without keys."""
        return self.redactor.text(text)

    async def call(
        self,
        session: BoxSession,
        dialect: Dialect,
        raw: bytes,
        headers: Mapping[str, str] = NO_HEADERS,
        accepted: Callable[[Json], None] = lambda _: None,
    ) -> Answered:
        """One call of one box, as its body came over the wire, with its headers in small letters.

        `accepted` is told the body once it is read and within the box's caps.

        Raises:
            BadCall: the box may not make this call, or made it wrong.
            InfrastructureError: no answer; the session keeps the fault.
        """
        read = await self._intake.read(session.clock, session.scope.models, dialect, raw, headers)
        if session.closed:
            raise BadCall(403, "this box is over", code="deadline_exceeded")
        try:
            ask = self._named(session, read)
        except MISSHAPEN as error:
            raise misshapen(error) from error
        session.hold(read.key, ask.size.tokens, ask.size.worth)
        accepted(read.body)
        told = await _within_deadline(session, session.start(self._carried(session, ask)))
        if told.call.status != OK:
            raise refusal(told.call)
        return Answered(body=json.loads(told.call.response), asked=read.body, left_out=told.left_out)

    async def count(self, session: BoxSession, raw: bytes) -> int:
        """About how many tokens a prompt has; no provider is asked. Raises BadCall."""
        return await self._intake.count(session.clock, session.scope.models, raw)

    def refused(self, session: BoxSession, path: str, error: BadCall) -> None:
        """Keep a refusal with its reason, unless the record has it as a call."""
        if not error.recorded:
            try:
                self._refusals.add(session, path, error)
            except RecordBroken as broken:
                session.blame(broken)

    # ---------------------------------------------------------------- the steps

    def _named(self, session: BoxSession, read: Read) -> Ask:
        """Which occurrence of which question for which model this is. Raises BadCall."""
        k = session.occurrences(read.key)
        scope = session.scope
        upstream = self._upstreams.choose(read.role, f"{self._seed}/{scope.answer_scope or scope.trial}/{read.key}/{k}")
        length, wanted = len(read.request), read.wanted
        size = billing.size(upstream.model, length, read.tokens, read.body, wanted, answers=read.answers)
        return Ask(read=read, scope=scope, k=k, upstream=upstream, size=size)

    async def _carried(self, session: BoxSession, ask: Ask) -> Told:
        """The call as it stands in this trial's books, and in the session's."""
        session.pending.add(ask.name)
        try:
            sent = await translated(ask)
            call, retried = await self._recalled_or_drawn(session, ask, sent)
            session.count(call, retried=retried)
            left_out = ask.left_out(sent)
            self._learned.note(call.model, left_out)
        except asyncio.CancelledError:
            session.abandon(ask.size.most.total, ask.size.dollars)
            raise
        except BadCall as error:
            session.charge(0, 0.0)
            session.out_of_budget |= error.code == OUT_OF_BUDGET
            raise
        except BudgetSpent as error:
            session.out_of_budget = True
            raise BadCall(403, str(error).partition(":")[0], code=OUT_OF_BUDGET) from error
        except (ProviderDown, RecordBroken) as error:
            session.blame(error)
            raise
        except Exception as error:  # a client that hung up would not let the HTTP side see it
            session.blame(InfrastructureError(f"a defect of the gateway: {type(error).__name__}"))
            raise
        finally:
            session.pending.discard(ask.name)
            session.release(ask.size.tokens, ask.size.worth)
        return Told(call=call, left_out=left_out)

    async def _recalled_or_drawn(self, session: BoxSession, ask: Ask, sent: Carried) -> tuple[Call, bool]:
        """The call in this trial's books, and whether it took more than one attempt to draw it."""
        asked_at = session.clock.own()
        draw = partial(self._drawing.draw, ask, sent)
        call, mine = await self._answers.settle(
            ask.name, session.clock, ask.upstream.line, ask.size.tokens, draw, shared=ask.scope.answer_scope is not None
        )
        retried = call.retries > 0
        if mine:
            return call, retried
        await session.clock.reach(asked_at + call.seconds)
        shared = replace(as_shared(call, ask.scope.trial), left_out=ask.left_out(sent))
        self._record.record_call(shared)
        await self._record.kept()
        return shared, retried

    # ---------------------------------------------------------------- opening and shutting

    def _lines(self, scope: CallScope) -> list[Line]:
        """Every line in which a box may have to wait."""
        return [*self._intake.lines, *(upstream.line for upstream in self._upstreams.all(scope.models.values()))]

    async def _shut(self, session: BoxSession) -> None:
        if self._judging is not None:
            self._judging.add(task := asyncio.ensure_future(self._judge(session)))
            task.add_done_callback(self._judging.discard)
            await asyncio.wait([task])
        await self._listener.close(session)
        await session.give_up()
        self._answers.leave(session.clock)
        try:
            self._refusals.close(session)
        except RecordBroken as error:
            session.blame(error)
        for line in self._lines(session.scope):
            line.dismiss(session.clock)
        self._sessions.discard(session)

    async def _judge(self, session: BoxSession) -> None:
        """A box that ends while its provider is failing: an outage is never scored, and what it provoked is none."""
        for upstream in self._upstreams.all():
            try:
                trouble = await upstream.judge(session.pending) if session.fault is None else None
            except BudgetSpent:
                session.out_of_budget, trouble = True, None
            if trouble is not None:
                session.blame(trouble)


async def _within_deadline(session: BoxSession, task: asyncio.Task[Told]) -> Told:
    """The call, if it ends before the box's time does; it is carried to its end in any case.

    Raises:
        BadCall: the box's time is over.
    """
    while not task.done():
        left = session.remaining()
        if left is not None and left <= 0:
            raise BadCall(408, "this box's time ran out during the call", code="deadline_exceeded")
        await asyncio.wait((task,), timeout=left)
    if task.cancelled():
        raise BadCall(403, "this box is over", code="deadline_exceeded")
    return task.result()


def _keys(models: ModelsConfig) -> list[str]:
    names = {model.key_env for model in models.all() if model.key_env}
    return [os.environ[name] for name in sorted(names) if os.environ.get(name)]
