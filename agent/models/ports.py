"""What the gateway's parts promise one another: Protocols, small values, and its errors."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from agent.base.errors import CandidateFault, ProviderDown
from agent.base.refusal import Aside
from agent.base.types import Call

Json = dict[str, Any]
"""A JSON object from the wire: checked where it is read, never trusted."""

OK = 200
"""The HTTP status of a complete answer."""

_REFUSALS = range(400, 499)
_NOT_FINAL = (403, 408, 429)


def settled(status: int) -> bool:
    """Whether a call with this status is answered for good: complete, or refused by the provider for its content.

    Such an answer is given to everybody who asks the question again. What the gateway refuses for a limit of the
    box or of the campaign (403, 408, 429), what was given up (499) and what failed (5xx) does not count as one.
    """
    return status == OK or (status in _REFUSALS and status not in _NOT_FINAL)


PROVIDER_REFUSED = "provider_refused"
"""The code of a call that a provider did not answer although it works."""

FlightId = tuple[str, str, int]
"""What identifies a call on its way: scope of shared answers (or trial), key of the question, occurrence."""

PROPOSAL_STEM = 9
"""So many characters at the start of a proposal's name follow from its seed alone."""


def proposal_name(seed: int) -> str:
    """A new name for what one proposal calls; a replay of the campaign finds its answers by the start."""
    return f"p{seed:08x}{uuid.uuid4().hex[:8]}"


MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading JSON of an unexpected shape raises; caught only around code that reads JSON from outside."""


class Dialect(StrEnum):
    """The wire formats that a box may speak; CHAT and MESSAGES are also what providers speak."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What a provider reported. `input` counts everything read, cached or not."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output

    def __add__(self, other: Tokens) -> Tokens:
        """Sum, field by field."""
        return Tokens(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


class BadCall(CandidateFault):
    """A call that the box itself got wrong, or may not make: a 4xx in the dialect's own shape."""

    recorded = False
    """Whether a row of the record tells of this very refusal."""

    def __init__(self, status: int, message: str, *, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Blame(StrEnum):
    """What a failed attempt at a provider says about whose doing it is."""

    BUSY = "busy"
    """Rate limit or overload: retried after a pause of all calls; the provider is probed before it is blamed."""
    BROKEN = "broken"
    """No usable answer: retried; a request can provoke that, so the provider is probed before it is blamed."""
    REFUSED = "refused"
    """A refusal that may be about this request or about all: not retried, the probe decides."""
    FINAL = "final"
    """Asking again cannot help, whatever the request."""


class Trouble(ProviderDown):
    """One attempt at a provider failed. `retry_after` in seconds, as the provider asked.

    `billed` tells that the provider may have generated an answer all the same, and bill it: the request was sent and
    no error status came back, or one that says only that somebody stopped waiting, or that the answer was malformed.
    """

    def __init__(
        self,
        message: str,
        *,
        blame: Blame = Blame.BROKEN,
        retry_after: float | None = None,
        billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.blame, self.retry_after, self.billed = blame, retry_after, billed


class OutOfService(Trouble):
    """The provider cannot answer any more, and waiting will not help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, blame=Blame.FINAL)


class KeyRefused(OutOfService):
    """The provider does not accept the key: the message names the environment variable that holds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One request to a provider in the provider's own dialect, and what identifies it for a replay."""

    body: Json
    trial: str
    answer_scope: str | None
    key: str
    k: int
    headers: Mapping[str, str] = field(default_factory=dict)


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Learned(Protocol):
    """What a campaign learned about the parameters of its models; a ledger can keep it over restarts."""

    def recall(self, model: str) -> Collection[str]:
        """Parameters that a model, as `provider/model`, was found not to take."""
        ...

    def learn(self, model: str, parameter: str, said: str) -> None:
        """Keep that a model does not take a parameter, and the provider's words against it."""
        ...

    def note(self, model: str, left_out: Collection[str]) -> None:
        """Note, once for each name, what requests ask a model for in vain."""
        ...

    def warn(self, text: str) -> None:
        """Tell the user of something that makes the campaign's calls useless."""
        ...


class Journal(Protocol):
    """Keeps which calls are under way, so that one that a crash cuts off can be booked all the same."""

    def sent(self, call: Call, number: int | None) -> int:
        """A call is sent, with the most that it may cost; its number, by which a further attempt names it."""
        ...

    def ended(self, number: int) -> None:
        """The call's row is in the record."""
        ...


Post = Callable[[Json], Awaitable[Json]]
"""Sends a request in the provider's dialect; its answer. Raises BadCall or Trouble."""


class Asides(Protocol):
    """Books what a provider is asked besides the calls of boxes."""

    async def __call__(self, kind: Aside, native: Dialect, body: Json, post: Post) -> Json:
        """The answer to a request, booked. Raises BudgetSpent, and what `post` raises."""
        ...


async def unbooked(kind: Aside, native: Dialect, body: Json, post: Post) -> Json:  # noqa: ARG001 - an Asides
    """For providers that stand alone, outside of a gateway and its budget."""
    return await post(body)


class Provider(Protocol):
    """Something that answers. One attempt an ask; retries, limits and deadlines are not its business."""

    @property
    def native(self) -> Dialect:
        """CHAT or MESSAGES: the dialect of the bodies it takes and gives."""
        ...

    async def start(self) -> None:
        """Make ready. Raises UserError when something that the user must install or set is missing."""
        ...

    async def ask(self, question: Question) -> Json:
        """A complete answer.

        Raises:
            BadCall: the provider refused this very request.
            Trouble: no answer.
        """
        ...

    async def probe(self) -> None:
        """A tiny call that fails with Trouble if the provider does not work now; any answer will do."""
        ...

    def left_out(self, body: Json) -> tuple[str, ...]:
        """The parameters of a request that are not sent, since this model does not take them."""
        ...

    async def close(self) -> None:
        """Let go of connections and child processes."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A complete answer in the box's dialect, what was asked, and its hints that the provider has no word for."""

    body: Json
    asked: Json
    left_out: tuple[str, ...]


SessionT_contra = TypeVar("SessionT_contra", contravariant=True)


class Calls(Protocol[SessionT_contra]):
    """What the HTTP side asks of the gateway; `SessionT` is a box's session."""

    def catalogue(self, session: SessionT_contra) -> list[Json]:
        """What `/v1/models` tells a box."""
        ...

    async def call(
        self,
        session: SessionT_contra,
        dialect: Dialect,
        raw: bytes,
        headers: Mapping[str, str],
        accepted: Callable[[Json], None],
    ) -> Answered:
        """One call of one box, as its body came over the wire, with its headers in small letters.

        `accepted` is told the body once it is read and within the box's caps.

        Raises:
            BadCall: the box may not make this call, or made it wrong.
            InfrastructureError: no answer.
        """
        ...

    async def count(self, session: SessionT_contra, raw: bytes) -> int:
        """About how many tokens a prompt has. Raises BadCall."""
        ...

    def refused(self, session: SessionT_contra, path: str, error: BadCall) -> None:
        """A box was refused what it asked for at this path."""
        ...

    def redacted(self, text: str) -> str:
        """The text without keys."""
        ...


class Hold(Protocol):
    """A reservation of the campaign's budget."""

    def settle(self, tokens: int, dollars: float) -> None:
        """Replace the reservation by what was really spent, which may be more; the first settling counts."""
        ...


class Budget(Protocol):
    """The campaign's hard limits, asked before each fresh call."""

    async def reserve(self, tokens: int, dollars: float) -> Hold | None:
        """Set aside what one call may take; None when the campaign cannot pay for it."""
        ...

    def exhausted(self) -> str | None:
        """Why no more may be spent, in words; None while there is something left."""
        ...


class ReplaySource(Protocol):
    """Recorded calls to answer from."""

    def find(self, trial: str, key: str, k: int) -> Call | None:
        """The k-th answer that a trial got to a request."""
        ...
