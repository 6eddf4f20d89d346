"""The obliging model makes agents of all kinds write a file, and lets them end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.models.providers.obliging import COMMAND, DONE, FILE, SCRIPT, can_write, oblige
from agent.models.providers.scripted import Line


def tool(name: str, **types: str) -> dict[str, Any]:
    given = {key: {"type": kind} for key, kind in types.items()}
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": given}}}


def answer(tools: list[dict[str, Any]], answers: int = 0) -> Line:
    said = [{"role": "assistant", "content": "x"}] * answers
    line = oblige({"messages": [{"role": "user", "content": "go"}, *said], "tools": tools})
    assert isinstance(line, Line)
    return line


@pytest.mark.parametrize(
    ("offered", "arguments"),
    [
        (tool("bash", command="string"), {"command": COMMAND}),
        (tool("exec", cmd="array"), {"cmd": ["sh", "-c", COMMAND]}),
        (tool("Bash", command="string", description="string"), {"command": COMMAND, "description": "a step"}),
        (tool("Write", file_path="string", content="string"), {"file_path": FILE, "content": "x = 1\n"}),
    ],
)
def test_the_tool_that_writes_is_used(offered: dict[str, Any], arguments: dict[str, Any]) -> None:
    line = answer([tool("search", query="string"), offered])
    assert (line.tools[0].name, line.tools[0].arguments) == (offered["function"]["name"], arguments)
    assert can_write({"tools": [offered]})
    assert answer([offered], 1) == Line(reply=DONE)


def test_an_agent_that_needs_a_tool_to_end_gets_it() -> None:
    assert answer([tool("look", path="string"), tool("submit")], 2).tools[0].name == "submit"
    assert answer([tool("final_answer", answer="string")], 2).tools[0].arguments == {"answer": DONE}
    assert "COMPLETE_TASK" in answer([tool("bash", command="string")], 2).tools[0].arguments["command"]
    assert answer([], 2).reply == DONE


def test_the_script_runs_in_a_shell_and_is_valid_python(tmp_path: Path) -> None:
    line = answer([])
    assert line.reply == SCRIPT
    code = SCRIPT.split("```sh\n")[1].split("```")[0]
    compile(code, "script", "exec")
    subprocess.run(["sh", "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / FILE).read_text() == "x = 1\n"
    assert not can_write({"tools": [tool("read", path="string")]})
