"""What a box sees of an answer holds no trace of other boxes.

Covered: token counts that tell of a cache, ids (of answers, items and tool calls), times of creation, fingerprints,
tiers, the provider's own name for the model, unknown fields beside the answer, request ids in error messages. Ids are
made from what the box knows itself: the question and how often it asked. Headers of the provider never reach a box,
and ours carry no time. Who shares an answer waits as long as who paid (`sharing`), and what others spent is not told
(`bill`).
Not covered: how fast the provider works, which depends on everybody's load and on its prompt cache; an id of more than
64 characters, which some providers use to carry state; text and reasoning of the answer itself.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from agent.models.ports import Dialect, Json, Tokens

_LONGEST_ID = 64
_ID_LENGTH = 9  # what the strictest provider accepts as the id of a tool call: nine letters or digits
_REQUEST_IDS = re.compile(r"\(?\brequest[_ -]?id\b\W{0,4}[\w-]+\)?|\breq_[\w-]+", re.IGNORECASE)
_CHOICE = ("index", "message", "finish_reason", "logprobs")
_MESSAGE = ("type", "role", "content", "stop_reason", "stop_sequence")
_ITEM_IDS = {"message": "msg", "function_call": "fc", "reasoning": "rs"}


def identity(key: str, k: int) -> str:
    """The id of the k-th answer to a question."""
    return hashlib.sha256(f"{key}/{k}".encode()).hexdigest()[:24]


def from_provider(native: Dialect, raw: Json, identity: str, model: str, used: Tokens) -> Json:
    """A provider's answer as if it had been given to this box alone, in the provider's dialect."""
    if native is Dialect.MESSAGES:
        return _message(raw, identity, model, used)
    choices = [
        {name: choice[name] for name in _CHOICE if name in choice} | {"message": _said(choice["message"], identity, i)}
        for i, choice in enumerate(raw["choices"])
    ]
    head = {"id": f"chatcmpl-{identity}", "object": "chat.completion", "created": 0, "model": model}
    return {**head, "choices": choices, "usage": _chat_usage(raw, used)}


def to_box(dialect: Dialect, answer: Json, identity: str) -> Json:
    """The same in the box's dialect: what translating added may not tell of a time or a counter either."""
    if dialect is Dialect.CHAT:
        return {**answer, "created": 0}
    if dialect is Dialect.RESPONSES:
        items = [_item(item, identity, i) for i, item in enumerate(answer["output"])]
        return {**answer, "id": f"resp_{identity}", "created_at": 0, "output": items}
    return answer


def error_text(text: str) -> str:
    """A provider's error message without the ids of requests."""
    return _REQUEST_IDS.sub("", text).strip()


def _message(raw: Json, identity: str, model: str, used: Tokens) -> Json:
    content = [_block(block, f"{identity}/{i}") for i, block in enumerate(raw["content"])]
    usage = {
        "input_tokens": used.input,
        "output_tokens": used.output,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    kept = {name: raw[name] for name in _MESSAGE if name in raw}
    return (
        {"type": "message", "role": "assistant", "stop_sequence": None}
        | kept
        | {
            "id": f"msg_{identity}",
            "model": model,
            "content": content,
            "usage": usage,
        }
    )


def _block(block: Json, seed: str) -> Json:
    return {**block, "id": _call_id(block["id"], seed)} if block.get("type") == "tool_use" else block


def _said(message: Json, identity: str, choice: int) -> Json:
    calls = message.get("tool_calls")
    if not calls:
        return message
    named = [{**call, "id": _call_id(call.get("id"), f"{identity}/{choice}/{i}")} for i, call in enumerate(calls)]
    return {**message, "tool_calls": named}


def _call_id(given: Any, seed: str) -> str:
    if isinstance(given, str) and len(given) > _LONGEST_ID:
        return given
    return hashlib.sha256(seed.encode()).hexdigest()[:_ID_LENGTH]


def _chat_usage(raw: Json, used: Tokens) -> Json:
    usage: Json = {"prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.total}
    given = raw.get("usage")
    details = given.get("completion_tokens_details") if isinstance(given, dict) else None
    thought = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if isinstance(thought, int) and 0 < thought <= used.output:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


def _item(item: Json, identity: str, index: int) -> Json:
    if "id" not in item:
        return item
    kind = str(item.get("type"))
    return {**item, "id": f"{_ITEM_IDS.get(kind, kind[:12])}_{identity}_{index}"}
