"""A conversation that grows too long is compacted: the model notes what it needs of the old part, which then goes."""

from __future__ import annotations

import json
from typing import Any

from agent.scaffold.model import Model, ModelError, OutOfTime, text_of
from agent.scaffold.place import clip, say
from agent.scaffold.prompting import render

NOTE_TOKENS = 2048  # room for the notes, and for what a reasoning model thinks before
KEPT = 3  # part of the room that the latest messages may take; the others are noted
ELIDED = "[elided]"

Message = dict[str, Any]


class Memory:
    """The messages of one task, at most `room` characters of them."""

    def __init__(self, system: str, question: str, room: int) -> None:
        self.question, self.room, self.notes = question, room, ""
        self.messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": question}]

    def add(self, message: Message) -> None:
        """Add one message at the end."""
        self.messages.append(message)

    def fit(self, model: Model, plan: str) -> None:
        """Make room if there is none: by notes of the model, and where that is not enough, by cutting results."""
        if size(self.messages) <= self.room:
            return
        old = self._old()
        if old:
            self._compact(model, old, plan)
        self._elide()

    def _old(self) -> list[Message]:
        """The messages to be noted: all but the latest, which begin with a reply, so that no result lacks its call."""
        start, used = len(self.messages), 0
        for at in range(len(self.messages) - 1, 1, -1):
            used += size([self.messages[at]])
            if used > self.room // KEPT and start < len(self.messages):
                break
            if self.messages[at]["role"] == "assistant":
                start = at
        return self.messages[2:start]

    def _compact(self, model: Model, old: list[Message], plan: str) -> None:
        earlier = [f"Notes of what came before:\n{self.notes}"] if self.notes else []
        work = clip("\n\n".join([*earlier, *map(as_text, old)]), self.room // 2)
        try:
            asked = [{"role": "user", "content": render("agent_compact", work=work)}]
            notes = text_of(model.chat(asked, max_tokens=NOTE_TOKENS).get("content"))
        except OutOfTime:
            raise
        except ModelError as error:
            say("Not compacted", str(error))
            return
        say("Compacted", f"{len(old)} messages\n\n{notes}")
        self.notes = notes or self.notes
        told = render("agent_summary", question=self.question, summary=self.notes or "nothing", plan=plan or "none")
        self.messages = [self.messages[0], {"role": "user", "content": told}, *self.messages[2 + len(old) :]]

    def _elide(self) -> None:
        """Cut tool results, the oldest first, the last one not at all."""
        for message in [message for message in self.messages if message["role"] == "tool"][:-1]:
            if size(self.messages) <= self.room:
                return
            message["content"] = ELIDED


def size(messages: list[Message]) -> int:
    """About how many characters messages take."""
    return sum(len(json.dumps(message)) for message in messages)


def as_text(message: Message) -> str:
    """One message as the notes' author sees it."""
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls") or []]
    return "\n".join([f"[{message['role']}]", *filter(None, [text_of(message.get("content"))]), *calls])
