"""The clients whose requests are kept as data: how each is installed and run, and what it is answered."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.base.types import Files
from tests.clients import recipes
from tests.clients.recipes import Recipe
from tests.clients.server import Step

PROGRAMS = Path(__file__).parent / "programs"
_PIP = recipes.load("mini-swe-agent").data["image"]["layers"][0]
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe"
    "92ef0000000049454e44ae426082"
)
"""A picture of one pixel."""

_DONE = Step(text="Done.")
_WRITTEN: Mapping[str, str] = {"path": "solution.py", "content": "x = 1\n"}
_WRITE = Step(text="I write it.", tool="write", arguments=dict(_WRITTEN))
_SHELL = {"command": "echo 'x = 1' > solution.py"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """One client in one configuration.

    Attributes:
        recipe: what is installed, and what is run if there is no program.
        steps: the scripted answers, in turn.
        aside: the answer to calls without tools, which must not use up the script.
        workspace: files that lie in the workspace.
        model: the model's name, where what is sent depends on it.
        note: what this configuration shows.
    """

    name: str
    recipe: Recipe
    steps: tuple[Step, ...]
    aside: str | None = None
    workspace: Files = field(default_factory=dict)
    model: str | None = None
    note: str = ""

    @property
    def command(self) -> tuple[str, ...]:
        """What is run in the box."""
        chosen = ("env", f"RATCHET_MODEL={self.model}") if self.model else ()
        return (*chosen, *self.recipe.command)


def _program(program: str, package: str, version: str, *args: str, extras: str = "") -> Recipe:
    """A program of ours that uses a library, in the shape of a recipe."""
    install = f"RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir '{package}{extras}=={version}'"
    data = {
        "title": package,
        "release": {"registry": "pypi", "package": package, "version": version},
        "image": {"layers": [_PIP, install]},
        "env": {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        "scaffold": {"command": ["python3", "-P", "/scaffold/program.py", *args]},
    }
    return Recipe(name=program, data=data, files={"program.py": (PROGRAMS / f"{program}.py").read_bytes()})


def _changed(name: str, path: str, old: str, new: str) -> Recipe:
    """A recipe with a change in one of its files."""
    recipe = recipes.load(name)
    text = recipe.files[path].decode()
    if old not in text:
        raise ValueError(f"{path} of recipe {name} does not hold {old!r}")
    return replace(recipe, files={**recipe.files, path: text.replace(old, new).encode()})


def _libraries() -> list[Client]:
    twice = (_WRITE, _DONE, _WRITE, _DONE)
    pydantic = recipes.load("pydantic-ai").data["release"]["version"]
    smol = recipes.load("smolagents").data["release"]["version"]
    silent = replace(_WRITE, text="")  # a streamed run of Pydantic AI ends with the first words
    final = Step(tool="final_answer", arguments={"answer": "Done."})
    custom = Step(text="I run it.", tool="run", custom="echo hi")
    return [
        Client(name="openai-chat", recipe=_program("openai_chat", "openai", "3.57.0"), steps=twice),
        Client(
            name="openai-responses",
            recipe=_program("openai_responses", "openai", "3.57.0"),
            steps=(_WRITE, _DONE, custom, _DONE),
        ),
        Client(name="anthropic", recipe=_program("anthropic_messages", "anthropic", "2.14.0"), steps=twice[:2] * 3),
        Client(name="litellm-chat", recipe=_program("litellm_chat", "litellm", "1.110.2", "openai"), steps=twice),
        Client(
            name="litellm-messages", recipe=_program("litellm_chat", "litellm", "1.110.2", "anthropic"), steps=twice
        ),
        Client(
            name="smolagents-tools",
            recipe=_program("smolagents_tools", "smolagents", smol, extras="[openai]"),
            steps=(_WRITE, final, _WRITE, final),
        ),
        *(
            Client(
                name=f"pydantic-ai-{way}",
                recipe=_program("pydantic_ai_others", "pydantic-ai-slim", pydantic, way, extras="[openai,anthropic]"),
                steps=(_WRITE, _DONE, silent, _DONE),
            )
            for way in ("responses", "messages")
        ),
    ]


def _agents() -> list[Client]:
    bash = Step(text="I write it.", tool="bash", arguments=_SHELL)
    submit = Step(text="Done.", tool="bash", arguments={"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"})
    code = "Thought: I write it.\n<code>\nprint(bash(command=\"echo 'x = 1' > solution.py\"))\n</code>"
    answer = 'Thought: done.\n<code>\nfinal_answer("Done.")\n</code>'
    broken = Step(text="solution.py\n```\nx = (\n```\n")
    edit = Step(text="solution.py\n```\nx = 1\n```\n")
    return [
        Client(name="mini-swe-agent", recipe=recipes.load("mini-swe-agent"), steps=(bash, submit)),
        Client(
            name="aider",
            recipe=recipes.load("aider"),
            steps=(broken, edit),
            note="The first answer is Python with a syntax error: aider checks it and asks again.",
        ),
        Client(name="smolagents", recipe=recipes.load("smolagents"), steps=(Step(text=code), Step(text=answer))),
        Client(name="pydantic-ai", recipe=recipes.load("pydantic-ai"), steps=(bash, _DONE)),
        Client(name="pi", recipe=recipes.load("pi"), steps=(_WRITE, _DONE)),
        Client(
            name="opencode",
            recipe=_changed("opencode", "agent/opencode.json", '  "agent": {"title": {"disable": true}},\n', ""),
            steps=(
                Step(text="I write it.", tool="write", arguments={"filePath": "solution.py", "content": "x"}),
                _DONE,
            ),
            aside="A title",
            note="With the call for a title, which the recipe switches off.",
        ),
        Client(
            name="shell",
            recipe=recipes.load("shell"),
            steps=(Step(text="```sh\necho 'x = 1' > solution.py\n```\n"), _DONE),
        ),
    ]


def _claude_code() -> list[Client]:
    recipe = recipes.load("claude-code")
    write = Step(
        text="I write it.", tool="Write", arguments={"file_path": "/workspace/solution.py", "content": "x = 1\n"}
    )
    free = _changed("claude-code", "agent/solve.sh", "--disallowedTools WebSearch WebFetch", "")
    search = Step(text="I look.", tool="ToolSearch", arguments={"query": "select:WebFetch"})
    read = Step(tool="Read", arguments={"file_path": "/workspace/dot.png"})
    plain = _changed(
        "claude-code", "agent/solve.sh", "export HOME", "export CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1 HOME"
    )
    return [
        Client(name="claude-code", recipe=recipe, steps=(write, _DONE), aside="A title"),
        Client(
            name="claude-code-haiku",
            recipe=recipe,
            steps=(write, _DONE),
            aside="A title",
            model="claude-haiku-4-5",
            note="A name that it knows as a model whose thinking has a budget.",
        ),
        Client(
            name="claude-code-opus",
            recipe=recipe,
            steps=(write, _DONE),
            aside="A title",
            model="claude-opus-5",
            note="A name that it knows as a model that takes system messages at the end of a conversation.",
        ),
        Client(
            name="claude-code-search",
            recipe=free,
            steps=(search, read, _DONE),
            aside="A title",
            workspace={"dot.png": DOT},
            note="It finds a deferred tool, whose result is a tool_reference, and reads a picture.",
        ),
        Client(
            name="claude-code-web-search",
            recipe=free,
            steps=(Step(tool="WebSearch", arguments={"query": "a question"}), _DONE),
            note="Its second request offers a tool that runs at the provider.",
        ),
        Client(
            name="claude-code-plain",
            recipe=plain,
            steps=(write, _DONE),
            aside="A title",
            note="With CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1.",
        ),
    ]


def _codex() -> list[Client]:
    recipe = recipes.load("codex")
    run = Step(text="I write it.", tool="exec_command", arguments={"cmd": _SHELL["command"]})
    grouped = Step(tool="close_agent", namespace="multi_agent_v1", arguments={"target": "nobody"})
    patch = Step(tool="apply_patch", custom="*** Begin Patch\n*** Add File: solution.py\n+x = 1\n*** End Patch")
    look = Step(tool="view_image", arguments={"path": "/workspace/dot.png"})
    searching = _changed("codex", "agent/config.toml", 'web_search = "disabled"\n', "")
    return [
        Client(name="codex", recipe=recipe, steps=(run, _DONE)),
        Client(
            name="codex-namespace",
            recipe=recipe,
            steps=(grouped, look, _DONE),
            workspace={"dot.png": DOT},
            note="The model calls a tool of a namespace, and one whose result is a picture.",
        ),
        Client(
            name="codex-custom",
            recipe=recipe,
            steps=(patch, _DONE),
            model="gpt-5.5",
            note="A name that it knows: apply_patch as a free-text tool, and a tool search that runs at the client.",
        ),
        Client(
            name="codex-additional-tools",
            recipe=recipe,
            steps=(run, _DONE),
            model="gpt-6.2-sol",
            note="A name that it knows: all tools come as an input item.",
        ),
        Client(
            name="codex-web-search",
            recipe=searching,
            steps=(_DONE,),
            note="Without the recipe's switch: a tool that runs at the provider.",
        ),
    ]


_TOOLS = {
    "claude-code": ("Bash", "command"),
    "codex": ("exec_command", "cmd"),
    "mini-swe-agent": ("bash", "command"),
    "opencode": ("bash", "command"),
    "pi": ("bash", "command"),
    "pydantic-ai": ("bash", "command"),
}


def running(name: str, command: str) -> Step:
    """An answer by which an agent runs a shell command; aider runs none."""
    if name in _TOOLS:
        tool, argument = _TOOLS[name]
        extra = {"description": "a command"} if name == "opencode" else {}
        return Step(text="I run it.", tool=tool, arguments={argument: command, **extra})
    if name == "smolagents":
        return Step(text=f"Thought: I run it.\n<code>\nprint(bash(command={command!r}))\n</code>")
    if name == "shell":
        return Step(text=f"```sh\n{command}\n```\n")
    raise ValueError(f"{name} runs no commands")


def improving(name: str, path: str, line: str, patch: str) -> tuple[Step, ...]:
    """Answers by which an agent appends a line to a file of its scaffold, describes that in PATCH.md, and ends."""
    last = CLIENTS[name].steps[-1]
    if name == "aider":
        whole = recipes.load(name).files[path].decode() + line
        return (Step(text=f"{path}\n```\n{whole}```\n\nPATCH.md\n```\n{patch}```\n"),)
    command = f"printf '%s' {shlex.quote(line)} >> {path}; printf '%s' {shlex.quote(patch)} > PATCH.md"
    return (running(name, command), last)


CLIENTS = {client.name: client for client in (*_libraries(), *_agents(), *_claude_code(), *_codex())}
