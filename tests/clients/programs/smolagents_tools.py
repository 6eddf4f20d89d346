"""smolagents with tools instead of Python as actions, complete and then streamed."""

# A client program that runs in a box: it prints its transcript.
# ruff: noqa: T201

import os

from smolagents import OpenAIModel, ToolCallingAgent, tool


@tool
def write(path: str, content: str) -> str:
    """Write a file.

    Args:
        path: where.
        content: what.
    """
    return f"wrote {content} to {path}"


model = OpenAIModel(
    model_id=os.environ["RATCHET_MODEL"], api_base=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"]
)
for stream in (False, True):
    print(ToolCallingAgent(tools=[write], model=model, max_steps=3, stream_outputs=stream).run("Write solution.py"))
