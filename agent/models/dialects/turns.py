"""The messages of a recorded call, in one form for every dialect.

For reading only: it takes whatever was recorded, of any shape, and never raises for what a box or a provider wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from agent.base.types import Call
from agent.models.ports import OK, Json


class Role(StrEnum):
    """Who said something."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A tool that a model asked for; `arguments` is JSON text, or whatever else the model wrote."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One message. `answers` is the id of the tool call that a message of role TOOL answers."""

    role: Role
    text: str
    thinking: str = ""
    tools: tuple[ToolCall, ...] = ()
    answers: str = ""


_ROLES = {"developer": Role.SYSTEM, **{role.value: role for role in Role}}
_APART = ("tool_result", "tool_use", "thinking", "redacted_thinking")
_THINKING = ("reasoning_content", "reasoning")


def asked(call: Call) -> list[Turn]:
    """The conversation that a call sent."""
    body = _json(call.request)
    if not isinstance(body, dict):
        return []
    if "left_out_bytes" in body:
        return [Turn(role=Role.USER, text=f"[{body['left_out_bytes']} bytes of a refused request were not kept]")]
    heads = [
        Turn(role=Role.SYSTEM, text=text) for name in ("system", "instructions") if (text := _text(body.get(name)))
    ]
    spoken = body.get("messages", body.get("input"))
    if isinstance(spoken, str):
        return [*heads, Turn(role=Role.USER, text=spoken)]
    return [*heads, *_joined(_turns(spoken))]


def answered(call: Call) -> list[Turn]:
    """What the model answered: one message for each choice; nothing for a refused call."""
    body = _json(call.response)
    if call.status != OK or not isinstance(body, dict):
        return []
    if isinstance(choices := body.get("choices"), list):
        return [*_turns([choice.get("message") for choice in choices if isinstance(choice, dict)])]
    if isinstance(items := body.get("output"), list):
        return _joined(_turns(items))
    return [*_turns([{**body, "role": "assistant"}])]


def finish(call: Call) -> str:
    """Why an answer ended, in the word of its dialect; empty where that is not said."""
    body = _json(call.response)
    if not isinstance(body, dict):
        return ""
    choices = [*_dicts(body.get("choices")), {}]
    given = choices[0].get("finish_reason") or body.get("stop_reason") or body.get("status")
    return given if isinstance(given, str) else ""


def refusal(call: Call) -> str:
    """Why a call got no answer; empty where it got one."""
    if call.status == OK:
        return ""
    body = _json(call.response)
    error = body.get("error", body) if isinstance(body, dict) else body
    said = error.get("message") if isinstance(error, dict) else error
    reason = said if isinstance(said, str) else "without a reason"
    return " ".join(f"{call.status} {reason}".split())


def tools_offered(call: Call) -> list[Json]:
    """The tools that the model could call, each as a function of Chat Completions."""
    body = _json(call.request)
    offered = body.get("tools") if isinstance(body, dict) else None
    return [_offered(tool) for tool in offered if isinstance(tool, dict)] if isinstance(offered, list) else []


def _offered(tool: Json) -> Json:
    inner = tool.get("function")
    given = inner if isinstance(inner, dict) else tool
    made = {"name": str(given.get("name", "")), "description": _text(given.get("description"))}
    parameters = given.get("parameters", given.get("input_schema"))
    return {"type": "function", "function": {**made, "parameters": parameters if isinstance(parameters, dict) else {}}}


def _json(raw: bytes) -> Any:
    try:
        value = json.loads(raw)
        # An escape can stand for half of a character, which UTF-8 cannot carry.
        return json.loads(_whole(json.dumps(value, ensure_ascii=False))) if b"\\ud" in raw.lower() else value
    except (ValueError, RecursionError):
        return None


def _whole(text: str) -> str:
    """Text without halves of characters."""
    return text.encode(errors="replace").decode()


# ------------------------------------------------------------------------------------ messages


def _turns(items: Any) -> Iterator[Turn]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield from _item(item)


def _item(item: Json) -> Iterator[Turn]:
    """A message of any dialect, or an item of Responses."""
    kind = str(item.get("type", "message"))
    if kind.endswith("_output"):
        yield Turn(role=Role.TOOL, text=_text(item.get("output")), answers=str(item.get("call_id", "")))
    elif kind == "reasoning":
        yield Turn(role=Role.ASSISTANT, text="", thinking=_text(item.get("summary")) or _text(item.get("content")))
    elif kind.endswith("_call"):
        yield Turn(role=Role.ASSISTANT, text="", tools=(_tool(item),))
    else:
        yield from _message(item)


def _message(item: Json) -> Iterator[Turn]:
    role = _ROLES.get(str(item.get("role")), Role.USER)
    content = item.get("content")
    blocks = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    for block in blocks:
        if block.get("type") == "tool_result":
            yield Turn(role=Role.TOOL, text=_text(block.get("content")), answers=str(block.get("tool_use_id", "")))
    thoughts = [*(item.get(name) for name in _THINKING), *(b for b in blocks if b.get("type") == "thinking")]
    called = [*_dicts(item.get("tool_calls")), *(b for b in blocks if b.get("type") == "tool_use")]
    turn = Turn(
        role=role,
        text=_said(content) or _text(item.get("refusal")),
        thinking=next(filter(None, map(_thought, thoughts)), ""),
        tools=tuple(map(_tool, called)),
        answers=str(item.get("tool_call_id", "")),
    )
    if turn.text or turn.thinking or turn.tools or role is Role.TOOL or not blocks:
        yield turn


def _said(content: Any) -> str:
    """A content's text without the blocks that are told apart from it."""
    if not isinstance(content, list):
        return _text(content)
    return _text([part for part in content if not (isinstance(part, dict) and part.get("type") in _APART)])


