"""Pydantic AI in its other two dialects, complete and then streamed."""

# A client program that runs in a box: it prints its transcript.
# ruff: noqa: T201

import asyncio
import os
import sys

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

MODEL = os.environ["RATCHET_MODEL"]


def write(path: str, content: str) -> str:
    """Write a file."""
    return f"wrote {content} to {path}"


if sys.argv[1] == "responses":
    model = OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key="p"))
else:
    model = AnthropicModel(MODEL, provider=AnthropicProvider(base_url=os.environ["ANTHROPIC_BASE_URL"], api_key="p"))
agent = Agent(model, tools=[write], instructions="You write files.")


async def main() -> None:
    print((await agent.run("Write solution.py")).output)
    async with agent.run_stream("Write solution.py") as result:
        print(await result.get_output())


asyncio.run(main())
