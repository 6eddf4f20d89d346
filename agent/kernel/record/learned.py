"""What a campaign learned about the parameters of its models, kept in its ledger over restarts."""

from __future__ import annotations

from collections.abc import Collection

from agent.base.text import clean_line
from agent.kernel.record.ledger import Ledger

_KEY = "parameters_not_taken"
_NOTED = "parameters_left_out"
_MOST_NOTED = 64
"""A box may make up any number of names."""
_KIND = "models"


class LearnedParameters:
    """Satisfies the gateway's `Learned`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._learned: dict[str, dict[str, str]] = ledger.recollect(_KEY) or {}
        self._noted: dict[str, list[str]] = ledger.recollect(_NOTED) or {}

    def recall(self, model: str) -> Collection[str]:
        """Parameters that a model, as `provider/model`, was found not to take."""
        return self._learned.get(model, {}).keys()

    def learn(self, model: str, parameter: str, said: str) -> None:
        """Keep a parameter and the provider's words against it. Raises RecordBroken."""
        self._learned.setdefault(model, {})[parameter] = said
        self._ledger.remember(_KEY, self._learned)
        self._ledger.note(_KIND, f"{model} does not take `{parameter}`, which is left out from now on: {said}")

    def warn(self, text: str) -> None:
        """An event of its own kind, of which the user may be notified. Raises RecordBroken."""
        self._ledger.note("warning", clean_line(text))

    def note(self, model: str, left_out: Collection[str]) -> None:
        """An event for each name that requests ask a model for in vain, once a campaign. Raises RecordBroken."""
        noted = self._noted.setdefault(model, [])
        new = [name for name in dict.fromkeys(left_out) if name not in noted][: _MOST_NOTED - len(noted)]
        if new:
            noted += new
            self._ledger.remember(_NOTED, self._noted)
            self._ledger.note(_KIND, f"{model}: left out of requests: {', '.join(new)}")
