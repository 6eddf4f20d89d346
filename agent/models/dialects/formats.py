"""The wire formats side by side: one table, so that nothing else asks which dialect it is."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Protocol, cast

from agent.models.dialects import chat, messages, responses
from agent.models.ports import Dialect, Json, Tokens


class Format(Protocol):
    """What each dialect's module offers."""

    def check(self, body: Json) -> None:
        """Refuse what cannot be carried to any provider. Raises BadCall."""
        ...

    def output_limit(self, body: Json) -> int | None:
        """The most tokens that one answer may take, as the box asked."""
        ...

    def complete(self, answer: Json) -> None:
        """Refuse an answer that was cut short. Raises Trouble."""
        ...

    def tokens(self, answer: Json) -> Tokens | None:
        """What the provider says the call used."""
        ...

    def error(self, status: int, message: str, code: str) -> Json:
        """An error in this dialect's shape."""
        ...

    def keep_alive(self) -> bytes:
        """What is sent while a stream's answer is not there yet; clients read over it."""
        ...

    def failed(self, status: int, message: str, code: str) -> bytes:
        """An error in a stream that has begun."""
        ...

    def events(self, answer: Json, body: Json) -> Iterator[bytes]:
        """A complete answer as server-sent events."""
        ...


def _format(module: ModuleType) -> Format:
    return cast("Format", module)


FORMATS: dict[Dialect, Format] = {
    Dialect.CHAT: _format(chat),
    Dialect.MESSAGES: _format(messages),
    Dialect.RESPONSES: _format(responses),
}
