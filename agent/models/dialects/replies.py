"""What providers answer, brought into the one form that the rest of the gateway reads.

Each oddity that was seen has one answer here: an error is a failed call however it is dressed, and nothing that was
cut short passes as whole.
"""

from __future__ import annotations

import json
from typing import Any

from agent.models.dialects import assemble, calls
from agent.models.ports import Blame, Dialect, Json, Trouble

_BUSY = ("429", "502", "503", "504", "529")
_FINISH = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "stop_token": "stop",
    "completed": "stop",
    "complete": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
}
_KNOWN = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_BROKEN = frozenset({"error", "malformed_function_call", "abort", "cancelled", "insufficient_system_resource"})


def read(native: Dialect, text: str, *, finish_optional: bool = False) -> Json:
    """A complete answer out of a body. `finish_optional`: this server never says why an answer ended.

    Raises:
        Trouble: the body is not JSON, is an error, or says that the answer is not whole.
    """
    answer = assemble.assembled(native, text) if assemble.is_stream(text) else _parsed(text)
    if answer.get("error"):
        raise _failed(answer["error"])
    if native is Dialect.MESSAGES:
        return _message(answer)
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return answer
    return {**answer, "choices": [_choice(choice, finish_optional=finish_optional) for choice in choices]}


def _parsed(text: str) -> Json:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise Trouble(f"the provider's answer is not JSON: {shown(text)}") from None
    if not isinstance(answer, dict):
        raise Trouble(f"the provider's answer is not a JSON object: {shown(text)}")
    return answer


def shown(text: str) -> str:
    """The beginning of a body, on one line."""
    return " ".join(text[:300].split()) or "nothing"


def _failed(error: Any) -> Trouble:
    """A failed call of the provider, by its code if it gives one."""
    message, code = said(error)
    text = f"the provider answered with an error: {message[:500]}"
    return Trouble(f"{text} ({code})" if code else text, blame=Blame.BUSY if code in _BUSY else Blame.BROKEN)


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


def _choice(choice: Any, *, finish_optional: bool) -> Any:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return choice
    if choice.get("error"):
        raise _failed(choice["error"])
    message = {"role": "assistant", "content": None, **choice["message"]}
    given = message.get("tool_calls")
    if isinstance(given, list) and all(isinstance(call, dict) for call in given):
        message["tool_calls"] = calls.numbered(given)
    finish = _finish(choice, called=bool(given), optional=finish_optional)
    return {**choice, "message": message, "finish_reason": finish}


def _finish(choice: Json, *, called: bool, optional: bool) -> Any:
    native = str(choice.get("native_finish_reason") or "").lower()
    given = choice.get("finish_reason") or native or ("stop" if optional else None)
    if not isinstance(given, str):
        return None
    word = given.lower()
    if word in _BROKEN or native in _BROKEN:
        raise Trouble(f"the provider says that it did not finish its answer: {(native or word)[:50]}")
    word = word if word in _KNOWN else _FINISH.get(word, "")
    if not word:
        raise Trouble(f"the provider's finish reason {given[:50]!r} is not known")
    # Clients run tools only where the reason says so, and several servers say `stop` for calls as well.
    return "tool_calls" if called and word == "stop" else word


def _message(answer: Json) -> Json:
    content = answer.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return answer
    uses = calls.numbered([block for block in content if block.get("type") == "tool_use"])
    fixed = iter([{**use, "input": calls.as_input(use.get("input"))} for use in uses])
    return {**answer, "content": [next(fixed) if block.get("type") == "tool_use" else block for block in content]}
