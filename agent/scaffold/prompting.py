"""Prompts are Markdown templates in `prompts/`, strict: a missing or an unused variable is an error."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parents[2] / "prompts"
PARAMETER = re.compile(
    r"^- (?P<name>\w+) \((?P<type>string|integer)(?P<optional>, optional)?\): (?P<about>.+)$", re.MULTILINE
)


class PromptError(Exception):
    """A prompt file is missing, or does not fit the variables that it is given."""


def source(name: str) -> str:
    """The text of one prompt file as it stands."""
    path = FOLDER / f"{name}.md"
    if not path.is_file():
        msg = f"prompts/{name}.md is missing"
        raise PromptError(msg)
    return path.read_text(encoding="utf-8").strip()


def render(name: str, **variables: object) -> str:
    """One prompt with its variables filled in; in the file a literal dollar sign is written twice."""
    template = Template(source(name))
    if not template.is_valid():
        msg = f"prompts/{name}.md has a dollar sign that names no variable"
        raise PromptError(msg)
    wanted, given = set(template.get_identifiers()), set(variables)
    if wanted != given:
        msg = f"prompts/{name}.md: not given: {sorted(wanted - given)}; not used: {sorted(given - wanted)}"
        raise PromptError(msg)
    return template.substitute({key: str(value) for key, value in variables.items()})


def shot() -> list[dict[str, str]]:
    """The worked example as a question and its answer; a line of three dashes parts them."""
    question, line, answer = render("shot").partition("\n---\n")
    if not line:
        msg = "prompts/shot.md has no line of three dashes between question and answer"
        raise PromptError(msg)
    return [{"role": "user", "content": question.strip()}, {"role": "assistant", "content": answer.strip()}]


def tool(name: str) -> dict[str, object]:
    """The definition of one tool: what it does, then one list item for each parameter."""
    text = render(f"tool_{name}")
    found = list(PARAMETER.finditer(text))
    parameters = {m["name"]: {"type": m["type"], "description": m["about"]} for m in found}
    function = {
        "name": name,
        "description": text.partition("\n\n")[0],
        "parameters": {
            "type": "object",
            "properties": parameters,
            "required": [m["name"] for m in found if not m["optional"]],
            "additionalProperties": False,
        },
    }
    return {"type": "function", "function": function}
