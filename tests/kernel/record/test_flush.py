"""One flush for all who wait for one."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from agent.base.errors import RecordBroken
from agent.kernel.record.flush import Flush
from agent.kernel.record.ledger import Ledger
from tests.kernel.records import call

FULL = 2


class Slow:
    """A disk whose flushes end when they are told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.turn = threading.Semaphore(0)

    def __call__(self, _: Path) -> None:
        self.begun += 1
        self.turn.acquire()

    async def until(self, begun: int) -> None:
        while self.begun < begun:  # noqa: ASYNC110 - a thread begins it
            await asyncio.sleep(0.001)


async def test_those_who_come_during_a_flush_share_the_next_one(tmp_path: Path) -> None:
    disk = Slow()
    flush = Flush(tmp_path, disk)
    first = asyncio.create_task(flush.done())
    await disk.until(1)
    late = [asyncio.create_task(flush.done()) for _ in range(50)]
    await asyncio.sleep(0.01)
    assert disk.begun == 1
    disk.turn.release()
    await first
    await disk.until(2)
    assert not any(one.done() for one in late), "what they wrote may have come after the first flush began"
    disk.turn.release()
    await asyncio.gather(*late)
    assert disk.begun == 2


async def test_who_gives_up_waiting_takes_the_flush_from_nobody(tmp_path: Path) -> None:
    disk = Slow()
    flush = Flush(tmp_path, disk)
    one, other = asyncio.create_task(flush.done()), asyncio.create_task(flush.done())
    await disk.until(1)
    one.cancel()
    disk.turn.release()
    await other
    assert disk.begun == 1
    assert one.cancelled()


async def test_a_disk_that_fails_is_a_broken_record_for_all_who_wait_and_tried_again_later(tmp_path: Path) -> None:
    file = tmp_path / "file"
    flush = Flush(file)
    both = await asyncio.gather(flush.done(), flush.done(), return_exceptions=True)
    assert [type(one) for one in both] == [RecordBroken, RecordBroken]
    file.touch()
    await flush.done()


async def test_a_call_is_seen_at_once_and_all_other_rows_are_flushed_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.record_call(call())
        await ledger.kept()
        with Ledger(path, read_only=True) as other:
            assert len(other.calls()) == 1
        assert ledger._rows("PRAGMA synchronous")[0][0] == FULL


async def test_a_record_that_is_gone_keeps_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.close()
    with pytest.raises(RecordBroken):
        await ledger.kept()


def test_one_file_is_flushed_in_one_event_loop_after_another(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    flush = Flush(file)

    async def begun_and_dropped() -> None:
        flush._next = asyncio.create_task(flush._after(None))

    asyncio.run(flush.done())
    asyncio.run(flush.done())
    asyncio.run(begun_and_dropped())
    asyncio.run(flush.done())
