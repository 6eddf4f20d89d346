"""What a campaign learned about its models outlives a restart."""

from __future__ import annotations

from pathlib import Path

from agent.kernel.record.learned import LearnedParameters
from agent.kernel.record.ledger import Ledger


def test_a_parameter_that_was_refused_once_is_known_after_a_restart(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        learned = LearnedParameters(ledger)
        assert not learned.recall("openai/m")
        learned.learn("openai/m", "stop", "not supported")
        learned.learn("openai/m", "temperature", "only 1")
        learned.learn("openai/other", "stop", "no")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert sorted(LearnedParameters(ledger).recall("openai/m")) == ["stop", "temperature"]
