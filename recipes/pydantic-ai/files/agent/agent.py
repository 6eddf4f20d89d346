"""An agent made with Pydantic AI, with a shell as its only tool."""

import os
import subprocess
from pathlib import Path

from pydantic_ai import Agent, UsageLimits
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

CALLS = 40
OUTPUT = 10_000
HERE = Path(__file__).parent


def bash(command: str) -> str:
    """Run a shell command in the task's folder; returns its exit code and output."""
    try:
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, errors="replace", timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return "the command took longer than 120 s"
    return f"exit code {done.returncode}\n{(done.stdout + done.stderr)[-OUTPUT:]}"


def main() -> None:
    """Solve the task in /task/instruction.md."""
    provider = OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
    model = OpenAIChatModel(os.environ["RATCHET_MODEL"], provider=provider)
    agent = Agent(model, tools=[bash], instructions=(HERE / "rules.md").read_text(encoding="utf-8"))
    task = Path("/task/instruction.md").read_text(encoding="utf-8")
    result = agent.run_sync(task, usage_limits=UsageLimits(request_limit=CALLS))
    for message in result.all_messages():
        print(ModelMessagesTypeAdapter.dump_json([message]).decode()[1:-1])


main()
