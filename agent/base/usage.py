"""What the model calls of a trial cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What model calls cost. `fresh_*` was really asked of a provider; the rest were shared answers.

    `sure_*` and `most_*` are what sides of a pair are compared by, fresh and shared calls alike, in dollars without the
    provider's prompt cache: calls answered at the first attempt; and all attempts of all calls, with the `abandoned`
    ones (under way when the box ended) at their bound. `seconds` are those of the command, without waiting in line.
    """

    calls: int = 0
    fresh_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    fresh_tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    sure_tokens: int = 0
    sure_dollars: float = 0.0
    most_tokens: int = 0
    most_dollars: float = 0.0
    abandoned: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Sum, field by field."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})
