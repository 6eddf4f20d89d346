"""Answers as server-sent events, and what keeps a client waiting for one that takes long.

A stream's answer is complete and recorded before any of it is sent, but clients give up on a stream without a first
byte. So a stream that waits begins with what its dialect has for that: a ping, or a comment. What fails afterwards is
an error in the stream, since the status has been sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent.models.dialects.formats import FORMATS
from agent.models.ports import Answered, Dialect, Json

KEEP_ALIVE_SECONDS = 10.0
"""Well below the shortest time that clients are known to wait for a byte."""

Said = tuple[int, str, str]
"""An error as a box is told it: status, message, code."""


class Stream(StreamingResponse):
    """A stream; `release` is called when it is over, however it ends and even if it never begins."""

    def __init__(
        self,
        content: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str] | None = None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


async def at_once(dialect: Dialect, answer: Json, body: Json) -> AsyncIterator[bytes]:
    """An answer that is there."""
    for event in FORMATS[dialect].events(answer, body):
        yield event


async def kept_alive(
    dialect: Dialect, call: asyncio.Task[Answered], fault: Callable[[Exception], Said]
) -> AsyncIterator[bytes]:
    """An answer that is still to come. `fault` says what a box is told of an error."""
    form = FORMATS[dialect]
    while not call.done():
        yield form.keep_alive()
        await asyncio.wait((call,), timeout=KEEP_ALIVE_SECONDS)
    try:
        answer = call.result()
    except Exception as error:  # noqa: BLE001 - the status has been sent, so nobody else can say it
        yield form.failed(*fault(error))
        return
    async for event in at_once(dialect, answer.body, answer.asked):
        yield event


def drop(call: asyncio.Task[Any]) -> None:
    """Stop waiting for a call; the call itself is its session's, and goes to its end."""
    if not call.done():
        call.cancel()
    elif not call.cancelled():
        call.exception()  # a box that hangs up must not fill the host's log
