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


def test_what_is_left_out_of_requests_is_an_event_once_and_bounded(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        learned = LearnedParameters(ledger)
        learned.note("openai/m", ("metadata", "seed"))
        learned.note("openai/m", ("metadata",))
        learned.note("openai/m", ())
        assert [event.text for event in ledger.events()] == ["openai/m: left out of requests: metadata, seed"]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        learned = LearnedParameters(ledger)
        learned.note("openai/m", ("seed",))
        for i in range(200):
            learned.note("openai/m", (f"made up {i}",))
        assert len(ledger.events()) < 100
