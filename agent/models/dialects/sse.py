"""Server-sent events, written."""

from __future__ import annotations

import json

from agent.models.ports import Json

COMMENT = b": waiting for the model\n\n"
"""A line that every reader of server-sent events skips."""


def event(data: Json, name: str | None = None) -> bytes:
    """One event; named in the dialects that name theirs."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
