"""The answers of a recorded campaign, from a file: by what was asked, whatever the order in which boxes ask.

A solver's question is found by its scope of shared answers, its key and its occurrence, so each trial and each side of
a pair gets what it got. An improver reads times and figures that differ in every run: its question is found by its
proposal and by what the model itself has said so far.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.base.errors import UserError
from agent.models.dialects import chat, checks
from agent.models.ports import OK, PROPOSAL_STEM, Json, Question

AGAIN = "`ratchet docs models` says how to record it again"
_SHOWN = 60


class Answer(BaseModel):
    """One recorded answer: the last message that was asked in which scope, and what came, in Chat Completions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope: str
    key: str
    k: int = 0
    status: int = OK
    asked: str
    answer: Json


class Recorded:
    """Every answer of a recording."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = {(one.scope, one.key, one.k): one for one in answers}

    def find(self, question: Question) -> Answer | None:
        """The answer to a question, if there is one."""
        return self._answers.get(
            name_of(question.trial, question.answer_scope, question.key, question.k, question.body)
        )

    def difference(self, question: Question) -> str:
        """How a question without an answer differs from those that have one."""
        scope, *_ = name_of(question.trial, question.answer_scope, question.key, question.k, question.body)
        asked = last_of(question.body)
        known = [one.asked for one in self._answers.values() if one.scope == scope]
        if not known:
            return f"nothing is recorded of {scope}, where {asked[-_SHOWN:]!r} is asked"
        if asked in known:
            return f"{scope} asks {asked[:_SHOWN]!r} as before, but more often, or with other parameters or messages"
        nearest = max(known, key=lambda one: _common(asked, one))
        start = max(0, _common(asked, nearest) - _SHOWN // 3)
        now, before = (text[start : start + _SHOWN] for text in (asked, nearest))
        return f"{scope} asks {now!r} where {before!r} was asked"


def name_of(trial: str, answer_scope: str | None, key: str, k: int, body: Json) -> tuple[str, str, int]:
    """What a recorded answer is found by: scope, key, occurrence."""
    if answer_scope is not None:
        return answer_scope, key, k
    return trial[:PROPOSAL_STEM], hashlib.sha256(checks.canonical({"asked": stable(body)})).hexdigest(), 0


def stable(body: Json) -> list[Json]:
    """The messages of an improver's request that are the same in every run: the scaffold's own and the model's.

    Not what tools returned, which holds times, nor the task, whose words are the kernel's and may get better.
    """
    return [
        {
            "role": message["role"],
            "content": chat.plain(message.get("content")),
            "tool_calls": [call["function"] for call in message.get("tool_calls") or []],
        }
        for message in body["messages"]
        if message["role"] in ("system", "assistant")
    ]


def last_of(body: Json) -> str:
    """The text of the last message that did not come from a tool."""
    said = [message for message in body["messages"] if message["role"] != "tool"]
    return chat.plain(said[-1].get("content"))


def load(path: Path) -> Recorded:
    """Read a recording: JSON lines, compressed with xz.

    Raises:
        UserError: the file is missing or is not a recording.
    """
    try:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            return Recorded(map(Answer.model_validate_json, lines))
    except FileNotFoundError:
        raise UserError("recording", f"there is no {path}", "Name an existing file.") from None
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, ValidationError) as error:
        problem = f"{path} is not a recording ({str(error).splitlines()[0]})"
        raise UserError("recording", problem, f"Name another file; {AGAIN}.") from None


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
