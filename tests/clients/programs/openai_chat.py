"""OpenAI SDK, Chat Completions: two turns with a tool, complete and then streamed."""

# A client program that runs in a box: it prints its transcript.
# ruff: noqa: ANN001, ANN201, T201

import os

from openai import OpenAI

MODEL = os.environ["RATCHET_MODEL"]
TOOL = {
    "type": "function",
    "function": {
        "name": "write",
        "description": "Write a file",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path", "content"],
            "additionalProperties": False,
        },
    },
}
CLIENT = OpenAI()


def ask(messages, *, stream):
    request = {
        "model": MODEL,
        "messages": messages,
        "tools": [TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning_effort": "low",
        "verbosity": "low",
        "max_completion_tokens": 4000,
        "prompt_cache_key": "key",
        "safety_identifier": "somebody",
        "store": False,
    }
    if not stream:
        return CLIENT.chat.completions.create(**request).choices[0].message
    with CLIENT.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message


def converse(*, stream):
    messages = [
        {"role": "developer", "content": "You write files."},
        {"role": "user", "content": [{"type": "text", "text": "Write solution.py"}]},
    ]
    message = ask(messages, stream=stream)
    messages.append(message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "written"} for call in message.tool_calls]
    print(ask(messages, stream=stream).content)


converse(stream=False)
converse(stream=True)
