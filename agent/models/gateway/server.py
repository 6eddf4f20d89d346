"""The gateway: opens a session per box and carries every call through the same few steps.

    read    the body, off the loop if it is large                                   intake
    hold    count the question's occurrence, reserve against the box's caps         session
    fly     one flight per question and scope; recalled if recorded     answers
    ask     a turn in the provider's fair line, attempts, blame                     upstream, line, fair, health
    book    what every attempt used, believed or bounded                            bill
    record  the answer without traces of others, before anybody relies on it       neutral, calls

A call is carried by a task of its session, and drawn by a task of the answer cache. The connection that asked only
waits: hanging up changes neither what is drawn, nor what is billed, nor what the box may ask next. A side
that gets a shared answer gets it no sooner, in its own time, than the side that paid for it did.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.base.errors import InfrastructureError, ProviderDown, RecordBroken
from agent.base.types import Call, CallRecord, CallScope
from agent.config.models import ModelConfig, ModelsConfig
from agent.models.dialects import checks, translate
from agent.models.gateway import bill as billing
from agent.models.gateway import neutral
from agent.models.gateway.answers import AnswerCache, Flight
from agent.models.gateway.bill import OUT_OF_BUDGET, Bill
from agent.models.gateway.calls import Ask, Rows, Told, refusal
from agent.models.gateway.intake import NO_HEADERS, SMALL_BYTES, Intake, Read, misshapen
from agent.models.gateway.line import Line
from agent.models.gateway.listener import Listener
from agent.models.gateway.session import BoxSession, as_shared
from agent.models.gateway.upstream import Upstream, Work
from agent.models.ports import (
    MISSHAPEN,
    OK,
    Answered,
    BadCall,
    Budget,
    Dialect,
    Json,
    Learned,
    Provider,
    Question,
    ReplaySource,
    Tokens,
    settled,
)
from agent.models.providers.build import build
from agent.models.providers.parameters import MemoryLearned
from agent.models.redact import Redactor


class GatewayServer:
    """A Gateway. `providers` replaces the provider of a role, for tests and scripted demos."""

    def __init__(
        self,
        models: ModelsConfig,
        record: CallRecord,
        budget: Budget | None = None,
        *,
        replay: ReplaySource | None = None,
        providers: Mapping[str, Provider] | None = None,
        seed: int = 0,
        learned: Learned | None = None,
    ) -> None:
        self.models = models
        self.redactor = Redactor(_keys(models))
        self._record, self._budget, self._replay, self._seed = record, budget, replay, seed
        self._providers, self._learned = dict(providers or {}), learned or MemoryLearned()
        self._upstreams: dict[str, tuple[Upstream, ...]] = {}
        self._sessions: set[BoxSession] = set()
        self._intake, self._rows = Intake(models), Rows(self.redactor)
        self._answers = AnswerCache(record)
        self._listener = Listener(self)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Check the keys and make every provider ready.

        Raises:
            UserError: a key, an extra or a script is missing.
        """
        self.models.check_keys()
        async with AsyncExitStack() as stack:
            shared: dict[ModelConfig, Upstream] = {}
            for role in self.models.roles:
                self._upstreams[role] = tuple(
                    [await self._upstream(role, model, shared, stack) for model in self.models.of(role)]
                )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every session, then the flights that nobody waits for any more, then the providers."""
        for session in list(self._sessions):
            await session.close()
        await self._answers.close()
        await self._stack.aclose()

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

    def trouble(self) -> str | None:
        """Why the campaign should pause: the providers that are down; None if all are up."""
        down = [str(up.health.down) for up in self._all() if up.health.down is not None]
        return self.redactor.text("; ".join(dict.fromkeys(down))) or None

    async def ready(self) -> None:
        """Wait until no provider is down.

        Raises:
            KeyRefused: a provider does not accept its key; waiting will not help.
        """
        for upstream in self._all():
            await upstream.health.ready()

    def upstreams(self, role: str) -> tuple[Upstream, ...]:
        """The running models of a role."""
        return self._upstreams[role]

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
        self, session: BoxSession, dialect: Dialect, raw: bytes, headers: Mapping[str, str] = NO_HEADERS
    ) -> Answered:
        """One call of one box, as its body came over the wire, with its headers in small letters.

        Raises:
            BadCall: the box may not make this call, or made it wrong.
            InfrastructureError: no answer; the session keeps the fault.
        """
        read = await self._intake.read(session.clock, session.scope.models, dialect, raw, headers)
        if session.closed:
            raise BadCall(403, "this box is over", code="deadline_exceeded")
        ask = self._named(session, read)
        session.hold(read.key, ask.size.tokens, ask.size.worth)
        told = await _within_deadline(session, session.start(self._carried(session, ask)))
        if told.call.status != OK:
            raise refusal(told.call)
        return Answered(body=json.loads(told.call.response), asked=read.body, left_out=told.left_out)

    async def count(self, session: BoxSession, raw: bytes) -> int:
        """About how many tokens a prompt has; no provider is asked. Raises BadCall."""
        return await self._intake.count(session.clock, session.scope.models, raw)

    # ---------------------------------------------------------------- the steps

    def _named(self, session: BoxSession, read: Read) -> Ask:
        """Which occurrence of which question for which model this is."""
        k = session.occurrences(read.key)
        scope = session.scope
        upstream = self._choose(read.role, f"{self._seed}/{scope.answer_scope or scope.trial}/{read.key}/{k}")
        size = billing.size(upstream.model, len(read.request), read.tokens, read.body, read.wanted)
        return Ask(read=read, scope=scope, k=k, upstream=upstream, size=size)

    def _choose(self, role: str, name: str) -> Upstream:
        """One of the role's models by weight; the same for the same call on both sides of a pair."""
        upstreams = self._upstreams[role]
        if len(upstreams) == 1:
            return upstreams[0]
        point = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
        point *= sum(up.model.weight for up in upstreams)
        for upstream in upstreams:
            point -= upstream.model.weight
            if point < 0:
                return upstream
        return upstreams[-1]

    async def _carried(self, session: BoxSession, ask: Ask) -> Told:
        """The call as it stands in this trial's books, and in the session's."""
        session.pending.add(ask.name)
        try:
            sent = await _translated(ask)
            call = await self._recalled_or_drawn(session, ask, sent.body)
            session.count(call)
            left_out = (*sent.left_out, *ask.upstream.provider.left_out(sent.body))
            self._learned.note(call.model, left_out)
        except BadCall as error:
            session.charge(0, 0.0)
            session.out_of_budget |= error.code == OUT_OF_BUDGET
            raise
        except (ProviderDown, RecordBroken) as error:
            session.blame(error)
            raise
        except Exception as error:  # a client that hung up would not let the HTTP side see it
            session.blame(InfrastructureError(f"a defect of the gateway: {type(error).__name__}"))
            raise
        finally:
            session.pending.discard(ask.name)
            session.release(ask.size.tokens, ask.size.worth)
        return Told(call=call, left_out=tuple(dict.fromkeys(left_out)))

    async def _recalled_or_drawn(self, session: BoxSession, ask: Ask, body: Json) -> Call:
        asked_at = session.clock.own()
        call = self._answers.recalled(ask.name) if ask.scope.answer_scope is not None else None
        if call is None:
            flight, mine = self._answers.join(
                ask.name, session.clock, ask.upstream.line, ask.size.tokens, partial(self._drawn, ask, body)
            )
            call = await asyncio.shield(flight.task)
            if mine:
                return call
        await session.clock.reach(asked_at + call.seconds)
        call = as_shared(call, ask.scope.trial)
        self._record.record_call(call)
        return call

    async def _drawn(self, ask: Ask, body: Json, flight: Flight) -> Call:
        """Draw an answer, or a refusal that settles the question; recorded before anybody relies on it.

        Raises:
            BadCall: the campaign cannot pay for it.
            ProviderDown: no answer.
        """
        replayed = self._replay.find(ask.scope.trial, ask.read.key, ask.k) if self._replay is not None else None
        if replayed is not None:
            return as_shared(replayed, ask.scope.trial)
        bill = Bill(ask.upstream.model, ask.size, self._budget)
        scope, read = ask.scope, ask.read
        question = Question(
            body=body,
            trial=scope.trial,
            answer_scope=scope.answer_scope,
            key=read.key,
            k=ask.k,
            headers=read.headers,
        )
        try:
            work = Work(question=question, flight=flight, bill=bill, accept=partial(_accepted, ask))
            answer = await ask.upstream.ask(work)
        except (BadCall, ProviderDown) as error:
            call = self._rows.failed(ask, error, bill)
            if settled(call.status) or bill.attempts:
                self._record.record_call(call)
            if not settled(call.status):
                raise
            return call
        except BaseException:
            if bill.attempts:
                self._record.record_call(self._rows.failed(ask, None, bill))
            raise
        call = self._rows.answered(ask, checks.canonical(answer), bill)
        self._record.record_call(call)
        return call

    # ---------------------------------------------------------------- opening and shutting

    async def _upstream(
        self, role: str, model: ModelConfig, shared: dict[ModelConfig, Upstream], stack: AsyncExitStack
    ) -> Upstream:
        """Equal models of several roles are one upstream, with one set of limits."""
        given, endpoint = self._providers.get(role), model.endpoint
        if given is None and endpoint in shared:
            return shared[endpoint]
        upstream = Upstream(model, given or build(model, self.redactor, self._learned))
        stack.push_async_callback(upstream.close)
        await upstream.start()
        if given is None:
            shared[endpoint] = upstream
        return upstream

    def _all(self) -> list[Upstream]:
        return list(dict.fromkeys(up for ups in self._upstreams.values() for up in ups))

    def _lines(self, scope: CallScope) -> list[Line]:
        """Every line in which a box may have to wait."""
        used = dict.fromkeys(up for role in scope.models.values() for up in self._upstreams[role])
        return [self._intake.line, *(up.line for up in used)]

    async def _shut(self, session: BoxSession) -> None:
        self._sessions.discard(session)
        await self._judge(session)
        await self._listener.close(session)
        await session.give_up()
        self._answers.leave(session.clock)
        for line in self._lines(session.scope):
            line.dismiss(session.clock)

    async def _judge(self, session: BoxSession) -> None:
        """A box that ends while its provider is failing: an outage is never scored, and what it provoked is none."""
        for upstream in self._all():
            name = next((name for name in upstream.failing if name in session.pending), None)
            trouble = await upstream.judge(name) if name is not None and session.fault is None else None
            if trouble is not None:
                session.blame(trouble)


