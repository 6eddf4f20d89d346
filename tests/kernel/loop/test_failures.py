"""What the improver reads of failed trials: what the model was asked and said, however little the agent prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.base.refusal import Refusal
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.loop.state import State
from agent.kernel.record.ledger import Ledger
from tests.kernel.records import call, fill

ASKED = b'{"messages":[{"content":"what is 2 + 2?","role":"user"}]}'
ANSWER = b'{"choices":[{"message":{"content":"five","role":"assistant"}}]}'


def test_transcripts_of_failures_hold_the_model_calls_and_then_what_was_printed(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        fill(ledger)
        for name in ("s1-0", "s1-3", "a0"):
            ledger.record_call(replace(call(ASKED), trial=name, response=ANSWER))
        ledger.record_refusal(
            Refusal(trial="s1-2", path="/v1/messages", status=403, code="cap_exhausted", reason="8 of 8 used")
        )
        failed = {one.id: one.transcript for one in State(ledger, SearchSettings()).failures(1)}
    assert failed.keys() == {"s1-0", "s1-1", "s1-2"}, "failed search trials alone"
    told = failed["s1-0"]
    assert told.index("what is 2 + 2?") < told.index("five") < told.index("s1-0 said")
    assert failed["s1-1"] == "s1-1 said"
    assert "403 cap_exhausted: 8 of 8 used" in failed["s1-2"]
