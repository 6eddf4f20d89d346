"""Reading what boxes send: bounded, in linear time, and large bodies away from the event loop and in fair turns.

Covered: the number of JSON values and messages (before anything is built from them), nesting, bodies that one box
sends to make all others wait. Small bodies are read on the loop, since a thread costs more than they do, but one at a
time, in fair turns as well: between two of them the loop does everything else that is due. The smallest, which take
about a millisecond at most, are read as they come.
Not covered: the interpreter's lock, which a thread holds for up to some 50 ms while it parses the largest body.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from agent.config.models import ModelsConfig
from agent.models.dialects import checks, rules
from agent.models.dialects.formats import FORMATS
from agent.models.gateway.bill import estimate
from agent.models.gateway.line import Line, StillClock, Turn
from agent.models.ports import MISSHAPEN, NO_HEADERS, BadCall, Dialect, Json

MAX_VALUES = 50_000
MAX_MESSAGES = 2_048
SMALL_BYTES, _TINY_BYTES = 32 << 10, 4 << 10
T = TypeVar("T")
_NOT_KEPT = ("stream", "stream_options")
_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A checked request: as it came, as the `question` that all who ask it share, and in its canonical form.

    `key` is the hash of the question; `headers` are those that the role's models pass on. `wanted` is the limit of each
    of the `answers` that are asked for, in tokens.
    """

    dialect: Dialect
    body: Json
    question: Json
    headers: Mapping[str, str]
    role: str
    request: bytes
    key: str
    tokens: int
    wanted: int | None
    answers: int


class Intake:
    """Reads the bodies of all boxes."""

    def __init__(self, models: ModelsConfig) -> None:
        self._line, self._small = Line(_AT_ONCE), Line(1)
        self._models = models

    @property
    def lines(self) -> tuple[Line, Line]:
        """Where boxes may have to wait."""
        return self._line, self._small

    async def read(
        self, box: StillClock, aliases: Mapping[str, str], dialect: Dialect, raw: bytes, headers: Mapping[str, str]
    ) -> Read:
        """Check a call; `aliases` are the names that the box may use for models, and their roles.

        Raises:
            BadCall: it cannot be carried to the provider.
        """
        return await self._in_turn(box, raw, partial(read, self._models, aliases, dialect, raw, headers))

    async def count(self, box: StillClock, aliases: Mapping[str, str], raw: bytes) -> int:
        """About how many tokens a prompt has, for clients that ask before they send it.

        Raises:
            BadCall: it cannot be read as a request.
        """
        return await self._in_turn(box, raw, partial(count, self._models, aliases, raw))

    async def _in_turn(self, box: StillClock, raw: bytes, work: Callable[[], T]) -> T:
        turn = Turn([box], float(len(raw)))
        if len(raw) <= _TINY_BYTES:
            return work()
        if len(raw) <= SMALL_BYTES:
            async with self._small.turn(turn):
                await asyncio.sleep(0)  # the turn is held meanwhile: the next read is in another round of the loop
                return work()
        async with self._line.turn(turn):
            return await asyncio.to_thread(work)


def read(
    models: ModelsConfig,
    aliases: Mapping[str, str],
    dialect: Dialect,
    raw: bytes,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Read:
    """Check a call and give it its name.

    Raises:
        BadCall: it cannot be carried to the provider.
    """
    body, role = _parsed(models, aliases, raw)
    try:
        return _named(dialect, body, role, models.passed(role), headers)
    except MISSHAPEN as error:
        raise misshapen(error) from error


def count(models: ModelsConfig, aliases: Mapping[str, str], raw: bytes) -> int:
    """About how many tokens the prompt of a body has. Raises BadCall."""
    body, _ = _parsed(models, aliases, raw)
    return estimate(checks.canonical(body))


def _parsed(models: ModelsConfig, aliases: Mapping[str, str], raw: bytes) -> tuple[Json, str]:
    """The body, and the role that it asks for. Raises BadCall."""
    if values(raw) > MAX_VALUES:
        raise BadCall(400, f"the body has more than {MAX_VALUES} JSON values", code="request_too_large")
    body = checks.parse(raw)
    alias = checks.text(body.get("model"), "model")
    role = aliases.get(alias) or models.named(alias, aliases.values())
    if role is None:
        allowed = ", ".join(aliases) or "none"
        raise BadCall(404, f"no model {alias[:100]!r} here; this box may use: {allowed}", code="model_not_found")
    return body, role


def misshapen(error: Exception) -> BadCall:
    """A box must not be able to void its trial: what the checks let pass and nobody can read is its fault."""
    return BadCall(400, f"the request is misshapen ({type(error).__name__})")


def _named(dialect: Dialect, body: Json, role: str, passed: frozenset[str], headers: Mapping[str, str]) -> Read:
    form = FORMATS[dialect]
    form.check(body)
    if not isinstance(body.get("stream"), bool | None):
        checks.fail("stream", "true or false")
    messages = body.get("messages", body.get("input"))
    if isinstance(messages, list) and len(messages) > MAX_MESSAGES:
        raise BadCall(400, f"the body has more than {MAX_MESSAGES} messages", code="request_too_large")
    name = {"model": role, "dialect": dialect}
    kept = {header: value for header, value in headers.items() if header in passed}
    question = {**rules.identity(dialect, body, passed), **name, **({"headers": kept} if kept else {})}
    request = checks.canonical({field: value for field, value in body.items() if field not in _NOT_KEPT} | name)
    return Read(
        dialect=dialect,
        body=body,
        question=question,
        headers=kept,
        role=role,
        request=request,
        key=hashlib.sha256(checks.canonical(question)).hexdigest(),
        tokens=estimate(request),
        wanted=form.output_limit(body),
        answers=(body.get("n") or 1) if dialect is Dialect.CHAT else 1,
    )


def values(raw: bytes) -> int:
    """How many values a JSON text can have at most: it is counted without building any."""
    most = _marks(raw)
    if most <= MAX_VALUES:
        return most
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")  # now every quote opens or closes a string
    strings = plain.count(b'"') // 2
    return strings // 2 if strings > 2 * MAX_VALUES else _marks(b"".join(plain.split(b'"')[::2]))


def _marks(raw: bytes) -> int:
    return 1 + raw.count(b",") + raw.count(b"[") + raw.count(b"{")
