"""Reasoning on its way between dialects: nothing of it may be lost or changed, or a provider refuses the next turn.

Providers of Chat Completions put reasoning into several fields of a message, into chunks of its content, or beside
the arguments of its tool calls. Where a box speaks another dialect, all of that travels inside the one opaque field
that its clients send back untouched: a thinking block's `signature`, a reasoning item's `encrypted_content`.
"""

from __future__ import annotations

import base64
import binascii
import json
from itertools import zip_longest
from typing import Any

from agent.models.dialects import checks
from agent.models.ports import Json

FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
"""Fields of a chat message that hold reasoning. `thinking_blocks` are signed blocks of Messages, whole."""

MARK = "ratchet."
_CALL = frozenset({"id", "type", "function", "index"})


def text(message: Json) -> str:
    """The readable part of a chat message's reasoning."""
    for field in ("reasoning_content", "reasoning"):
        if isinstance(message.get(field), str) and message[field]:
            said: str = message[field]
            return said
    blocks = message.get("thinking_blocks") or message.get("reasoning_details") or _chunks(message.get("content"))
    return "".join(_said(block) for block in blocks) if isinstance(blocks, list) else ""


def _chunks(content: Any) -> list[Any]:
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, dict) and part.get("type") == "thinking"]


def _said(block: Any) -> str:
    if not isinstance(block, dict):
        return ""
    said = next((block[name] for name in ("thinking", "text", "summary") if block.get(name)), "")
    if isinstance(said, list):
        return "".join(_said(part) for part in said)
    return said if isinstance(said, str) else ""


def pack(message: Json) -> str | None:
    """Everything about a chat message's reasoning as one opaque word; None if it has none."""
    kept: Json = {name: message[name] for name in FIELDS if message.get(name)}
    if _chunks(message.get("content")):
        kept["content"] = message["content"]
    extras = [_extras(call) for call in message.get("tool_calls") or ()]
    if any(extras):
        kept["calls"] = extras
    if not kept:
        return None
    raw = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return MARK + base64.urlsafe_b64encode(raw).decode()


def _extras(call: Json) -> Json:
    """What a tool call holds beside its name and arguments: a thought's signature."""
    function = call.get("function")
    inside = {k: v for k, v in function.items() if k not in ("name", "arguments")} if isinstance(function, dict) else {}
    beside = {name: value for name, value in call.items() if name not in _CALL}
    return {**beside, **({"function": inside} if inside else {})}


def packed(word: object) -> bool:
    """Whether an opaque field was filled by `pack`."""
    return isinstance(word, str) and word.startswith(MARK)


def unpack(word: object) -> Json:
    """What `pack` put into a word; empty for any other word. A box may send anything here."""
    if not isinstance(word, str) or not packed(word):
        return {}
    try:
        kept = json.loads(base64.urlsafe_b64decode(word.removeprefix(MARK)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and not checks.is_deep(kept) else {}


def restore(message: Json, kept: Json) -> Json:
    """A chat message with its reasoning back in the fields that it came in."""
    made = {**message, **{name: kept[name] for name in FIELDS if kept.get(name)}}
    content = kept.get("content")
    if isinstance(content, list) and _plain(content) == (message.get("content") or ""):
        made["content"] = content
    extras = kept.get("calls")
    if isinstance(extras, list) and made.get("tool_calls"):
        # By position: ids may have been replaced on the way.
        made["tool_calls"] = [_with_extras(*pair) for pair in zip_longest(made["tool_calls"], extras) if pair[0]]
    return made


def _plain(content: list[Any]) -> str:
    return "".join(str(p["text"]) for p in content if isinstance(p, dict) and p.get("type") == "text" and "text" in p)


def _with_extras(call: Json, extras: Any) -> Json:
    if not isinstance(extras, dict):
        return call
    inside = extras.get("function")
    function = {**(inside if isinstance(inside, dict) else {}), **call["function"]}
    beside = {name: value for name, value in extras.items() if name not in _CALL}
    return {**call, **beside, "function": function}
