"""What providers answer, brought into the one form that the rest of the gateway reads.

Each oddity that was seen has one answer here. What is wrong with an answer is judged later, by `complete` of its
dialect, so that whatever the provider generated is booked first; only what is not an answer at all is refused here.
"""

from __future__ import annotations

import json
from typing import Any

from agent.models.dialects import assemble, calls, faults
from agent.models.ports import Dialect, Json, Trouble

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
_BROKEN = frozenset({"error", "malformed_function_call", "abort", "cancelled", "insufficient_system_resource"})


def read(native: Dialect, text: str, *, finish_optional: bool = False) -> Json:
    """A complete answer out of a body. `finish_optional`: this server never says why an answer ended.

    Raises:
        Trouble: the body is not JSON, is an error, or says that the answer is not whole.
    """
    answer = assemble.assembled(native, text) if assemble.is_stream(text) else _parsed(text)
    if answer.get("error"):
        raise faults.failed(answer["error"], billed=assemble.is_stream(text))
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
        raise Trouble(f"the provider's answer is not JSON: {shown(text)}", billed=True) from None
    if not isinstance(answer, dict):
        raise Trouble(f"the provider's answer is not a JSON object: {shown(text)}", billed=True)
    return answer


def shown(text: str) -> str:
    """The beginning of a body, on one line."""
    return " ".join(text[:300].split()) or "nothing"


def _choice(choice: Any, *, finish_optional: bool) -> Any:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return choice
    message = {"role": "assistant", "content": None, **choice["message"]}
    given = message.get("tool_calls")
    if isinstance(given, list) and all(isinstance(call, dict) for call in given):
        message["tool_calls"] = calls.numbered(given)
    finish = _finish(choice, called=bool(given), optional=finish_optional)
    return {**choice, "message": message, "finish_reason": finish}


def _finish(choice: Json, *, called: bool, optional: bool) -> Any:
    """The finish reason in the one spelling; a reason that is not known stays as it is, and is refused as such."""
    native = str(choice.get("native_finish_reason") or "").lower()
    given = choice.get("finish_reason") or native or ("stop" if optional else None)
    if native in _BROKEN or not isinstance(given, str):
        return native or None
    word = _FINISH.get(given.lower(), given.lower())
    # Clients run tools only where the reason says so, and several servers say `stop` for calls as well.
    return "tool_calls" if called and word == "stop" else word


def _message(answer: Json) -> Json:
    content = answer.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return answer
    uses = calls.numbered([block for block in content if block.get("type") == "tool_use"])
    fixed = iter([{**use, "input": calls.as_input(use.get("input"))} for use in uses])
    return {**answer, "content": [next(fixed) if block.get("type") == "tool_use" else block for block in content]}
