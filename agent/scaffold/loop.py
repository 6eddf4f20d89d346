"""The agent loop for capable models: think, use a tool, see its result, until finished or out of steps."""

from __future__ import annotations

import json
from typing import Any

from agent.scaffold.model import Model, OutOfTime, text_of
from agent.scaffold.place import Place, say
from agent.scaffold.prompting import render, tool
from agent.scaffold.tools import NAMES, Toolbox

STEPS = 50
REPLY_TOKENS = 4096
CHARS_PER_TOKEN = 3
DEFAULT_WINDOW = 32_768  # assumed where the gateway does not know the window
ELIDED = "[elided]"
REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")

Message = dict[str, Any]


def work(model: Model, place: Place, question: str, window: int | None) -> str:
    """Let the model work on the workspace; the summary that it finished with, or why it did not."""
    toolbox = Toolbox(workspace=place.workspace)
    tools = [tool(name) for name in NAMES]
    room = ((window or DEFAULT_WINDOW) - REPLY_TOKENS) * CHARS_PER_TOKEN
    messages: list[Message] = [
        {"role": "system", "content": render("agent", steps=STEPS)},
        {"role": "user", "content": question},
    ]
    say("Prompt", question)
    for step in range(1, STEPS + 1):
        fit(messages, room)
        try:
            message = model.chat(messages, tools=tools, max_tokens=REPLY_TOKENS)
        except OutOfTime as error:
            return str(error)
        messages.append(_kept(message))
        say(f"Step {step}", text_of(message.get("content")))
        calls = message.get("tool_calls") or []
        for call in calls:
            result = perform(toolbox, call, model.seconds_left)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            if call["function"]["name"] == "finish":
                return result
        if not calls:
            messages.append({"role": "user", "content": render("agent_nudge")})
    return f"not finished within {STEPS} steps"


def perform(toolbox: Toolbox, call: Message, seconds: float) -> str:
    """Use the tool that one call names, and print both."""
    name, raw = call["function"]["name"], call["function"]["arguments"] or "{}"
    try:
        result = toolbox.use(name, dict(json.loads(raw)), seconds)
    except (TypeError, ValueError) as error:
        result = f"error: the arguments are not a JSON object: {error}"
    say(f"Tool {name}", f"{raw}\n\n{result}")
    return result


def fit(messages: list[Message], room: int) -> None:
    """Keep the conversation within `room` characters: the oldest tool results go first, the last one stays."""
    results = [message for message in messages if message["role"] == "tool"][:-1]
    size = sum(len(json.dumps(message)) for message in messages)
    for message in results:
        if size <= room:
            return
        size -= len(message["content"]) - len(ELIDED)
        message["content"] = ELIDED


def _kept(message: Message) -> Message:
    """The parts of an answer that are sent back as they came; models that reason want their reasoning again."""
    kept: Message = {"role": "assistant", "content": message.get("content") or ""}
    for name in ("tool_calls", *REASONING):
        if message.get(name):
            kept[name] = message[name]
    return kept
