"""Small ledgers, in which every table has rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from agent.base.refusal import Refusal
from agent.base.types import Call, Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.kernel.record.ledger import Ledger

VERSION_1 = Path(__file__).parent / "data" / "ledger-1.sql"
"""A campaign of 111 trials, one commit and three calls, as the Ratchet of ledger version 1 left it."""

VERSION_2 = VERSION_1.with_name("ledger-2.sql")
"""What `fill` writes, as the Ratchet of ledger version 2 left it."""

VERSION_3 = VERSION_1.with_name("ledger-3.sql")
"""The same, as the Ratchet of ledger version 3 left it."""


def candidate(number: int) -> Candidate:
    parent = None if number == 0 else 0
    return Candidate(
        id=number, parent=parent, tree=f"tree{number}", subject=f"Patch {number}", body="b", fate=Fate.OPEN,
        reason="r", size=1,
    )  # fmt: skip


def trial(name: str, *, purpose: Purpose = Purpose.SEARCH, score: float = 1.0) -> Trial:
    return Trial(
        id=name, tree="tree0", task="t", purpose=purpose, seed=1, score=score, reason="ok", transcript=f"{name} said",
        usage=Usage(calls=1, fresh_calls=1, tokens_in=3), seconds=0.5,
    )  # fmt: skip


def call(request: bytes = b"{}", *, k: int = 0, fresh: bool = True) -> Call:
    return Call(
        trial="t1", role="solver", model="p/m", key="key", k=k, answer_scope="m", fresh=fresh, request=request,
        response=b'{"a":%d}' % k, status=200, tokens_in=10, tokens_out=5, dollars=0.25, seconds=0.1, retries=0,
    )  # fmt: skip


REFUSAL = Refusal(trial="t1", path="/v1/messages", status=403, code="cap_exhausted", reason="enough", times=2)


def fill(ledger: Ledger) -> None:
    """A seed, two patches, one of which is accepted at the gate."""
    ledger.remember("suite", "abc")
    for number in range(3):
        ledger.add_candidate(candidate(number), fingerprint=f"f{number}", diff=f"diff {number}", transcript="said")
        for index in range(4):
            ledger.add_trial(trial(f"s{number}-{index}", score=index / 3), candidate=number, index=index)
    for k in range(3):
        ledger.record_call(call(b'{"messages":[{"content":"%d"}]}' % k, k=k, fresh=k > 0))
    ledger.record_call(replace(call(k=3), cache_read=6, cache_write=2, saved=0.5, left_out=("seed",)))
    ledger.record_refusal(REFUSAL)
    test = ledger.open_test(candidate=1, champion=0, commits=0, policy="proven", settings={"alpha": 0.05})
    for index in range(3):
        sides = (trial(f"a{index}", purpose=Purpose.GATE, score=0.0), trial(f"b{index}", purpose=Purpose.GATE))
        ledger.add_pair(test, index, "t", sides, None)
    ledger.add_pair(test, 3, "t", (None, None), "champion")
    ledger.close_test(test.id, "accepted", {"pairs": 3})
    ledger.add_commit(sha="c0ffee", parent="base", candidate=1, test=test.id)
    ledger.set_fate(2, Fate.REJECTED, "not better")
    ledger.note("end", "the budget is used up")
    ledger.remember("seconds", 12.5)


def old_ledger(file: Path, recorded: Path = VERSION_1) -> Path:
    """Put an old ledger there."""
    with closing(sqlite3.connect(file)) as db:
        db.executescript(recorded.read_text(encoding="utf-8"))
    return file
