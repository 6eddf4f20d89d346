"""An agent made with smolagents: Python as the model's actions, and a shell as its only tool."""

import os
import subprocess
from pathlib import Path

from smolagents import CodeAgent, OpenAIModel, tool

STEPS = 20
OUTPUT = 10_000
HERE = Path(__file__).parent


@tool
def bash(command: str) -> str:
    """Run a shell command in the task's folder; returns its exit code and output.

    Args:
        command: the command.
    """
    try:
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, errors="replace", timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return "the command took longer than 120 s"
    return f"exit code {done.returncode}\n{(done.stdout + done.stderr)[-OUTPUT:]}"


def main() -> None:
    """Solve the task in /task/instruction.md."""
    model = OpenAIModel(
        model_id=os.environ["RATCHET_MODEL"],
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
    )
    rules = (HERE / "rules.md").read_text(encoding="utf-8")
    agent = CodeAgent(tools=[bash], model=model, max_steps=STEPS, instructions=rules)
    print(agent.run(Path("/task/instruction.md").read_text(encoding="utf-8")))


main()
