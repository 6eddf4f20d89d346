"""Answers from a record, never from the network; a call that was never made is an error."""

from __future__ import annotations

import json

from agent.models.ports import OK, BadCall, Blame, Dialect, Json, OutOfService, Question, Trouble
from agent.models.providers.recorded import AGAIN, Recorded


class ReplayProvider:
    """Answers from the recording of a campaign. Once a question has no answer there, it is out of service.

    Without one it refuses every fresh call: when trials are replayed, the ledger's answer is found before a provider
    is asked.
    """

    native = Dialect.CHAT

    def __init__(self, recorded: Recorded | None = None) -> None:
        self._recorded = recorded
        self._missing: OutOfService | None = None

    async def start(self) -> None:
        """A record needs no preparation."""

    async def probe(self) -> None:
        """Whether everything that was asked so far was recorded. Raises OutOfService."""
        if self._missing is not None:
            raise self._missing

    def left_out(self, body: Json) -> tuple[str, ...]:  # noqa: ARG002 - the same for every request
        """A record is sent as it is: nothing."""
        return ()

    async def close(self) -> None:
        """A record holds no resources."""

    async def ask(self, question: Question) -> Json:
        """The recorded answer.

        Raises:
            BadCall: a refusal was recorded.
            Trouble: this call was not recorded.
        """
        if self._recorded is None:
            what = f"occurrence {question.k} of request {question.key[:12]} of trial {question.trial}"
            raise Trouble(f"replay: {what} was not recorded", blame=Blame.FINAL)
        if (found := self._recorded.find(question)) is None:
            said = f"the recording has no answer: {self._recorded.difference(question)}"
            self._missing = OutOfService(f"{said}. Scaffold, prompts or protocol have changed since; {AGAIN}")
            raise self._missing
        if found.status != OK:
            error = found.answer["error"]
            raise BadCall(found.status, str(error["message"]), code=str(error.get("code") or "invalid_request"))
        answer: Json = json.loads(json.dumps(found.answer))  # the gateway writes into what it gets
        return answer