async def _translated(ask: Ask) -> translate.Carried:
    """The request as its provider wants it. Raises BadCall."""
    read, model = ask.read, ask.upstream.model
    limit = billing.output_limit(model, read.wanted)
    carry = partial(translate.carry, read.dialect, ask.upstream.provider.native, read.body, model, limit)
    try:
        return carry() if len(read.request) <= SMALL_BYTES else await asyncio.to_thread(carry)
    except MISSHAPEN as error:
        raise misshapen(error) from error


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


def _accepted(ask: Ask, raw: Json, used: Tokens | None) -> Json:
    """A provider's answer as every box that asks this question gets it. Raises Trouble, or what is misshapen."""
    identity, native = neutral.identity(ask.read.key, ask.k), ask.upstream.provider.native
    shown = used or Tokens(input=ask.size.estimate, output=min(ask.size.output, billing.estimate(str(raw).encode())))
    plain = neutral.from_provider(native, raw, identity, ask.upstream.model.name, shown)
    translated = translate.answer(native, ask.read.dialect, plain, ask.read.question)
    return neutral.to_box(ask.read.dialect, translated, identity)


def _keys(models: ModelsConfig) -> list[str]:
    names = {model.key_env for model in models.all() if model.key_env}
    return [os.environ[name] for name in sorted(names) if os.environ.get(name)]
