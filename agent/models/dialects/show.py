"""Recorded calls, for reading: one line each for a list, the whole conversation for one."""

from __future__ import annotations

import json
from typing import Any

from agent.base.types import Call
from agent.models.ports import Json

_WIDTH = 60


def row(call: Call) -> dict[str, str]:
    """One call as columns of a table."""
    tokens = f"{call.tokens_in}+{call.tokens_out}"
    cost = "?" if call.dollars is None else f"${call.dollars:.4f}"
    return {
        "trial": call.trial,
        "role": call.role,
        "model": call.model,
        "status": str(call.status),
        "source": "fresh" if call.fresh else "shared",
        "tokens": f"{tokens} ({call.cache_read} cached)" if call.cache_read else tokens,
        "cost": cost if call.fresh else f"({cost})",
        "seconds": f"{call.seconds:.2f}",
        "retries": str(call.retries),
        "key": f"{call.key[:12]}#{call.k}",
        "answer": " ".join(answer(call).split())[:_WIDTH],
    }


def conversation(call: Call) -> str:
    """The whole call as text: parameters, what was said, what was answered."""
    body = json.loads(call.request)
    spoken = body.get("messages", body.get("input", []))
    listed = spoken if isinstance(spoken, list) else [{"role": "user", "content": spoken}]
    parts = [_parameters(body)]
    parts += [f"not sent: {', '.join(call.left_out)}"] if call.left_out else []
    parts += [_said("system", body[name]) for name in ("system", "instructions") if body.get(name)]
    parts += [_said(str(m.get("role", m.get("type", "?"))), m) for m in listed if isinstance(m, dict)]
    parts.append(_said("answer", answer(call)))
    return "\n\n".join(parts) + "\n"


def answer(call: Call) -> str:
    """What came back, as text."""
    return _text(json.loads(call.response))


def _parameters(body: Json) -> str:
    shown = {k: v for k, v in body.items() if k not in ("messages", "input", "system", "instructions")}
    return "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in shown.items())


def _said(who: str, what: Any) -> str:
    return f"--- {who}\n{_text(what)}"


def _text(value: Any) -> str:
    """The readable part of any dialect's message, answer or error."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if not isinstance(value, dict):
        return ""
    if value.get("type") in ("tool_use", "function_call", "function"):
        return json.dumps(value, ensure_ascii=False)
    inside = ("error", "choices", "message", "output", "text", "refusal", "content", "tool_calls")
    return "\n".join(filter(None, (_text(value[name]) for name in inside if value.get(name))))
