"""One call on its way through the gateway, and the rows that it leaves in the record."""

from __future__ import annotations

import json
from dataclasses import dataclass

from agent.base.types import Call, CallScope
from agent.models.dialects import checks
from agent.models.dialects.formats import FORMATS
from agent.models.dialects.translate import Carried
from agent.models.gateway.bill import Bill, Size
from agent.models.gateway.intake import Read
from agent.models.gateway.neutral import error_text
from agent.models.gateway.upstream import Upstream
from agent.models.ports import OK, BadCall, FlightId
from agent.models.redact import Redactor

GIVEN_UP = 499
_REFUSED_BYTES = 16 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One call: read, named, priced. `k` counts how often this box has asked this question before."""

    read: Read
    scope: CallScope
    k: int
    upstream: Upstream
    size: Size

    @property
    def name(self) -> FlightId:
        """What identifies the question: its scope (without one, the trial), its key, its occurrence."""
        return self.scope.answer_scope or self.scope.trial, self.read.key, self.k

    def left_out(self, sent: Carried) -> tuple[str, ...]:
        """The names of what the provider is not sent of this request, by what is known of its model now."""
        return tuple(dict.fromkeys((*sent.left_out, *self.upstream.provider.left_out(sent.body))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a box is told: the call as its trial's books have it, and what was left out of the request."""

    call: Call
    left_out: tuple[str, ...]


class Rows:
    """Makes the rows of the record: without keys, and refused requests without their bulk."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def answered(self, ask: Ask, sent: Carried, response: bytes, bill: Bill) -> Call:
        """A complete answer, in the box's dialect."""
        return self._row(ask, sent, self._redactor.raw(response), OK, bill)

    def failed(self, ask: Ask, sent: Carried, error: Exception | None, bill: Bill) -> Call:
        """A refusal, an outage, or with None a call that was given up before its answer came."""
        status, code, said = GIVEN_UP, "cancelled", "given up before the answer came"
        if isinstance(error, BadCall):
            status, code, said = error.status, error.code, error_text(str(error))
        elif error is not None:
            status, code, said = 503, "provider_down", str(error)
        body = FORMATS[ask.read.dialect].error(status, self._redactor.text(said), code)
        return self._row(ask, sent, checks.canonical(body), status, bill)

    def under_way(self, ask: Ask, bill: Bill) -> Call:
        """A call of which nothing more is heard: without texts, at its bound."""
        model = ask.upstream.model
        named = (ask.scope.trial, ask.read.role, f"{model.provider}/{model.name}", ask.read.key)
        return cut_off(*named, bill, k=ask.k, answer_scope=ask.scope.answer_scope)

    def _row(self, ask: Ask, sent: Carried, response: bytes, status: int, bill: Bill) -> Call:
        return Call(
            trial=ask.scope.trial,
            role=ask.read.role,
            model=f"{ask.upstream.model.provider}/{ask.upstream.model.name}",
            key=ask.read.key,
            k=ask.k,
            answer_scope=ask.scope.answer_scope,
            fresh=True,
            request=self._redactor.raw(ask.read.request if status == OK else _without_bulk(ask.read)),
            response=response,
            status=status,
            retries=max(0, bill.attempts - 1),
            left_out=ask.left_out(sent),
            **bill.columns(),
        )


def cut_off(
    trial: str, role: str, model: str, key: str, bill: Bill, *, k: int = 0, answer_scope: str | None = None
) -> Call:
    """The row of a call that ended with the process that made it."""
    tokens, dollars = bill.worst
    return Call(
        trial=trial,
        role=role,
        model=model,
        key=key,
        k=k,
        answer_scope=answer_scope,
        fresh=True,
        request=b"{}",
        response=b"{}",
        status=GIVEN_UP,
        tokens_in=tokens.input,
        tokens_out=tokens.output,
        dollars=dollars,
        seconds=bill.seconds,
        retries=bill.attempts,
    )


def _without_bulk(read: Read) -> bytes:
    """A request that got no answer, as it is kept: a box could fill the disk with calls that cost it nothing."""
    if len(read.request) <= _REFUSED_BYTES:
        return read.request
    return checks.canonical({"dialect": read.dialect, "model": read.role, "left_out_bytes": len(read.request)})


def refusal(call: Call) -> BadCall:
    """The refusal that a recorded call tells, as it was told the first time."""
    said = json.loads(call.response)["error"]
    error = BadCall(call.status, str(said["message"]), code=str(said.get("code") or "invalid_request"))
    error.recorded = True
    return error
