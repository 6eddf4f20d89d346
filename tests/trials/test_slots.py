"""How many run at a time, also while the limit changes."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from agent.trials.slots import Slots


async def crowd(limits: list[int], workers: int) -> list[tuple[int, int]]:
    """(how many ran, the limit that held when the last of them came in), for each that came in."""
    slots, running, seen = Slots(limits[0]), 0, list[tuple[int, int]]()

    async def work() -> None:
        nonlocal running
        async with slots:
            running += 1
            seen.append((running, slots.limit))
            await asyncio.sleep(0)
            running -= 1

    async def change() -> None:
        for limit in limits:
            slots.limit = limit
            await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(change(), *(work() for _ in range(workers))), 10)
    return seen


@given(limits=st.lists(st.integers(1, 5), min_size=1, max_size=8), workers=st.integers(0, 20))
def test_no_one_comes_in_above_the_limit_and_everyone_gets_a_turn(limits: list[int], workers: int) -> None:
    seen = asyncio.run(crowd(limits, workers))
    assert len(seen) == workers
    assert all(running <= limit for running, limit in seen)


async def test_one_that_is_cancelled_while_it_waits_leaves_its_turn_to_the_next() -> None:
    slots, order = Slots(1), list[str]()

    async def work(name: str) -> None:
        async with slots:
            order.append(name)
            await asyncio.sleep(0.01)

    first, second, third = (asyncio.create_task(work(name)) for name in ("first", "second", "third"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert order == ["first", "third"]
