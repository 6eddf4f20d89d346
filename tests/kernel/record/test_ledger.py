"""The ledger: what was written is read back, all of it or nothing, and changed bodies are found."""

from __future__ import annotations

import json
import sqlite3
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.base.errors import RecordBroken
from agent.base.refusal import Aside
from agent.base.types import Call, Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.kernel.record.ledger import Ledger
from agent.models.ports import settled
from tests.kernel.records import REFUSAL
from tests.kernel.tamper import tampering


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        for number in range(3):
            opened.add_candidate(candidate(number), fingerprint=f"f{number}", diff="", transcript="")
        yield opened


def candidate(number: int) -> Candidate:
    parent = None if number == 0 else 0
    return Candidate(
        id=number, parent=parent, tree=f"tree{number}", subject="s", body="b", fate=Fate.OPEN, reason="r", size=1
    )


def trial(name: str, *, purpose: Purpose = Purpose.SEARCH, score: float = 1.0) -> Trial:
    return Trial(
        id=name, tree="tree0", task="t", purpose=purpose, seed=1, score=score, reason="ok", transcript="said",
        usage=Usage(calls=1, fresh_calls=1, tokens_in=3), seconds=0.5,
    )  # fmt: skip


def call(
    request: bytes = b"{}", *, answer_scope: str | None = "m", k: int = 0, fresh: bool = True, status: int = 200
) -> Call:
    return Call(
        trial="t1", role="solver", model="p/m", key="key", k=k, answer_scope=answer_scope, fresh=fresh, request=request,
        response=b'{"a":1}', status=status, tokens_in=10, tokens_out=5, dollars=0.25, seconds=0.1, retries=0,
    )  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(messages=st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=4), other=json_values)
def test_a_request_is_read_back_as_it_was(ledger: Ledger, messages: list[object], other: object) -> None:
    body = {"messages": messages, "other": other}
    request = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
    try:
        request.decode()
    except UnicodeDecodeError:
        return
    ledger.record_call(call(request))
    assert ledger.calls(last=1)[0].request == request


def test_messages_that_two_requests_share_are_stored_once(ledger: Ledger) -> None:
    shared = {"role": "system", "content": "x" * 10_000}
    for n in range(20):
        ledger.record_call(call(json.dumps({"messages": [shared, {"role": "user", "content": str(n)}]}).encode()))
    with sqlite3.connect(ledger.path) as db:
        (bodies,) = db.execute("SELECT count(*) FROM blobs WHERE length(body) > 0").fetchone()
    assert bodies <= 20 + 1 + 3


def test_a_memo_finds_the_fresh_answer_of_the_same_occurrence_only(ledger: Ledger) -> None:
    ledger.record_call(call(k=0))
    ledger.record_call(call(k=1, status=500))
    ledger.record_call(call(k=2, fresh=False))
    assert ledger.recall("m", "key", 0) == call(k=0)
    assert [ledger.recall("m", "key", k) for k in (1, 2, 3)] == [None] * 3
    assert ledger.recall("other", "key", 0) is None


def test_a_refusal_settles_a_question_but_a_limit_or_an_outage_does_not(ledger: Ledger) -> None:
    for k, status in enumerate((400, 413, 403, 408, 429, 499, 503)):
        ledger.record_call(call(k=k, status=status))
    found = [ledger.recall("m", "key", k) for k in range(7)]
    assert [None if one is None else one.status for one in found] == [400, 413, None, None, None, None, None]
    assert [status for status in range(600) if settled(status)] == [
        200,
        *(status for status in range(400, 499) if status not in (403, 408, 429)),
    ]


def test_only_fresh_calls_cost(ledger: Ledger) -> None:
    ledger.record_call(call())
    ledger.record_call(call(fresh=False))
    spent = ledger.spent()
    assert (spent.calls, spent.fresh_calls, spent.fresh_tokens, spent.dollars) == (2, 1, 15, 0.25)


def test_a_pair_is_kept_with_both_trials_or_not_at_all(ledger: Ledger) -> None:
    test = ledger.open_test(candidate=1, champion=0, commits=0, policy="proven", settings={})
    ledger.add_trial(trial("taken"), candidate=0, index=0)
    sides = (trial("a", purpose=Purpose.GATE), trial("taken", purpose=Purpose.GATE))
    with pytest.raises(RecordBroken):
        ledger.add_pair(test, 0, "t", sides, None)
    assert ledger.pairs(test.id) == []
    assert ledger.trial("a") is None
    ledger.add_pair(test, 0, "t", (trial("a", purpose=Purpose.GATE, score=0.0), trial("b", purpose=Purpose.GATE)), None)
    ledger.add_pair(test, 1, "t", (None, None), "champion")
    first, second = ledger.pairs(test.id)
    assert (first.champion, first.candidate, first.void_side) == (0.0, 1.0, None)
    assert (second.champion, second.candidate, second.void_side) == (None, None, "champion")


