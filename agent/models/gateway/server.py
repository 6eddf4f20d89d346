"""The gateway: opens a session per box and carries every call through the same few steps."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.base.errors import ProviderDown, RecordBroken
from agent.base.types import Call, CallRecord, CallScope
from agent.config.models import ModelConfig, ModelsConfig
from agent.models.dialects import checks, translate
from agent.models.dialects.formats import FORMATS
from agent.models.gateway import prices
from agent.models.gateway.answers import AnswerCache
from agent.models.gateway.listener import Listener
from agent.models.gateway.session import BoxSession, as_shared
from agent.models.gateway.upstream import Upstream
from agent.models.ports import (
    MISSHAPEN,
    OK,
    Answered,
    BadCall,
    Blame,
    Budget,
    Dialect,
    FlightId,
    Json,
    Provider,
    Question,
    ReplaySource,
    Tokens,
    Trouble,
)
from agent.models.providers.build import build
from agent.models.redact import Redactor

OUT_OF_BUDGET = "budget_exhausted"
GIVEN_UP = 499
_NOT_IN_KEY = ("stream", "stream_options")
_BYTES_PER_TEMPLATE = 16
_JUDGE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ask:
    """One call on its way: checked, named, priced."""

    dialect: Dialect
    asked: Json
    body: Json
    role: str
    request: bytes
    key: str
    k: int
    upstream: Upstream
    tokens_in: int
    tokens_out: int
    dollars: float

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


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
    ) -> None:
        self.models = models
        self.redactor = Redactor(_keys(models))
        self._record, self._budget, self._replay, self._seed = record, budget, replay, seed
        self._providers = dict(providers or {})
        self._upstreams: dict[str, tuple[Upstream, ...]] = {}
        self._sessions: set[BoxSession] = set()
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
        """Close every session, then the providers."""
        for session in list(self._sessions):
            await session.close()
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
        return session

    def trouble(self) -> str | None:
        """Why the campaign should pause: the providers that are down; None if all are up."""
        down = [str(up.down) for ups in self._upstreams.values() for up in ups if up.down is not None]
        return self.redactor.text("; ".join(dict.fromkeys(down))) or None

    async def ready(self) -> None:
        """Wait until no provider is down.

        Raises:
            KeyRefused: a provider does not accept its key; waiting will not help.
        """
        for upstreams in self._upstreams.values():
            for upstream in upstreams:
                await upstream.ready()

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

    async def call(self, session: BoxSession, dialect: Dialect, body: Json) -> Answered:
        """One call of one box: checked, capped, answered, recorded, counted.

        Raises:
            BadCall: the box may not make this call, or made it wrong.
            InfrastructureError: no answer; the session keeps the fault.
        """
        if session.closed:
            raise BadCall(403, "this box is over", code="deadline_exceeded")
        try:
            ask = self._read(session, dialect, body)
        except MISSHAPEN as error:
            # A box must not be able to void its trial: what the checks let pass and nobody can read is its fault.
            raise BadCall(400, f"the request is misshapen ({type(error).__name__})") from error
        session.hold(ask.key, ask.tokens, ask.dollars)
        flight = _flight(session.scope, ask)
        session.pending.add(flight)
        try:
            call = await self._within_deadline(session, ask)
        except BadCall as error:
            session.charge(0, 0.0)
            session.out_of_budget |= error.code == OUT_OF_BUDGET
            raise
        except (ProviderDown, RecordBroken) as error:
            session.blame(error)
            raise
        except asyncio.CancelledError:
            session.charge(ask.tokens, ask.dollars)
            raise
        finally:
            session.pending.discard(flight)
            session.release(ask.tokens, ask.dollars)
        session.count(call)
        native = ask.upstream.provider.native
        return Answered(
            body=json.loads(call.response), left_out=translate.left_out(dialect, native, body, ask.upstream.model)
        )

    # ---------------------------------------------------------------- the steps

    def _read(self, session: BoxSession, dialect: Dialect, body: Json) -> _Ask:
        """Check the request and give it its name: hash and occurrence."""
        alias = checks.text(body.get("model"), "model")
        role = session.scope.models.get(alias)
        if role is None:
            allowed = ", ".join(session.scope.models) or "none"
            raise BadCall(404, f"no model {alias[:100]!r} here; this box may use: {allowed}", code="model_not_found")
        form = FORMATS[dialect]
        form.check(body)
        named = {name: value for name, value in body.items() if name not in _NOT_IN_KEY}
        request = checks.canonical({**named, "model": role, "dialect": dialect})
        key = hashlib.sha256(request).hexdigest()
        k = session.occurrences(key)
        upstream = self._choose(role, f"{self._seed}/{session.scope.answer_scope or session.scope.trial}/{key}/{k}")
        wanted = form.output_limit(body)
        limit = _limit(upstream.model, wanted)
        tokens_in, tokens_out = _bound(upstream.model, request, body, limit)
        return _Ask(
            dialect=dialect,
            asked=body,
            body=translate.request(dialect, upstream.provider.native, body, upstream.model, limit),
            role=role,
            request=request,
            key=key,
            k=k,
            upstream=upstream,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            dollars=prices.bound(upstream.model, tokens_in, tokens_out),
        )

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

    async def _within_deadline(self, session: BoxSession, ask: _Ask) -> Call:
        try:
            async with asyncio.timeout(session.remaining()):
                return await self._recalled_or_fresh(session.scope, ask)
        except TimeoutError:
            await self._judge(session, _flight(session.scope, ask), ask.upstream)
            raise BadCall(408, "this box's time ran out during the call", code="deadline_exceeded") from None

    async def _recalled_or_fresh(self, scope: CallScope, ask: _Ask) -> Call:
        """The answer as it stands in this trial's books."""
        if scope.answer_scope is None:
            return await self._fresh(scope, ask)
        call, mine = await self._answers.get(scope.answer_scope, ask.key, ask.k, lambda: self._fresh(scope, ask))
        if not mine:
            call = as_shared(call, scope.trial)
            self._record.record_call(call)
        return call

    async def _fresh(self, scope: CallScope, ask: _Ask) -> Call:
        """Ask the provider under the campaign's budget, and record before anyone relies on it."""
        replayed = self._replay.find(scope.trial, ask.key, ask.k) if self._replay is not None else None
        if replayed is not None:
            return as_shared(replayed, scope.trial)
        hold = await self._budget.reserve(ask.tokens, ask.dollars) if self._budget is not None else None
        if self._budget is not None and hold is None:
            raise BadCall(403, self._budget.exhausted() or "the campaign's budget is used up", code=OUT_OF_BUDGET)
        call = self._lost(scope, ask)
        try:
            call = await self._answered(scope, ask)
        except (BadCall, ProviderDown) as error:
            call = self._failed(scope, ask, error)
            raise
        finally:
            if hold is not None:
                hold.settle(call.tokens_in + call.tokens_out, call.dollars or 0.0)
            self._record.record_call(call)
        return call

    async def _answered(self, scope: CallScope, ask: _Ask) -> Call:
        question = Question(body=ask.body, trial=scope.trial, answer_scope=scope.answer_scope, key=ask.key, k=ask.k)
        native = ask.upstream.provider.native
        translated = partial(translate.answer, native, ask.dialect, body=ask.asked)
        reply = await ask.upstream.ask(question, ask.tokens, translated)
        used = reply.used or Tokens(input=ask.tokens_in, output=ask.tokens_out)
        return replace(
            self._call(scope, ask, self.redactor.raw(checks.canonical(reply.answer)), OK),
            tokens_in=used.input,
            tokens_out=used.output,
            dollars=prices.cost(ask.upstream.model, used),
            seconds=reply.seconds,
            retries=reply.retries,
        )

    def _lost(self, scope: CallScope, ask: _Ask) -> Call:
        """A call that was given up: booked at its upper bound, since the provider may bill all of it."""
        said = FORMATS[ask.dialect].error(GIVEN_UP, "given up before the answer came", "cancelled")
        call = self._call(scope, ask, checks.canonical(said), GIVEN_UP)
        return replace(call, tokens_in=ask.tokens_in, tokens_out=ask.tokens_out, dollars=ask.dollars)

    def _failed(self, scope: CallScope, ask: _Ask, error: Exception) -> Call:
        status = error.status if isinstance(error, BadCall) else 503
        code = error.code if isinstance(error, BadCall) else "provider_down"
        said = FORMATS[ask.dialect].error(status, self.redactor.text(str(error)), code)
        return self._call(scope, ask, checks.canonical(said), status)

    def _call(self, scope: CallScope, ask: _Ask, response: bytes, status: int) -> Call:
        return Call(
            trial=scope.trial,
            role=ask.role,
            model=f"{ask.upstream.model.provider}/{ask.upstream.model.name}",
            key=ask.key,
            k=ask.k,
            answer_scope=scope.answer_scope,
            fresh=True,
            request=self.redactor.raw(ask.request),
            response=response,
            status=status,
            tokens_in=0,
            tokens_out=0,
            dollars=0.0,
            seconds=0.0,
            retries=0,
        )

    # ---------------------------------------------------------------- opening and shutting

    async def _upstream(
        self, role: str, model: ModelConfig, shared: dict[ModelConfig, Upstream], stack: AsyncExitStack
    ) -> Upstream:
        """Equal models of several roles are one upstream, with one set of limits."""
        given = self._providers.get(role)
        if given is None and model in shared:
            return shared[model]
        upstream = Upstream(model, given or build(model, self.redactor))
        stack.push_async_callback(upstream.close)
        await upstream.start()
        if given is None:
            shared[model] = upstream
        return upstream

    async def _shut(self, session: BoxSession) -> None:
        self._sessions.discard(session)
        for flight in list(session.pending):
            for upstreams in self._upstreams.values():
                for upstream in upstreams:
                    await self._judge(session, flight, upstream)
        await self._listener.close(session)

    async def _judge(self, session: BoxSession, flight: FlightId, upstream: Upstream) -> None:
        """A box whose time ran out while its provider was failing: an outage is never scored."""
        trouble = upstream.failing.get(flight)
        if trouble is None or session.fault is not None:
            return
        if trouble.blame is Blame.BUSY:
            session.blame(trouble)
            return
        try:
            async with asyncio.timeout(_JUDGE_SECONDS):
                await upstream.probe()
        except (Trouble, TimeoutError):
            session.blame(trouble)


def _keys(models: ModelsConfig) -> list[str]:
    names = {model.key_env for model in models.all() if model.key_env}
    return [os.environ[name] for name in sorted(names) if os.environ.get(name)]


def _limit(model: ModelConfig, wanted: int | None) -> int:
    """Tokens that one answer may take: as the box asked, within the configured limit."""
    if wanted is None:
        return model.output_limit
    most = model.max_output or model.window
    return wanted if most is None else min(wanted, most)


def _bound(model: ModelConfig, request: bytes, body: Json, limit: int) -> tuple[int, int]:
    """Upper bounds: a token is at least one byte of text, and templates add a little to each message."""
    messages = body.get("messages", body.get("input"))
    count = len(messages) if isinstance(messages, list) else 1
    tokens_in = len(request) + _BYTES_PER_TEMPLATE * (count + 1)
    tokens_out = limit * int(body.get("n") or 1)
    if model.window is not None:
        tokens_in = min(tokens_in, model.window)
    return tokens_in, tokens_out


def _flight(scope: CallScope, ask: _Ask) -> FlightId:
    return scope.answer_scope or scope.trial, ask.key, ask.k
