"""What came of a campaign, without what differs between two runs of the same one."""

from __future__ import annotations

import copy
import json

from agent.review.audit.outcome import differences, outcome
from tests.review.conftest import Night


def test_it_holds_every_candidate_test_and_commit_and_survives_json(night: Night) -> None:
    with night.ledger() as ledger:
        found = outcome(ledger)
        tests = [row.decision["pairs"] for row in ledger.tests() if row.decision]
    trees = night.git("log", "--reverse", "--format=%T", "main..ratchet/night").split()
    assert [commit["tree"] for commit in found["commits"]] == trees
    assert [len(test["pairs"]) for test in found["tests"]] == tests
    assert json.loads(json.dumps(found)) == found
    assert differences(found, json.loads(json.dumps(found))) == []


def test_each_difference_is_named_on_both_sides(night: Night) -> None:
    with night.ledger() as ledger:
        recorded = outcome(ledger)
    found = copy.deepcopy(recorded)
    found["candidates"][1]["subject"] = "Something else"
    found["tests"][0]["pairs"].pop()
    found["commits"].pop()
    said = differences(recorded, found)
    assert [line.split(":")[0] for line in said] == ["candidates 2", "tests 1", f"commits {len(recorded['commits'])}"]
    assert "Something else" in said[0]
    assert said[2].endswith("now nothing")
