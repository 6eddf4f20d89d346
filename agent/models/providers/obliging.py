"""A model that makes almost any agent write one file, and then says that the work is done. It knows no agent.

It takes the first tool that runs a command or writes a file, whatever its name; without such a tool it answers with a
script in a fenced block. `ratchet doctor` tries an agent with it, so that the trial costs nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from agent.models.ports import Json, Question
from agent.models.providers.scripted import Line, Reply, ScriptedProvider, ToolUse

FILE = "solution.py"
CONTENT = "x = 1\n"
COMMAND = f"echo 'x = 1' > {FILE}"
SCRIPT = f"""```sh
''':'
{COMMAND.replace("'", '"')}
exit
'''
```
"""
"""A script for a shell that is a string for Python: some agents run the block, others keep it as the file's text."""

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
DONE = "Done."
_COMMANDS = ("command", "cmd", "script", "commands")
_PATHS = ("path", "file_path", "filePath", "filename", "file")
_CONTENTS = ("content", "contents", "file_text", "text")
_ENDS = ("submit", "finish", "final_answer", "done", "complete")


def oblige(body: Json) -> Reply:
    """The answer to one chat request: first the file, then the end, by a tool for it if words do not suffice."""
    tools = [*_tools(body)]
    answers = sum(message.get("role") == "assistant" for message in body["messages"])
    if answers == 0:
        return next(filter(None, (_writing(*tool) for tool in tools)), Line(reply=SCRIPT))
    if answers == 1:
        return Line(reply=DONE)
    return next(filter(None, (_ending(*tool) for tool in tools)), Line(reply=DONE))


def can_write(body: Json) -> bool:
    """Whether a request offers a tool by which a file can be written."""
    return any(_writing(*tool) for tool in _tools(body))


def _tools(body: Json) -> Iterable[tuple[str, dict[str, Any]]]:
    """Name and parameters of each function that a request offers."""
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        yield str(function.get("name")), (function.get("parameters") or {}).get("properties") or {}


def _writing(name: str, given: dict[str, Any]) -> Line | None:
    if (key := _first(_COMMANDS, given)) is not None:
        return _use(name, given, {key: ["sh", "-c", COMMAND] if given[key].get("type") == "array" else COMMAND})
    path, content = _first(_PATHS, given), _first(_CONTENTS, given)
    if path is None or content is None:
        return None
    return _use(name, given, {path: FILE, content: CONTENT})


def _ending(name: str, given: dict[str, Any]) -> Line | None:
    if name in _ENDS:
        return _use(name, given, {key: DONE for key, about in given.items() if about.get("type") == "string"})
    key = _first(_COMMANDS, given)
    return None if key is None else _use(name, given, {key: SUBMIT})


def _use(name: str, given: dict[str, Any], arguments: dict[str, Any]) -> Line:
    """A tool call; a description of it is given where one is asked for."""
    more = {"description": "a step"} if "description" in given else {}
    return Line(reply="I do it.", tools=(ToolUse(name=name, arguments={**arguments, **more}),))


def _first(names: Iterable[str], given: dict[str, Any]) -> str | None:
    return next((name for name in names if isinstance(given.get(name), dict)), None)


class Obliging(ScriptedProvider):
    """The model itself; `asked` keeps the requests that it answered."""

    def __init__(self) -> None:
        super().__init__(self._answer, name="obliging")
        self.asked: list[Json] = []

    def _answer(self, body: Json) -> Reply:
        self.asked.append(body)
        return oblige(body)

    def heard(self, word: str) -> bool:
        """Whether a word was anywhere in a request."""
        return any(word in json.dumps(body, ensure_ascii=False) for body in self.asked)

    @property
    def wrote(self) -> bool:
        """Whether a tool was called that writes a file."""
        return any(map(can_write, self.asked))


class Silent(ScriptedProvider):
    """A model that never answers."""

    def __init__(self) -> None:
        super().__init__(lambda _: "", name="silent")

    async def ask(self, question: Question) -> Json:  # noqa: ARG002 - whatever is asked
        """Wait until the caller gives up."""
        never: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        return await never
