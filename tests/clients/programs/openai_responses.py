"""OpenAI SDK, Responses: two turns with a function and a free-text tool, complete and then streamed."""

# A client program that runs in a box: it prints its transcript.
# ruff: noqa: ANN001, ANN201, T201

import os

from openai import OpenAI

MODEL = os.environ["RATCHET_MODEL"]
TOOLS = [
    {
        "type": "function",
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
    {"type": "custom", "name": "run", "description": "Run a script", "format": {"type": "text"}},
]
CLIENT = OpenAI()


def ask(items, *, stream):
    request = {
        "model": MODEL,
        "input": items,
        "instructions": "You write files.",
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "low"},
        "max_output_tokens": 4000,
        "prompt_cache_key": "key",
        "safety_identifier": "somebody",
        "truncation": "disabled",
        "store": False,
    }
    if not stream:
        return CLIENT.responses.create(**request)
    with CLIENT.responses.stream(**request) as events:
        return events.get_final_response()


def converse(*, stream):
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Write solution.py"}]}]
    response = ask(items, stream=stream)
    items += [item.model_dump(exclude_none=True) for item in response.output]
    for item in response.output:
        if item.type == "function_call":
            items.append({"type": "function_call_output", "call_id": item.call_id, "output": "written"})
        if item.type == "custom_tool_call":
            items.append({"type": "custom_tool_call_output", "call_id": item.call_id, "output": "done"})
    print(ask(items, stream=stream).output_text)


converse(stream=False)
converse(stream=True)
