"""A model that is a script: deterministic, needs no network, and fails loudly when the script has no answer.

A YAML script is a mapping with one of two keys:

    rules:                       sequence:
      - match: "sum of two"        - reply: "first answer"
        reply: "def add(a, b)"     - tools: [{name: run, arguments: {command: ls}}]
      - regex: "fix .*"
        reply: "done"

A rule without `match` and `regex` answers everything; the first rule that fits wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from agent.base.complaints import in_words, telling
from agent.base.errors import UserError
from agent.models.dialects import chat
from agent.models.ports import Blame, Dialect, Json, Question, Trouble


class ToolUse(BaseModel):
    """One tool call of a scripted answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    arguments: dict[str, Any] = {}


class Line(BaseModel):
    """One scripted answer, and which last message it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str | None = None
    regex: str | None = None
    reply: str = ""
    tools: tuple[ToolUse, ...] = ()
    finish: str | None = None

    def fits(self, text: str) -> bool:
        """Whether this rule answers a message."""
        if self.match is not None and self.match not in text:
            return False
        return self.regex is None or re.search(self.regex, text, re.DOTALL) is not None


class Script(BaseModel):
    """Either rules, tried in order for every call, or a sequence, used up call by call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Line, ...] = ()
    sequence: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.rules) == bool(self.sequence):
            msg = "a script has either `rules` or a `sequence`"
            raise ValueError(msg)
        return self


def load(path: Path) -> Script:
    """Read a script.

    Raises:
        UserError: the file is missing or is not a script.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Script.model_validate(raw)
    except OSError as error:
        raise UserError("script", f"{path} cannot be read ({error.strerror})", "Name an existing file") from None
    except ValidationError as error:
        said, keys, value = telling(error.errors(), raw)
        problem, fix = in_words(said, value)
        where = ".".join(map(str, keys)) or "file"
        raise UserError("script", f"{path} is not a script: {where}: {problem}", fix) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError("script", f"{path} is not a script: {error}", "`ratchet docs models` shows one.") from None


Reply = str | Line | Json
"""What a scripted callable may return: text, an answer with tools, or a whole chat completion."""


class ScriptedProvider:
    """Answers from a script, or from a callable that maps a chat request to a reply."""

    native = Dialect.CHAT

    def __init__(self, script: Script | Callable[[Json], Reply], *, name: str = "scripted") -> None:
        self._script, self._name = script, name
        self._used = 0

    async def start(self) -> None:
        """A script needs no preparation."""

    async def probe(self) -> None:
        """A script is never down."""

    def left_out(self, body: Json) -> tuple[str, ...]:  # noqa: ARG002 - the same for every request
        """A script takes everything: nothing."""
        return ()

    async def close(self) -> None:
        """A script holds no resources."""

    async def ask(self, question: Question) -> Json:
        """The scripted answer.

        Raises:
            Trouble: the script has no answer for this call.
        """
        if isinstance(self._script, Script):
            return self._completion(self._line(self._script, question.body), question.body)
        reply = self._script(question.body)
        if isinstance(reply, dict):
            return reply
        return self._completion(Line(reply=reply) if isinstance(reply, str) else reply, question.body)

    def _line(self, script: Script, body: Json) -> Line:
        last = chat.plain(body["messages"][-1].get("content"))
        for line in script.rules:
            if line.fits(last):
                return line
        if script.rules:
            raise Trouble(f"the script has no rule for a message that starts {last[:80]!r}", blame=Blame.FINAL)
        if self._used >= len(script.sequence):
            raise Trouble(f"the script is used up after {self._used} answers", blame=Blame.FINAL)
        line = script.sequence[self._used]
        if not line.fits(last):
            wanted = line.match or line.regex
            raise Trouble(
                f"answer {self._used + 1} of the script is for {wanted!r}, not {last[:80]!r}",
                blame=Blame.FINAL,
            )
        self._used += 1
        return line

    def _completion(self, line: Line, body: Json) -> Json:
        calls = [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": tool.name, "arguments": json.dumps(tool.arguments)},
            }
            for i, tool in enumerate(line.tools)
        ]
        message: Json = {"role": "assistant", "content": line.reply or None if calls else line.reply}
        if calls:
            message["tool_calls"] = calls
        finish = line.finish or ("tool_calls" if calls else "stop")
        choices = [{"index": i, "message": message, "finish_reason": finish} for i in range(body.get("n") or 1)]
        read = sum(len(chat.plain(m.get("content")).split()) for m in body["messages"])
        wrote = (len(line.reply.split()) + sum(len(json.dumps(t.arguments)) for t in line.tools)) * len(choices)
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        head = {"id": "chatcmpl-scripted", "object": "chat.completion", "created": 0, "model": self._name}
        return {**head, "choices": choices, "usage": usage}
