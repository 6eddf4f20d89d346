"""What a campaign learned about the parameters of its models, kept in its ledger over restarts."""

from __future__ import annotations

from collections.abc import Collection

from agent.kernel.record.ledger import Ledger

_KEY = "parameters_not_taken"
_KIND = "models"


class LearnedParameters:
    """Satisfies the gateway's `Learned`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._learned: dict[str, dict[str, str]] = ledger.recollect(_KEY) or {}

    def recall(self, model: str) -> Collection[str]:
        """Parameters that a model, as `provider/model`, was found not to take."""
        return self._learned.get(model, {}).keys()

    def learn(self, model: str, parameter: str, said: str) -> None:
        """Keep a parameter and the provider's words against it. Raises RecordBroken."""
        self._learned.setdefault(model, {})[parameter] = said
        self._ledger.remember(_KEY, self._learned)
        self._ledger.note(_KIND, f"{model} does not take `{parameter}`, which is left out from now on: {said}")
