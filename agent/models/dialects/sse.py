"""Server-sent events, written."""

from __future__ import annotations

import json

from agent.models.ports import Json


def event(data: Json, name: str | None = None) -> bytes:
    """One event; named in the dialects that name theirs."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
