"""Parts of requests that more than one dialect has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from agent.models.dialects.checks import Shape

MAX_OUTPUT = 1 << 20
ONLY_TEXT = "only text goes through this gateway"

Limit = Annotated[int, Field(ge=1, le=MAX_OUTPUT)]
Whole = dict[str, Any]


def tagged(kinds: frozenset[str], default: str | None = None) -> Callable[[object], str | None]:
    """A discriminator on `type`; its tags start with `<`, so that error paths can leave them out."""

    def tag(value: object) -> str | None:
        kind = value.get("type", default) if isinstance(value, dict) else None
        return f"<{kind}>" if isinstance(kind, str) and kind in kinds else None

    return tag


def by_type(kinds: frozenset[str], why: str, default: str | None = None) -> Discriminator:
    """Tell parts apart by `type`; any other type is refused with a reason."""
    return Discriminator(tagged(kinds, default), custom_error_type="unsupported", custom_error_message=why)


def text_or_list(value: object) -> str:
    """Which of the two ways of writing content this is."""
    return "<list>" if isinstance(value, list) else "<text>"


PlainText = Annotated[str, Tag("<text>")]


class TextPart(Shape):
    """Text, under whichever name a dialect gives it."""

    text: str


class RefusalPart(Shape):
    """A model's refusal."""

    refusal: str
