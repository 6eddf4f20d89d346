"""A provider's errors, in whichever shape and at whichever place of an answer they come."""

from __future__ import annotations

import json
from typing import Any

from agent.models.ports import Blame, Json, Trouble

_BUSY = ("429", "502", "503", "504", "529")
FINISHED = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
"""The finish reasons of an answer that is whole, or was cut off where the box or the model's rules said."""


def failed(error: Any, *, billed: bool = False) -> Trouble:
    """A failed call of the provider, sorted by the code of its error if it gives one."""
    message, code = said(error)
    text = f"the provider answered with an error: {message[:500]}"
    blame = Blame.BUSY if code in _BUSY else Blame.BROKEN
    return Trouble(f"{text} ({code})" if code else text, blame=blame, billed=billed)


def check_choice(choice: Json) -> None:
    """Refuse a choice that is an error, or that was not finished. Raises Trouble."""
    if choice.get("error"):
        raise failed(choice["error"])
    reason = choice.get("finish_reason")
    if not reason:
        why = "it was cut short, or this server never sends one: then set `finish_reason: optional`"
        raise Trouble(f"the provider's answer has no finish reason: {why}")
    if reason not in FINISHED:
        raise Trouble(f"the provider did not finish its answer: its finish reason is {str(reason)[:50]!r}")


def said(error: Any) -> tuple[str, str | None]:
    """Message and code of an error in any of the shapes that servers use: an object, a text, a list of either."""
    if isinstance(error, list):
        return said(error[0]) if error else ("?", None)
    if not isinstance(error, dict):
        return str(error), None
    inner = error.get("error")
    if isinstance(inner, dict | str | list) and inner:
        return said(inner)
    message = next((error[name] for name in ("message", "msg", "detail", "error_message") if error.get(name)), None)
    if isinstance(message, list | dict):
        message = said(message)[0]
    where = ".".join(map(str, error["loc"])) + ": " if isinstance(error.get("loc"), list) else ""
    code = error.get("code") or error.get("type") or error.get("status")
    return where + str(message if message is not None else json.dumps(error)[:300]), str(code) if code else None
