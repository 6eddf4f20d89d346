"""Text that a model or a stranger wrote, made safe to store, print and show.

`clean_line` drops what is unsafe: for records and messages. `visible` spells it out: for reviewers, who must see
that it is there.

Covered: escape sequences, control, bidirectional and invisible characters, undecodable bytes, endless lines and
endless texts.

Not covered: letters that look like others; what a font makes of stacked accents.
"""

from __future__ import annotations

import re
import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that a reader does not see."""

_CLEANED_BYTES = 16 << 10
_ESCAPE_SEQUENCE = re.compile(
    "(?:\x1b\\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC: titles, links, clipboard
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    "|\x1b[ -/]*[0-~]?"
)


def clean_line(text: str) -> str:
    """One printable line out of any text: no escape sequence, control or invisible character."""
    if text.isascii() and text.isprintable() and len(text) <= _CLEANED_BYTES:  # most texts; much faster
        return " ".join(text.split())
    return " ".join(" ".join(clean_lines(text.encode(errors="replace"))).split())


def clean_lines(raw: bytes) -> list[str]:
    """The lines of the first 16 KiB of any bytes, without what `clean_line` drops; white space at ends is cut.

    Spaces of any width become plain ones.
    """
    text = _ESCAPE_SEQUENCE.sub("", raw[:_CLEANED_BYTES].decode(errors="replace"))
    text = re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text).expandtabs(4)
    text = "".join(c for c in text if c == "\n" or unicodedata.category(c) not in HIDDEN)
    text = re.sub(r"[^\S\n]", " ", unicodedata.normalize("NFC", text))
    return [line.rstrip() for line in text.strip().split("\n")] if text.strip() else []


def cut(text: str, limit: int) -> str:
    """The text, or its first whole words and an ellipsis, in at most `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    words = head if text[limit - 1] == " " else head.rpartition(" ")[0]
    return (words or head).rstrip(" ,;:") + "…"


def escaped(text: str) -> str:
    """At most 120 characters of ASCII, everything else as escapes."""
    # A reason is printed and stored, so the hostile part of a path must not travel in it.
    return text.encode("unicode_escape", "backslashreplace").decode()[:120]


def visible(line: str, limit: int = 400) -> str:
    """One line in which every unsafe character is spelled out; cut after `limit` characters."""
    cut = len(line) - limit
    start = line[:limit].expandtabs(4)
    # Whatever is printable is in none of the unsafe categories; most lines are, and this is much faster.
    shown = start if start.isprintable() else "".join(map(_spelled, start))
    return f"{shown}… (+{cut} characters)" if cut > 0 else shown


def visible_lines(text: str, *, limit: int = 400, lines: int = 2000) -> list[str]:
    """At most `lines` safe lines of a text; a last one says how many more there are."""
    every = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    more = [f"… (+{len(every) - lines} lines)"] if len(every) > lines else []
    return [visible(line, limit) for line in every[:lines]] + more


def _spelled(char: str) -> str:
    return f"<U+{ord(char):04X}>" if unicodedata.category(char) in HIDDEN else char