def _thought(value: Any) -> str:
    return _text(value.get("thinking")) if isinstance(value, dict) else _text(value)


def _tool(item: Json) -> ToolCall:
    inner = item.get("function")
    given = inner if isinstance(inner, dict) else item
    number, arguments = item.get("call_id") or item.get("id") or "", given.get("arguments", given.get("input", {}))
    return ToolCall(id=str(number), name=str(given.get("name", "")), arguments=_arguments(arguments))


def _arguments(given: Any) -> str:
    """JSON in one spelling, since a client may spell it in another way when it sends it again."""
    try:
        value = json.loads(given) if isinstance(given, str) else given
        return _whole(json.dumps(value, sort_keys=True, ensure_ascii=False))
    except (ValueError, RecursionError):
        return _whole(str(given))


def _dicts(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _joined(turns: Iterator[Turn]) -> list[Turn]:
    """The same with one message for each answer: Responses gives thoughts, text and calls as items of their own."""
    made: list[Turn] = []
    for turn in turns:
        last = made[-1] if made else None
        if last is None or last.role is not Role.ASSISTANT or turn.role is not Role.ASSISTANT:
            made.append(turn)
            continue
        text = "\n".join(filter(None, (last.text, turn.text)))
        made[-1] = replace(last, text=text, thinking=last.thinking or turn.thinking, tools=last.tools + turn.tools)
    return made


def _text(value: Any, depth: int = 8) -> str:
    """The readable part of a content; what is not text is named in brackets."""
    if isinstance(value, str):
        return value
    if not depth:
        return "[...]"
    if isinstance(value, list):
        return "\n".join(filter(None, (_text(part, depth - 1) for part in value)))
    if not isinstance(value, dict):
        return ""
    inside = next((value[name] for name in ("text", "refusal", "content", "output") if value.get(name)), None)
    if inside is not None:
        return _text(inside, depth - 1)
    return f"[{value['type']}]" if isinstance(value.get("type"), str) else ""
