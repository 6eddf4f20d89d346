"""The report on models: what caches saved, what was not sent, what no box asked, what was refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from agent.base.refusal import Aside
from agent.kernel.record.ledger import Ledger
from agent.review.report.facts import collect
from agent.review.report.page import render
from agent.review.summary import summarise
from agent.review.terminal.calls import print_calls, print_refusals
from tests.kernel.records import REFUSAL, call

VILE = "<script>alert(1)</script>"


def filled(folder: Path) -> Ledger:
    ledger = Ledger(folder / "ledger.sqlite")
    for k in range(3):
        ledger.record_call(call(k=k))
    ledger.record_call(replace(call(k=3), cache_read=6, cache_write=2, saved=0.5, left_out=("seed",)))
    ledger.record_refusal(REFUSAL)
    ledger.record_call(replace(call(), trial=Aside.PROBE, answer_scope=None))
    ledger.record_refusal(replace(REFUSAL, reason=VILE, times=3))
    return ledger


def test_the_report_shows_it_and_escapes_what_boxes_wrote(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger:
        facts = collect(ledger)
        assert summarise(ledger).saved == facts.models.saved == 0.5
    page = render(facts)
    assert "prompt caches saved $0.5000" in page
    assert "1 probe calls (15 tokens, $0.2500)" in page
    assert ">seed<" in page
    assert "cap_exhausted" not in page, "the reason says it in words"
    assert "/v1/messages: enough" in page
    assert VILE not in page
    assert VILE.replace("<", "&lt;").replace(">", "&gt;") in page


def test_a_campaign_without_any_of_it_says_nothing_of_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record_call(call())
        page = render(collect(ledger))
    assert not any(f'id="{name}"' in page for name in ("cache", "asides", "left-out", "refusals"))


def test_calls_are_listed_with_those_that_were_refused(tmp_path: Path) -> None:
    with filled(tmp_path) as ledger, (tmp_path / "said").open("w") as file:
        console = Console(file=file, width=200)
        print_calls(ledger.calls(), console, full=False)
        print_calls(ledger.calls()[3:4], console, full=True)
        print_refusals(ledger.refusals(), console)
        print_refusals([], console)
    said = (tmp_path / "said").read_text()
    assert "10+5 (6 cached)" in said
    assert "not sent: seed" in said
    assert "probe" in said
    assert f"3 x /v1/messages 403 cap_exhausted: {VILE}" in said
    assert said.count("Refused without asking a model") == 1
