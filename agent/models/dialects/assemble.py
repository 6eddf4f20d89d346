"""A provider's stream put together into the one answer that it stands for; one that breaks off is not an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agent.models.dialects import calls
from agent.models.ports import Dialect, Json, Trouble


def is_stream(text: str) -> bool:
    """Whether a body is server-sent events: some servers stream although nobody asked, some do nothing else."""
    return text.lstrip()[:6].startswith(("data:", "event:", ":"))


def assembled(native: Dialect, text: str) -> Json:
    """The answer in a stream.

    Raises:
        Trouble: the stream holds something that is not JSON. An error in it is part of the answer.
    """
    answer: Json = {}
    for data in _data(text):
        if data.get("error"):
            return {"error": data["error"]}
        _ADD[native](answer, data)
    return _finished(answer) if native is Dialect.MESSAGES else answer


def _data(text: str) -> Iterator[Json]:
    for line in text.splitlines():
        if not line.startswith("data:") or line[5:].strip() in ("", "[DONE]"):
            continue
        try:
            data = json.loads(line[5:])
        except ValueError:
            raise Trouble("the provider's stream holds an event that is not JSON", billed=True) from None
        if isinstance(data, dict):
            yield data


def _add_chunk(answer: Json, chunk: Json) -> None:
    """One chunk of Chat Completions."""
    for name, value in chunk.items():
        if name not in ("choices", "object") and value is not None:
            answer[name] = value
    answer["object"] = "chat.completion"
    choices = answer.setdefault("choices", [])
    for part in chunk.get("choices") or ():
        index = part.get("index") or 0
        choice = next((c for c in choices if c["index"] == index), None)
        if choice is None:
            choice = {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
            choices.append(choice)
        _add_delta(choice["message"], part.get("delta") or {})
        choice |= {k: v for k, v in part.items() if k not in ("index", "delta") and v is not None}


def _add_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if value is None or name == "role":
            continue
        if name == "tool_calls":
            _add_calls(message.setdefault("tool_calls", []), value)
        else:
            message[name] = _joined(message.get(name), value)


def _joined(before: Any, more: Any) -> Any:
    if isinstance(before, str) and isinstance(more, str):
        return before + more
    if isinstance(before, list) and isinstance(more, list):
        return before + more
    if isinstance(before, str) and isinstance(more, list):
        return ([{"type": "text", "text": before}] if before else []) + more
    if isinstance(before, list) and isinstance(more, str):
        return [*before, {"type": "text", "text": more}]
    return more


def _add_calls(made: list[Json], deltas: list[Json]) -> None:
    for delta in deltas:
        index = delta.get("index", len(made))
        call = next((c for c in made if c["index"] == index), None)
        if call is None:
            call = {"index": index, "type": "function", "function": {"name": "", "arguments": ""}}
            made.append(call)
        function = delta.get("function") or {}
        call |= {k: v for k, v in delta.items() if k not in ("index", "function") and v is not None}
        for name, value in function.items():
            if value is not None:
                call["function"][name] = _joined(call["function"].get(name), value)


def _add_event(answer: Json, data: Json) -> None:
    """One event of Messages."""
    kind = data.get("type")
    if kind == "message_start":
        answer |= {**data["message"], "content": []}
    elif kind == "content_block_start":
        answer["content"].append(dict(data["content_block"]))
    elif kind == "content_block_delta":
        _add_block_delta(answer["content"][data["index"]], data["delta"])
    elif kind == "message_delta":
        answer |= data["delta"]
        answer["usage"] = {**(answer.get("usage") or {}), **(data.get("usage") or {})}


_FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_RAW = "partial_json"


def _add_block_delta(block: Json, delta: Json) -> None:
    field = _FIELDS.get(str(delta.get("type")), _RAW if delta.get("type") == "input_json_delta" else None)
    if field is not None:
        block[field] = block.get(field, "") + delta[field]


def _finished(answer: Json) -> Json:
    for block in answer.get("content") or ():
        if _RAW in block:
            block["input"] = calls.as_input(block.pop(_RAW))
    return answer


_ADD = {Dialect.CHAT: _add_chunk, Dialect.MESSAGES: _add_event}
