"""The first answers of each role: if none of them is of any use, a campaign would spend its night on nothing."""

from __future__ import annotations

from collections import Counter

from agent.models.dialects import translate
from agent.models.ports import MISSHAPEN, BadCall, Dialect, Json, Learned, Trouble

LOOKED_AT = 5
"""A model may well say nothing once or twice."""


class FirstAnswers:
    """Warns, once a role, when its first answers are all empty or refused."""

    def __init__(self, learned: Learned) -> None:
        self._learned = learned
        self._useless: dict[str, list[str]] = {}
        self._settled: set[str] = set()

    def answered(self, role: str, model: str, native: Dialect, raw: Json) -> None:
        """One complete answer of a provider, in its own dialect."""
        if role not in self._settled:
            self._see(role, model, _useless(native, raw))

    def refused(self, role: str, model: str, error: BadCall) -> None:
        """A provider refused the request, and works otherwise."""
        if role not in self._settled:
            self._see(role, model, f"refused the request: {error}")

    def _see(self, role: str, model: str, why: str | None) -> None:
        seen = self._useless.setdefault(role, [])
        if why is None:
            self._settled.add(role)
            return
        seen.append(why)
        if len(seen) >= LOOKED_AT:
            self._settled.add(role)
            cause, _ = Counter(seen).most_common(1)[0]
            self._learned.warn(f"models.{role}: none of the first {LOOKED_AT} answers is of use; {model} {cause}")


def _useless(native: Dialect, raw: Json) -> str | None:
    try:
        return empty(translate.answer(native, Dialect.CHAT, raw, {}))
    except (*MISSHAPEN, Trouble):
        return None


def empty(answer: Json) -> str | None:
    """Why a chat answer says nothing, in words; None if it says something."""
    message = answer["choices"][0]["message"]
    if message.get("content") or message.get("tool_calls") or message.get("refusal"):
        return None
    if any(message.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details")):
        return "answered nothing but reasoning: turn its thinking off (`ratchet docs models`), or raise `max_output`"
    return "answered with an empty text"
