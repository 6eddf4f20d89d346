"""Every configured model is asked, before anything is spent, the way the shipped scaffold will ask it.

The request has what that scaffold sends: a system message, tools, a temperature, a stop sequence and a limit. What the
model does not take of it is learned here, not by the first trial. A busy provider is asked again as in a call, and one
that is loading its model is waited for.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
)

from agent.base.errors import BudgetSpent, InfrastructureError, UserError
from agent.base.refusal import Aside
from agent.models.dialects import translate
from agent.models.dialects.formats import FORMATS
from agent.models.gateway.first import empty
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.upstream import Upstream
from agent.models.ports import MISSHAPEN, BadCall, Blame, Dialect, Json, Question, Trouble
from agent.models.providers.errors import Loading
from agent.models.providers.sdk import Unreachable

NETWORKED = ("openai", "anthropic")
_TOKENS = 1024
_LOADING_SECONDS = 600.0
_LONGEST_WAIT = 30.0
_LOCAL_TRIES = 3
_TOOL = {"name": "finish", "description": "Say that you are done", "parameters": {"type": "object", "properties": {}}}
_REQUEST: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "You answer in one word."},
        {"role": "user", "content": "Name one colour."},
    ],
    "temperature": 0.7,
    "stop": ["###"],
}
_TOOLS: Json = {"tools": [{"type": "function", "function": _TOOL}]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What a model did with a request: its answer as a chat completion, and the parameters that it does not take.

    `counted` tells whether it says how many tokens it used.
    """

    answer: Json
    left_out: tuple[str, ...]
    counted: bool


async def preflight(gateway: GatewayServer) -> list[str]:
    """Ask every model once; what a user should know of those that work, one line each.

    Raises:
        UserError: a dead endpoint, a refused key, an unknown model, or one that cannot be asked like that.
        InfrastructureError: a provider stayed busy for as long as a call may take.
    """
    notes: list[str] = []
    seen: set[Upstream] = set()
    for role in gateway.models.roles:
        for upstream in gateway.upstreams(role):
            if upstream not in seen:
                seen.add(upstream)
                with suppress(BudgetSpent):  # a campaign that is at its end makes no call any more
                    notes += [gateway.redactor.text(note) for note in await _examined(role, upstream, gateway)]
    return notes


async def _examined(role: str, upstream: Upstream, gateway: GatewayServer) -> list[str]:
    model = upstream.model
    named = f"models.{role}: {model.provider}/{model.name}"
    try:
        if model.provider not in NETWORKED:
            await _local(role, upstream)
            return []
        return [f"{named} {note}" for note in await examine(upstream)]
    except (Trouble, BadCall) as error:
        where = model.base_url or model.provider
        problem = gateway.redactor.text(f"{model.name} at {where} does not work: {error}")
        if isinstance(error, Trouble) and error.blame is Blame.BUSY:
            raise InfrastructureError(f"models.{role}: {problem}") from error
        if isinstance(error, BadCall):
            fix = "Leave out what it refuses with `drop`, fix it with `set`, or name another `model`."
        else:
            fix = "Start that server, or fix `base_url`, `model` or the key."
        raise UserError(f"models.{role}", problem, fix) from error


async def _local(role: str, upstream: Upstream) -> None:
    """The embedded model, which may wait for a processor; a script answers at once."""
    trials = AsyncRetrying(stop=stop_after_attempt(_LOCAL_TRIES), retry=retry_if_exception_type(Trouble), reraise=True)
    try:
        await trials(upstream.health.probe)
    except Trouble as error:
        problem = f"models.{role}: {upstream.model.name} on this machine does not answer, tried {_LOCAL_TRIES} times"
        fix = "Stop other programs if the machine is busy, or lower `slots` and `threads`."
        raise InfrastructureError(f"{problem} ({error}). {fix}") from error


async def examine(upstream: Upstream) -> list[str]:
    """Ask one model the way the scaffold will; what a user should know of it.

    Raises:
        BadCall: the model refuses that, without tools as well.
        Trouble: no answer.
    """
    try:
        tried = await ask(upstream, {**_REQUEST, **_TOOLS})
        notes = []
    except BadCall as error:
        tried = await ask(upstream, _REQUEST)
        notes = [f"does not take tools, which a scaffold may need: {error}"]
    if tried.left_out:
        notes.append(f"does not take {', '.join(tried.left_out)}: left out of every request")
    if not tried.counted:
        notes.append("does not say how many tokens it used: every call is booked at its upper bound")
    if (why := empty(tried.answer)) is not None:
        notes.append(why)
    return notes


async def ask(upstream: Upstream, body: Json) -> Tried:
    """One request in Chat Completions, judged and retried as a box's would be, outside of every limit.

    Raises:
        BadCall: the model refuses it.
        Trouble: no answer.
    """
    model = upstream.model
    loaded = AsyncRetrying(
        stop=stop_before_delay(_LOADING_SECONDS), wait=_wait, retry=retry_if_exception(_loads), reraise=True
    )
    patient = AsyncRetrying(
        stop=stop_after_attempt(model.attempts) | stop_before_delay(model.timeout),
        wait=_wait,
        retry=retry_if_exception(_again),
        reraise=True,
    )
    tried: Tried = await loaded(patient, _attempt, upstream, body)
    return tried


async def _attempt(upstream: Upstream, body: Json) -> Tried:
    model, provider = upstream.model, upstream.provider
    limit = min(_TOKENS, model.output_limit)
    sent = translate.carry(Dialect.CHAT, provider.native, body, model, limit)
    question = Question(body=sent.body, trial=Aside.PREFLIGHT, answer_scope=None, key=Aside.PREFLIGHT, k=0)
    try:
        async with asyncio.timeout(model.timeout):
            raw = await upstream.asides(Aside.PREFLIGHT, provider.native, sent.body, lambda _: provider.ask(question))
    except TimeoutError:
        raise Trouble(f"no complete answer within {model.timeout:g} s", blame=Blame.FINAL) from None
    try:
        FORMATS[provider.native].complete(raw)
        answer = translate.answer(provider.native, Dialect.CHAT, raw, body)
        counted = FORMATS[provider.native].tokens(raw) is not None
    except MISSHAPEN as error:
        raise Trouble(f"its answer is misshapen ({type(error).__name__})") from error
    # What this very request taught is known only now.
    left_out = dict.fromkeys((*sent.left_out, *provider.left_out(sent.body)))
    return Tried(answer=answer, left_out=tuple(left_out), counted=counted)


def _loads(error: BaseException) -> bool:
    return isinstance(error, Loading)


def _again(error: BaseException) -> bool:
    """A server that cannot be reached at all is named at once: its user has to start it."""
    if isinstance(error, Loading) or not isinstance(error, Trouble):
        return False
    if isinstance(error, Unreachable) and not error.billed:
        return False
    return error.blame in (Blame.BUSY, Blame.BROKEN)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, Trouble) else None
    jitter = random.uniform(0.5, 1.0) * min(_LONGEST_WAIT, 2.0 ** (state.attempt_number - 1))  # noqa: S311
    return max(jitter, asked or 0.0)
