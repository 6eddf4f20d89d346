"""What a crash cuts off is billed: each attempt is in the journal before it is sent, until its row is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import RecordBroken
from agent.base.types import Call
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.under_way import FILE, UnderWay, book_cut_off
from agent.models.gateway.record import MemoryRecord
from agent.models.ports import Json, Question, Trouble
from tests.models.gateway.test_pair import Gate, box, ended, models, say, text_of


def as_if_killed(folder: Path) -> list[Call]:
    """What the next start would book if this process had been killed now."""
    after = folder / "after"
    shutil.rmtree(after, ignore_errors=True)
    after.mkdir()
    shutil.copy(folder / FILE, after / FILE)
    with Ledger(after / "ledger.sqlite") as ledger:
        book_cut_off(after, ledger)
        return ledger.calls()


async def test_a_call_that_a_crash_cuts_off_is_billed_at_its_bound(
    run_gateway: Any, scripted_models: Any, until: Any, tmp_path: Path
) -> None:
    gate, journal = Gate(), UnderWay(tmp_path)
    priced = models(scripted_models, price={"input": 1000, "output": 1000})
    async with run_gateway(priced, providers={"solver": gate}, journal=journal) as bench:
        _, client = await box(bench, trial="t", answer_scope="p")
        call = say(client, max_tokens=40)
        await until(lambda: gate.running)
        [cut] = as_if_killed(tmp_path)
        assert (cut.trial, cut.answer_scope, cut.status, cut.tokens_out) == ("t", "p", 499, 40)
        assert cut.tokens_in > len("solve")
        assert cut.dollars == pytest.approx((cut.tokens_in + 40) / 1000)
        gate.go.set()
        assert text_of(await call) == "ok"
        assert as_if_killed(tmp_path) == []


class FullDisk(MemoryRecord):
    """It takes rows, and cannot flush them."""

    async def kept(self) -> None:
        raise RecordBroken("no space left on device")


async def test_a_row_that_could_not_be_flushed_is_not_booked_a_second_time(
    run_gateway: Any, scripted_models: Any, until: Any, tmp_path: Path
) -> None:
    gate, journal, record = Gate(), UnderWay(tmp_path), FullDisk()
    async with run_gateway(scripted_models, providers={"solver": gate}, journal=journal, record=record) as bench:
        session, client = await box(bench)
        gate.go.set()
        call = say(client, max_tokens=40)
        await until(lambda: record.calls)
        await until(lambda: not as_if_killed(tmp_path))
        await ended(call)
        await session.close()


async def test_every_attempt_counts_and_a_box_that_hangs_up_changes_nothing(
    run_gateway: Any, scripted_models: Any, until: Any, tmp_path: Path
) -> None:
    class Breaks(Gate):
        async def ask(self, question: Question) -> Json:
            if not self.asked:
                self.asked.append(question.body)
                raise Trouble("it broke off", billed=True)
            return await super().ask(question)

    breaks, journal = Breaks(), UnderWay(tmp_path)
    async with run_gateway(scripted_models, providers={"solver": breaks}, journal=journal) as bench:
        session, client = await box(bench)
        call = say(client, max_tokens=40)
        await until(lambda: breaks.running)
        await ended(call)
        await session.close()
        [cut] = as_if_killed(tmp_path)
        assert (cut.tokens_out, cut.retries) == (80, 1)
        breaks.go.set()
        await until(lambda: not as_if_killed(tmp_path))
    assert bench.record.calls[-1].status == 200
