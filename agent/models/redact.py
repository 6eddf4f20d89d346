"""Keys never leave this process: every text that could echo one goes through a Redactor."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[key removed]"
_NUMBER = re.compile(r"[0-9.eE+-]+")
_NUMBER_MASK = "1"
"""A key that could be a JSON number is replaced by one, so that what a box wrote stays JSON."""
_MIN_KEY = 8
_COMMON = re.compile(
    r"""a|abc|admin|any|anything|api|apikey|bar|bearer|change|changeme|cpp|default|demo|dummy|empty|example|fake|foo|free
    |here|ignored?|is|key|llama|llamacpp|lm|local|localhost|me|mock|model|na|needed|no|none|not|nothing|null|ollama|open
    |openai|anthropic|password|placeholder|proxy|required|sample|secret|server|sk|some|something|string|studio|test
    |testing|the|this|todo|token|true|unused|user|value|vllm|whatever|x+|your""",
    re.VERBOSE,
)
_SHORT_NUMBER = re.compile(r"[0-9]{1,6}")


def is_dummy(key: str) -> bool:
    """Whether a key is short, or made of common words: servers that need none get one, and it needs no hiding.

    Removed from answers, such a key would change what a model says about placeholders, or about its own name.
    """
    parts = [part for part in re.split(r"[\s_.:/-]+", key.lower()) if part]
    words = [part for part in parts if not _SHORT_NUMBER.fullmatch(part)]
    return len(key) < _MIN_KEY or (bool(words) and all(_COMMON.fullmatch(word) for word in words))


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
    """Replaces every spelling of the given keys; dummy keys stay."""

    def __init__(self, keys: Iterable[str]) -> None:
        spellings = {text for key in keys if not is_dummy(key) for text in _spellings(key)}
        ordered = sorted(spellings, key=len, reverse=True)
        self._text = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._bytes = re.compile(self._text.pattern.encode()) if self._text else None

    def text(self, text: str) -> str:
        """The text without keys."""
        return self._text.sub(lambda found: _mask(found[0]), text) if self._text else text

    def raw(self, data: bytes) -> bytes:
        """The bytes without keys."""
        return self._bytes.sub(lambda found: _mask(found[0].decode()).encode(), data) if self._bytes else data


def _mask(key: str) -> str:
    return _NUMBER_MASK if _NUMBER.fullmatch(key) else MASK
