"""Answers from a record, never from the network; a call that was never made is an error."""

from __future__ import annotations

from agent.models.ports import Blame, Dialect, Json, Question, Trouble


class ReplayProvider:
    """Refuses every fresh call: under replay the recorded answer is found before a provider is asked."""

    native = Dialect.CHAT

    async def start(self) -> None:
        """A record needs no preparation."""

    async def probe(self) -> None:
        """A record is never down."""

    def left_out(self, body: Json) -> tuple[str, ...]:  # noqa: ARG002 - the same for every request
        """A record is sent as it is: nothing."""
        return ()

    async def close(self) -> None:
        """A record holds no resources."""

    async def ask(self, question: Question) -> Json:
        """Always an error: a recorded call is answered before a provider is asked.

        Raises:
            Trouble: this call was not recorded.
        """
        what = f"occurrence {question.k} of request {question.key[:12]} of trial {question.trial}"
        raise Trouble(f"replay: {what} was not recorded", blame=Blame.FINAL)
