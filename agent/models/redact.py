"""Keys never leave this process: every text that could echo one goes through a Redactor."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[key removed]"
_MIN_KEY = 6


def _spellings(key: str) -> set[str]:
    """A key as it may turn up in a text: plain, URL-encoded, base64 at each of the three alignments."""
    raw = key.encode()
    found = {key, json.dumps(key)[1:-1], quote(key, safe=""), quote(key), quote_plus(key)}
    for shift in range(3):
        padded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        core = padded[(0, 2, 3)[shift] : len(padded) - 1]
        found |= {core, core.translate(str.maketrans("+/", "-_"))}
    return {text for text in found if len(text) >= _MIN_KEY}


class Redactor:
    """Replaces every spelling of the given keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        spellings = {text for key in keys if len(key) >= _MIN_KEY for text in _spellings(key)}
        ordered = sorted(spellings, key=len, reverse=True)
        self._text = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._bytes = re.compile(self._text.pattern.encode()) if self._text else None

    def text(self, text: str) -> str:
        """The text without keys."""
        return self._text.sub(MASK, text) if self._text else text

    def raw(self, data: bytes) -> bytes:
        """The bytes without keys."""
        return self._bytes.sub(MASK.encode(), data) if self._bytes else data
