"""Anthropic SDK: two turns with tools, complete, streamed, and with beta features; and a count of tokens."""

# A client program that runs in a box: it prints its transcript.
# ruff: noqa: ANN001, ANN201, T201

import os

from anthropic import Anthropic

MODEL = os.environ["RATCHET_MODEL"]
SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path", "content"],
    "additionalProperties": False,
}
TOOL = {"name": "write", "description": "Write a file", "input_schema": SCHEMA, "strict": True}
SYSTEM = [{"type": "text", "text": "You write files.", "cache_control": {"type": "ephemeral"}}]
CLIENT = Anthropic()


def plain(messages):
    return {
        "model": MODEL,
        "max_tokens": 4000,
        "system": SYSTEM,
        "messages": messages,
        "tools": [{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "stop_sequences": ["STOP"],
    }


def beta(messages):
    return {
        "model": MODEL,
        "max_tokens": 4000,
        "system": SYSTEM,
        "messages": messages,
        "tools": [TOOL, {**TOOL, "name": "append", "eager_input_streaming": True}],
        "tool_choice": {"type": "any"},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "betas": ["context-management-2025-06-27"],
    }


def ask(messages, how):
    if how == "complete":
        return CLIENT.messages.create(**plain(messages))
    stream = CLIENT.beta.messages.stream if how == "beta" else CLIENT.messages.stream
    with stream(**(beta if how == "beta" else plain)(messages)) as events:
        return events.get_final_message()


def converse(how):
    messages = [{"role": "user", "content": "Write solution.py"}]
    message = ask(messages, how)
    messages.append(
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}
    )
    used = [block for block in message.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "written"} for block in used]
    messages.append({"role": "user", "content": results})
    print(ask(messages, how).content[-1].text)


for way in ("complete", "stream", "beta"):
    converse(way)
counted = CLIENT.messages.count_tokens(
    model=MODEL, system=SYSTEM, messages=[{"role": "user", "content": "hi"}], tools=[TOOL]
)
print(counted.input_tokens)
