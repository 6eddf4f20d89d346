"""Lines that fit a terminal: text is folded between words, and what is a command stays in one piece."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

WIDEST = 100
"""Columns beyond which prose is hard to read."""

_COMMAND = re.compile(r"`[^`]*`")
_HELD = "\ue000"


def folded(text: str, width: int, indent: int = 0) -> Iterator[str]:
    """The lines of a text; all but the first are indented by `indent`, within `width` columns where words allow.

    A word, and what stands between backquotes, is never cut: it can be pasted.
    """
    for number, line in enumerate(text.splitlines() or [""]):
        own = " " * (len(line) - len(line.lstrip()) + (indent if number else 0))
        held = _COMMAND.sub(lambda found: found[0].replace(" ", _HELD), line.strip())
        pieces = textwrap.wrap(
            held,
            width=max(20, min(width, WIDEST)),
            initial_indent=own,
            subsequent_indent=own if number else " " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from (piece.replace(_HELD, " ") for piece in pieces or [""])
