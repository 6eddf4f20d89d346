"""The pool, with boxes that are only counted."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from agent.base.errors import SandboxDown
from agent.base.types import BoxSpec
from sandbox.pool import SHELVES, Pool

SPEC = BoxSpec(image="i", gateway=False)


class Counted:
    def __init__(self, number: int, shop: Shop) -> None:
        self.number, self.fresh, self.shop = number, True, shop

    async def close(self) -> None:
        self.shop.closed.append(self.number)


class Shop:
    """Makes boxes, one tick each, and remembers what it did."""

    def __init__(self) -> None:
        self.made = self.busy = self.busiest = 0
        self.closed: list[int] = []
        self.faults = 0

    async def make(self, spec: BoxSpec) -> Counted:
        del spec
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.faults:
            self.faults -= 1
            raise SandboxDown("no engine")
        self.made += 1
        return Counted(self.made, self)


async def rest() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


async def test_a_box_is_handed_out_once_and_replaced() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=2, parallel=2)
    boxes = [await pool.get(SPEC) for _ in range(5)]
    await rest()
    assert len({box.number for box in boxes}) == 5
    assert shop.made == 7
    await pool.close()
    assert sorted(shop.closed) == [6, 7] or len(shop.closed) == 2


async def test_prewarmed_boxes_wait_for_the_first_who_asks() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=1, parallel=2)
    pool.prewarm(SPEC, 3)
    await rest()
    assert shop.made == 3
    await asyncio.wait_for(pool.get(SPEC), 1)
    await pool.close()


async def test_no_more_are_made_at_a_time_than_allowed() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=0, parallel=3)
    await asyncio.gather(*(pool.get(SPEC) for _ in range(20)))
    assert shop.busiest == 3
    assert shop.made == 20
    await pool.close()


async def test_a_box_that_went_stale_is_not_handed_out() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=1, parallel=1)
    pool.prewarm(SPEC, 1)
    await rest()
    pool._shelves[SPEC].ready[0].fresh = False
    assert (await pool.get(SPEC)).number == 2
    await pool.close()
    assert 1 in shop.closed


async def test_a_failure_reaches_one_who_waits_and_the_next_tries_again() -> None:
    shop = Shop()
    shop.faults = 1
    pool = Pool(shop.make, ready=0, parallel=1)
    with pytest.raises(SandboxDown):
        await pool.get(SPEC)
    assert (await pool.get(SPEC)).number == 1
    await pool.close()


async def test_a_failure_ahead_of_need_is_nobodys() -> None:
    shop = Shop()
    shop.faults = 2
    pool = Pool(shop.make, ready=2, parallel=2)
    pool.prewarm(SPEC, 2)
    await rest()
    assert (await pool.get(SPEC)).number >= 1
    await pool.close()


async def test_one_who_gives_up_waiting_loses_no_box() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=0, parallel=1)
    waiting = asyncio.create_task(pool.get(SPEC))
    await asyncio.sleep(0)
    waiting.cancel()
    await rest()
    await pool.close()
    assert len(shop.closed) == shop.made


async def test_kinds_that_were_not_asked_for_lately_are_let_go() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=1, parallel=2)
    for size in range(SHELVES + 3):
        await pool.get(BoxSpec(image="i", gateway=False, memory_mb=size + 1))
        await rest()
    assert len(pool._shelves) == SHELVES
    assert len(shop.closed) == 3
    await pool.close()


async def test_closing_ends_every_wait_and_every_box() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=3, parallel=1)
    waiting = [asyncio.create_task(pool.get(SPEC)) for _ in range(3)]
    await asyncio.sleep(0)
    await pool.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    kept = [box for box in ended if isinstance(box, Counted)]
    assert len(kept) + len(shop.closed) == shop.made
    with pytest.raises(SandboxDown):
        await pool.get(SPEC)


async def test_an_expected_box_is_made_meanwhile_and_not_replaced_after_it_was_taken() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=0, parallel=2)
    with pool.expect(SPEC):
        await rest()
        assert shop.made == 1
    assert (await pool.get(SPEC)).number == 1
    await rest()
    assert shop.made == 1
    await pool.close()


async def test_an_expected_box_that_is_not_taken_serves_the_next_request() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=0, parallel=2)
    for _ in range(3):
        with pool.expect(SPEC):
            await rest()
    assert (await pool.get(SPEC)).number == shop.made == 1
    await pool.close()


async def test_no_more_boxes_are_kept_for_the_expected_than_are_made_at_a_time() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=0, parallel=2)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(pool.expect(SPEC))
        await rest()
        assert shop.made == 2
    await pool.close()
    assert len(shop.closed) == 2


async def test_an_expected_kind_outlives_the_kinds_that_come_after_it() -> None:
    shop = Shop()
    pool = Pool(shop.make, ready=0, parallel=1)
    with pool.expect(SPEC):
        await rest()
        for number in range(SHELVES + 1):
            await pool.get(BoxSpec(image=str(number), gateway=False))
    assert (await pool.get(SPEC)).number == 1
    await pool.close()
