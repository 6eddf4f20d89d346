"""`ratchet audit`: who decided what, on which evidence, with which kernel and configuration."""

from __future__ import annotations

import json

from agent.base.owner import login
from agent.config.campaign import Config
from agent.config.record import HIDDEN, recorded
from agent.review.audit.decisions import CONFIGURATION, KERNEL, STARTED_BY, as_markdown, audit_log
from tests.review.conftest import Night


def test_each_commit_stands_with_its_evidence_and_who_approved_it(night: Night) -> None:
    with night.ledger() as ledger:
        log = audit_log("night", ledger)
    assert [one.commit for one in log.commits] == [commit.sha for commit in night.commits()]
    for one in log.commits:
        assert one.verdict == "accepted"
        assert one.figures is not None
        assert one.figures["pairs"] > 0
    text = as_markdown(log)
    for commit in night.commits():
        assert commit.sha[:12] in text
    assert "approved by: the gate alone" in text


def test_a_start_with_another_kernel_or_configuration_is_a_decision(night: Night) -> None:
    with night.ledger(write=True) as ledger:
        ledger.remember(KERNEL, "a" * 64)
        ledger.remember(CONFIGURATION, {"seed": 1, "budget": {"hours": 1.0}})
        ledger.remember(CONFIGURATION, {"seed": 1, "budget": {"hours": 2.0}})
        text = as_markdown(audit_log("night", ledger))
    assert "the trusted code is aaaaaaaaaaaa" in text
    assert "budget.hours: 1.0 -> 2.0" in text


def test_hostile_words_in_an_event_cannot_break_the_table(night: Night) -> None:
    with night.ledger(write=True) as ledger:
        ledger.note("verdict", "#1 | <script>\nx")
        (row,) = [line for line in as_markdown(audit_log("night", ledger)).splitlines() if "script" in line]
    assert "<script>" not in row
    assert "\\|" in row


def test_the_command_writes_markdown_and_json(night: Night) -> None:
    assert "# Decisions of campaign night" in night.ratchet("audit").stdout
    facts = json.loads(night.ratchet("audit", "--json").stdout)
    assert len(facts["commits"]) == 2
    out = night.lab.folder / "audit.md"
    assert night.ratchet("audit", "--out", str(out)).exit_code == 0
    assert "What each commit rests on" in out.read_text()


def test_no_secret_is_recorded_with_the_configuration() -> None:
    model = {"provider": "openai", "model": "m", "base_url": "http://user:pass@localhost:1/v1"}
    raw = {"suite": "s", "models": {"solver": model, "improver": model}, "notify": {"webhook": "https://x/secret"}}
    kept = json.dumps(recorded(Config.model_validate(raw)))
    assert "secret" not in kept
    assert "pass@" not in kept
    assert HIDDEN in kept


def test_a_person_is_named_where_the_record_has_a_name(night: Night) -> None:
    with night.ledger(write=True) as ledger:
        ledger.remember(STARTED_BY, "ada")
        ledger.remember(KERNEL, "b" * 64)
        for kind, text in (
            ("approved", "#7 was approved by grace h."),
            ("approved", "#8 was approved by the gate (approve: auto)"),
            ("rejected", "#9 was rejected by eve: reads the clock"),
            ("continued", "joan continued past a tripwire: $3"),
            ("request", "approval of #7 by bob was not done: too late"),
            ("revert", "#7 was reverted by #9 (abc); decided by ida"),
            ("revert", "#7 was reverted by #9 (abc)"),
        ):
            ledger.note(kind, text)
        found = [one.by for one in audit_log("night", ledger).decisions][-8:]
    assert found == ["ada", "grace h.", "gate", "eve", "joan", "bob", "ida", "a person"]


def test_a_revert_is_not_said_to_be_approved_by_the_gate(night: Night) -> None:
    number = night.commits()[0].trailers["Ratchet-Candidate"]
    assert night.ratchet("revert", number, "--fresh", "0").exit_code == 0
    with night.ledger() as ledger:
        log = audit_log("night", ledger)
    (revert,) = [one for one in log.commits if one.test is None]
    assert revert.approved_by == login()
    text = as_markdown(log)
    assert f"- decided by {login()}, without a test" in text
    assert text.count("approved by: the gate alone") == 2
