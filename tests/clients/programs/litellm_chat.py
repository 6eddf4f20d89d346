"""LiteLLM towards an OpenAI and an Anthropic endpoint: two turns with a tool, complete and then streamed."""

# A client program that runs in a box: it prints its transcript.
# ruff: noqa: ANN001, ANN201, T201

import os
import sys

import litellm

MODEL = f"{sys.argv[1]}/{os.environ['RATCHET_MODEL']}"
BASE = os.environ["OPENAI_BASE_URL" if sys.argv[1] == "openai" else "ANTHROPIC_BASE_URL"]
TOOL = {
    "type": "function",
    "function": {
        "name": "write",
        "description": "Write a file",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path", "content"],
        },
    },
}


def ask(messages, *, stream):
    request = {
        "model": MODEL,
        "api_base": BASE,
        "api_key": "placeholder",
        "messages": messages,
        "tools": [TOOL],
        "tool_choice": "auto",
        "max_tokens": 4000,
        "temperature": 1.0,
        "drop_params": True,
    }
    if not stream:
        return litellm.completion(**request).choices[0].message
    chunks = list(litellm.completion(**request, stream=True, stream_options={"include_usage": True}))
    return litellm.stream_chunk_builder(chunks, messages=messages).choices[0].message


def converse(*, stream):
    messages = [
        {"role": "system", "content": "You write files."},
        {"role": "user", "content": [{"type": "text", "text": "Write solution.py"}]},
    ]
    message = ask(messages, stream=stream)
    messages.append(message.model_dump())
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "written"} for call in message.tool_calls]
    print(ask(messages, stream=stream).content)


converse(stream=False)
converse(stream=True)
