"""Strangers' text, made safe to show.

Covered: escape sequences, control, bidirectional and invisible characters (spelled out as `<U+202E>`, not
dropped: a reviewer must see that they are there), undecodable bytes, endless lines and endless texts.

Not covered: letters that look like others; what a font makes of stacked accents.
"""

from __future__ import annotations

import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(line: str, limit: int = 400) -> str:
    """One line in which every unsafe character is spelled out; cut after `limit` characters."""
    cut = len(line) - limit
    start = line[:limit].expandtabs(4)
    # Whatever is printable is in none of the unsafe categories; most lines are, and this is much faster.
    shown = start if start.isprintable() else "".join(map(_shown, start))
    return f"{shown}… (+{cut} characters)" if cut > 0 else shown


def visible_lines(text: str, *, limit: int = 400, lines: int = 2000) -> list[str]:
    """At most `lines` safe lines of a text; a last one says how many more there are."""
    every = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    more = [f"… (+{len(every) - lines} lines)"] if len(every) > lines else []
    return [visible(line, limit) for line in every[:lines]] + more


def _shown(char: str) -> str:
    return f"<U+{ord(char):04X}>" if unicodedata.category(char) in _UNSAFE_CATEGORIES else char