def test_gate_indices_count_from_one_and_never_repeat(ledger: Ledger) -> None:
    indices = [ledger.open_test(candidate=n, champion=0, commits=0, policy="proven", settings={}).id for n in (1, 2, 1)]
    assert indices == [1, 2, 3]


def test_trials_are_read_back_as_they_were(ledger: Ledger) -> None:
    ledger.add_trial(trial("x"), candidate=2, index=7)
    assert ledger.trial("x") == trial("x")
    assert ledger.indices(Purpose.SEARCH) == [(2, 7, 1.0)]


def test_a_changed_body_is_found(ledger: Ledger) -> None:
    ledger.add_trial(trial("x"), candidate=0, index=0)
    with tampering(ledger.path) as db:
        db.execute("UPDATE blobs SET body = ?", (zlib.compress(b"forged"),))
    with pytest.raises(RecordBroken):
        ledger.trial("x")


def test_it_is_read_beside_its_writer(ledger: Ledger) -> None:
    with Ledger(ledger.path, read_only=True) as reader:
        ledger.note("k", "text")
        assert [text for _, _, _, text in reader.events()] == ["text"]
        with pytest.raises(RecordBroken):
            reader.note("k", "no")


def test_a_file_that_is_no_ledger_is_a_broken_record(tmp_path: Path) -> None:
    (tmp_path / "l").write_text("not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(RecordBroken):
        Ledger(tmp_path / "l")


def test_what_a_call_has_to_say_besides_is_kept_with_it(ledger: Ledger) -> None:
    plain = call(k=0)
    cached = replace(call(k=1), cache_read=6, cache_write=2, saved=0.5, left_out=("seed", "top_p"))
    costly = replace(call(k=2), role="improver", cache_write=9, saved=-0.125)
    for one in (plain, cached, costly):
        ledger.record_call(one)
    assert ledger.calls() == [plain, cached, costly]
    assert ledger.recall("m", "key", 1) == cached
    assert ledger.cache_use() == [("improver", "p/m", 0, 9, -0.125), ("solver", "p/m", 6, 2, 0.5)]
    assert ledger.left_out() == [("p/m", "seed", 1), ("p/m", "top_p", 1)]


def test_calls_that_no_box_made_are_summed_by_what_they_were_for(ledger: Ledger) -> None:
    for kind in (Aside.PROBE, Aside.PROBE, Aside.PREFLIGHT):
        ledger.record_call(replace(call(), trial=kind, answer_scope=None))
    ledger.record_call(call())
    assert ledger.asides() == [("preflight", 1, 15, 0.25), ("probe", 2, 30, 0.5)]


def test_refused_calls_are_kept_by_trial_and_equal_ones_are_one(ledger: Ledger) -> None:
    again, other = replace(REFUSAL, times=7), replace(REFUSAL, trial="t2", reason="less", times=1)
    for one in (REFUSAL, other, again):
        ledger.record_refusal(one)
    assert ledger.refusals("t1") == [replace(REFUSAL, times=9)]
    assert ledger.refusals(last=1) == [other]
    assert ledger.refusals() == [replace(REFUSAL, times=9), other]


def test_what_is_written_together_is_kept_whole_or_not_at_all(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    ledger.mirror_to(tmp_path / "shown")
    record, before = tmp_path / "shown" / "record.jsonl", ledger.head()
    length = len(record.read_text())

    def break_off() -> None:
        with ledger.together():
            ledger.remember("a", 1)
            ledger.note("kind", "half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert (ledger.recollect("a"), ledger.events(), ledger.head()) == (None, [], before)
    assert len(record.read_text()) == length
    with ledger.together():
        ledger.remember("a", 1)
        ledger.note("kind", "whole")
    assert (ledger.recollect("a"), [row.text for row in ledger.events()]) == (1, ["whole"])
    assert record.read_text().count("\n") == ledger.head()[0]


def test_what_caches_saved_is_counted_for_each_candidate(ledger: Ledger) -> None:
    for number, saved in ((1, 0.5), (1, 0.25), (2, -0.1)):
        name = f"{number}/{saved}"
        ledger.add_trial(trial(name), candidate=number, index=int(saved * 100) % 7)
        ledger.record_call(replace(call(k=int(saved * 100)), trial=name, cache_read=5, saved=saved))
    assert [ledger.saved(number) for number in range(3)] == [0.0, 0.75, -0.1]


def test_a_commit_says_at_once_why_its_candidate_was_accepted(ledger: Ledger) -> None:
    """A run may be killed before it says so itself."""
    test = ledger.open_test(candidate=1, champion=0, commits=0, policy="proven", settings={})
    ledger.add_commit(sha="c0ffee", parent="base", candidate=1, test=test.id, reason="accepted: .1 -> .5")
    found = {one.id: one for one in ledger.candidates()}[1]
    assert (found.fate, found.reason) == (Fate.CHAMPION, "accepted: .1 -> .5")
