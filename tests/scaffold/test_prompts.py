"""Prompt files are strict about their variables, and the settings keep the form that a small improver needs."""

from __future__ import annotations

import ast
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.scaffold.conftest import Call, Lab

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("change", ["Say it. $surprise", "", "It costs 5 $.", "$instruction $stub"])
def test_a_prompt_whose_variables_do_not_fit_is_an_error(lab: Lab, change: str) -> None:
    lab.put("scaffold", {"prompts/solve.md": change})
    outcome = lab.run("never asked")
    assert outcome.exit_code == 1
    assert "PromptError: prompts/solve.md" in outcome.output
    assert outcome.requests == []


def test_a_missing_prompt_is_an_error(lab: Lab) -> None:
    (lab.tree / "prompts/solve.md").unlink()
    assert "PromptError: prompts/solve.md is missing" in lab.run().output


def test_what_is_filled_in_is_not_read_as_a_template(lab: Lab) -> None:
    lab.put("task", {"instruction.md": "It costs $5 or $path."})
    assert "It costs $5 or $path." in lab.run("x = 1").prompts[0]


@pytest.mark.parametrize("path", sorted((ROOT / "prompts").glob("*.md")), ids=lambda path: path.name)
def test_every_prompt_is_a_valid_template_that_the_code_names(path: Path) -> None:
    assert string.Template(path.read_text(encoding="utf-8")).is_valid()
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "agent/scaffold").glob("*.py"))
    stem = path.stem.rstrip("0123456789").removeprefix("tool_")
    assert f'"{stem}' in code


def test_every_tool_says_what_it_does_and_what_it_takes(call: Call) -> None:
    shell: Any = call("prompting.tool", "shell")["function"]
    assert shell["parameters"]["required"] == ["command"]
    assert shell["description"].startswith("Run a command line")
    for name in ("read_file", "edit", "write_file", "finish"):
        assert call("prompting.tool", name)["function"]["parameters"]["required"]


def test_the_scaffold_imports_the_standard_library_and_itself_only() -> None:
    for path in (ROOT / "agent/scaffold").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("agent.scaffold")


def test_a_question_with_a_shot_fits_a_window_of_2048_tokens(lab: Lab) -> None:
    lab.set(SHOT=1)
    messages = lab.run("x = 1").requests[0]["messages"]
    assert sum(len(message["content"]) for message in messages) < 3000


def test_the_question_for_a_constant_fits_a_window_of_2048_tokens(workshop: Lab) -> None:
    workshop.put("task", {"context/transcripts/1.md": "long " * 10_000})
    assert len(workshop.run("{}").prompts[0]) < 3000
