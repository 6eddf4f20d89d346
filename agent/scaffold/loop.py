"""The agent loop for capable models: think, use a tool, see its result, until finished or out of steps."""

from __future__ import annotations

import json
from typing import Any

from agent.scaffold.memory import Memory
from agent.scaffold.model import Model, OutOfTime, text_of
from agent.scaffold.place import Place, say
from agent.scaffold.prompting import render, tool
from agent.scaffold.tools import NAMES, Toolbox

STEPS = 50
LEAST_REPLY, LONGEST_REPLY = 2048, 16_384  # tokens; a reasoning model thinks within them, too
REPLY_SHARE = 4  # part of the window that a reply may take
CHARS_PER_TOKEN = 3
DEFAULT_WINDOW = 32_768  # assumed where the gateway does not know the window
REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")

Message = dict[str, Any]


def work(model: Model, place: Place, question: str, window: int | None) -> str:
    """Let the model work on the workspace; the summary that it finished with, or why it did not."""
    toolbox = Toolbox(workspace=place.workspace)
    tools, reply = [tool(name) for name in NAMES], reply_tokens(window)
    room = ((window or DEFAULT_WINDOW) - reply) * CHARS_PER_TOKEN - len(json.dumps(tools))
    memory = Memory(render("agent", steps=STEPS), question, room)
    say("Prompt", question)
    for step in range(1, STEPS + 1):
        try:
            memory.fit(model, toolbox.plan)
            message = model.chat(memory.messages, tools=tools, max_tokens=reply)
        except OutOfTime as error:
            return str(error)
        calls = [call for call in message.get("tool_calls") or [] if named(call)]
        memory.add(kept(message, calls))
        say(f"Step {step}", text_of(message.get("content")))
        for call in calls:
            result = perform(toolbox, call, model.seconds_left)
            memory.add({"role": "tool", "tool_call_id": call["id"], "content": result})
            if call["function"]["name"] == "finish" and not result.startswith("error: "):
                return result
        if not calls:
            cut = message.get("finish_reason") == "length"
            memory.add({"role": "user", "content": render("agent_cut" if cut else "agent_nudge")})
    return f"not finished within {STEPS} steps"


def reply_tokens(window: int | None) -> int:
    """Tokens of one reply: enough to think and to write a file, and no more than a part of the window."""
    return max(LEAST_REPLY, min(LONGEST_REPLY, (window or DEFAULT_WINDOW) // REPLY_SHARE))


def perform(toolbox: Toolbox, call: Message, seconds: float) -> str:
    """Use the tool that one call names, and print both."""
    name, raw = call["function"]["name"], call["function"].get("arguments") or "{}"
    try:
        arguments = json.loads(raw)
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        result = toolbox.use(name, arguments, seconds)
    else:
        result = f"error: the arguments of {name} are not a JSON object; write the call again"
    say(f"Tool {name}", f"{raw}\n\n{result}")
    return result


def named(call: Message) -> bool:
    """Whether a call can be answered at all: it has an id and names a tool."""
    function = call.get("function")
    return bool(call.get("id")) and isinstance(function, dict) and isinstance(function.get("name"), str)


def kept(message: Message, calls: list[Message]) -> Message:
    """The parts of an answer that are sent back as they came; models that reason want their reasoning again."""
    back: Message = {"role": "assistant", "content": message.get("content") or ""}
    if calls:
        back["tool_calls"] = calls
    return back | {name: message[name] for name in REASONING if message.get(name)}
