"""The report shows what authors of patches predicted, and how often they were right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.base.usage import Usage
from agent.kernel.record.ledger import Ledger
from agent.review.report.facts import collect
from agent.review.report.page import render_sections
from tests.kernel.records import candidate, trial

BODY = "Why.\n\n```predictions\n+ a: the <b>longer</b> prompt\n- b\n+ c: later\n+ unknown: x\n```\n"


def test_predictions_are_listed_with_their_results_and_their_calibration(tmp_path: Path) -> None:
    scores = {(0, "a"): 0.0, (0, "b"): 0.5, (0, "d"): 0.0, (1, "a"): 1.0, (1, "b"): 1.0, (1, "d"): 0.0, (0, "c"): 0.0}
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number, body in enumerate(["", BODY]):
            made = replace(candidate(number), body=body)
            ledger.add_candidate(made, fingerprint=str(number), diff="", transcript="")
        for index, ((owner, task), score) in enumerate(scores.items()):
            one = replace(trial(f"{owner}{task}", score=score), task=task, usage=Usage())
            ledger.add_trial(one, candidate=owner, index=index)
        facts = collect(ledger)
    assert [(owner, o.prediction.task, o.came_true) for owner, o in facts.predicted.outcomes] == [
        (1, "a", True), (1, "b", False), (1, "c", None),
    ]  # fmt: skip
    page = render_sections(facts)["lineage"]
    assert "1 of 2 predictions came true; of the tasks that nobody named, 0 of 1 gained" in page
    assert "the &lt;b&gt;longer&lt;/b&gt; prompt" in page
    assert "not measured" in page
