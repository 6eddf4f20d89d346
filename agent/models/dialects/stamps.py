"""Marks of chance and time that a client prints before the output of its tools.

Codex's shell prints `Chunk ID: 5019c9` and `Wall time: 0.0312 seconds`. With them no question after a tool call would
be the same in both boxes of a pair, and nothing would be shared. So the id is taken out and the time is told by powers
of two: in the question and in what goes to the provider alike, or a box could choose by its marks what the other side
of its pair is answered.
Not covered: times on two sides of a power of two, which ask the provider twice; marks in the output itself.
"""

from __future__ import annotations

import re
from typing import Any

from agent.models.ports import Json

NAME = "input[].output.stamps"
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_HEAD = re.compile(
    r"\A(Exit code: -?\d{1,9}\n)?(?:Chunk ID: [0-9a-f]{1,16}\n)?Wall time: (\d{1,9})(?:\.\d{1,9})? seconds\n"
)


def blurred(items: Any) -> tuple[Any, bool]:
    """The items of a conversation without such marks, and whether there were any."""
    if not isinstance(items, list):
        return items, False
    made = [_item(item) for item in items]
    return (made, True) if made != items else (items, False)


def _item(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type") not in _OUTPUTS:
        return item
    return {**item, "output": _output(item.get("output"))}


def _output(output: Any) -> Any:
    if isinstance(output, str):
        return _HEAD.sub(_told, output)
    if isinstance(output, list):
        return [_part(part) for part in output]
    return output


def _part(part: Any) -> Any:
    text = part.get("text") if isinstance(part, dict) else None
    made: Json | Any = {**part, "text": _HEAD.sub(_told, text)} if isinstance(text, str) else part
    return made


def _told(head: re.Match[str]) -> str:
    seconds = int(head[2])
    low = 1 << (seconds.bit_length() - 1) if seconds else 0
    time = f"{low} to {2 * low} seconds" if low else "under 1 second"
    return f"{head[1] or ''}Wall time: {time}\n"
