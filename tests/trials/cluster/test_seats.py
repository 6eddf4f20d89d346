"""Who sits where: pairs on one node, seats in the order of asking, nodes that come and go."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import UserError
from agent.base.types import BoxSpec
from agent.trials.cluster.seats import Need, Seats, room
from agent.trials.executor import NodeLost


async def test_both_sides_of_a_pair_sit_on_one_node() -> None:
    seats = Seats()
    seats.add("small", 1)
    seats.add("large", 2)
    async with seats.take(2) as node, seats.take() as other:
        assert (node, other) == ("large", "small")


async def test_a_pair_that_waits_is_not_overtaken_by_single_trials() -> None:
    seats, order = Seats(), list[str]()
    seats.add("node", 2)

    async def sit(name: str, count: int) -> None:
        async with seats.take(count):
            order.append(name)

    async with AsyncExitStack() as first:
        await first.enter_async_context(seats.take())
        waiting = [asyncio.create_task(sit("pair", 2))]
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(sit("single", 1)))
        await asyncio.sleep(0.01)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == ["pair", "single"]


async def test_a_node_with_some_room_is_kept_for_a_pair_and_others_pass_on_other_nodes() -> None:
    seats = Seats()
    seats.add("full", 1)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await second.enter_async_context(seats.take(1))
        seats.add("half", 2)
        await first.enter_async_context(seats.take())
        pair = asyncio.create_task(seats.take(2).__aenter__())
        await asyncio.sleep(0.01)
        single = asyncio.create_task(seats.take().__aenter__())
        await asyncio.sleep(0.01)
        assert not single.done(), "the free seat is kept for the pair"
        await second.aclose()
        assert await single == "full"
        assert not pair.done()
        await first.aclose()
        assert await pair == "half"


async def test_a_pair_that_waits_for_a_full_large_node_holds_up_nobody_on_a_free_small_one() -> None:
    seats = Seats()
    seats.add("large", 2)
    async with AsyncExitStack() as first:
        await first.enter_async_context(seats.take(2))
        seats.add("small", 1)
        pair = asyncio.create_task(seats.take(2).__aenter__())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(5), seats.take() as node:
            assert node == "small"
        assert not pair.done()
    assert await pair == "large"


async def test_a_node_that_left_is_given_to_nobody_and_one_that_joins_is() -> None:
    seats = Seats()
    seats.add("first", 1)
    async with seats.take() as node:
        seats.remove(node)
    waiting = asyncio.create_task(seats.take().__aenter__())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    seats.add("second", 1)
    assert await waiting == "second"


async def test_without_any_node_a_trial_is_void_after_a_while() -> None:
    seats = Seats(patience=0.0)
    await asyncio.sleep(0.01)
    with pytest.raises(NodeLost, match="no node"):
        async with seats.take():
            pass


async def test_a_pair_that_fits_on_no_node_is_the_users_to_fix() -> None:
    seats = Seats()
    seats.add("node", 1)
    with pytest.raises(UserError, match="room for 2"):
        async with seats.take(2):
            pass


async def test_a_seat_given_to_a_trial_that_is_cancelled_goes_to_the_next() -> None:
    seats = Seats()
    seats.add("node", 1)
    async with AsyncExitStack() as first:
        await first.enter_async_context(seats.take())
        gone, next_one = (asyncio.create_task(seats.take().__aenter__()) for _ in range(2))
        await asyncio.sleep(0.01)
        gone.cancel()
    assert await next_one == "node"
    assert gone.cancelled()


def test_a_node_that_is_too_small_is_told_with_what_it_lacks() -> None:
    need = Need(cpus=1, memory=8 << 30, custom={"ratchet": 1.0})
    told = need.lack({"CPU": 4.0, "memory": float(1 << 30)})
    assert told == "memory: a box takes 8192 MiB, it has 1024 MiB; ratchet: a box takes 1, it has 0"


def test_a_node_too_small_for_a_pair_is_put_down_to_the_limit_of_the_task_that_exceeds_the_campaigns() -> None:
    own = BoxSpec(image="i", gateway=True, memory_mb=512)
    need = Need.of({own, replace(own, memory_mb=8192)}, {})
    with pytest.raises(UserError, match="room for 2 boxes") as error:
        room([{"CPU": 8.0, "memory": float(12 << 30)}, {}], need, own)
    assert error.value.fix.startswith(need.remedy(own))
    assert "`memory_mb` of a task, 8192" in error.value.fix
    assert "boxes.memory_mb" not in error.value.fix
    assert "boxes.memory_mb" in Need.of({own}, {}).remedy(own)
    assert room([{"CPU": 8.0, "memory": float(16 << 30)}, {}], need, own) == [2, 0]


async def test_a_pair_that_fits_on_no_node_gets_the_remedy_of_the_campaign() -> None:
    seats = Seats(remedy="Use less")
    seats.add("node", 1)
    with pytest.raises(UserError, match="room for 2") as error:
        async with seats.take(2):
            pass
    assert error.value.fix == "Use less"


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 2)), min_size=1, max_size=30), st.integers(2, 4))
def test_no_node_ever_holds_more_boxes_than_it_has_seats(work: list[tuple[int, int]], total: int) -> None:
    async def play() -> None:
        seats, held = Seats(), {"a": 0, "b": 0}
        for name in held:
            seats.add(name, total)

        async def sit(turns: int, count: int) -> None:
            async with seats.take(count) as node:
                held[node] += count
                assert held[node] <= total
                for _ in range(turns):
                    await asyncio.sleep(0)
                held[node] -= count

        await asyncio.gather(*(sit(turns, count) for turns, count in work))
        assert held == {"a": 0, "b": 0}

    asyncio.run(play())


def test_a_node_holds_as_many_boxes_as_its_scarcest_resource_allows() -> None:
    need = Need(cpus=0.5, memory=1 << 30, custom={"ratchet": 1.0})
    assert need.fits({"CPU": 8.0, "memory": float(5 << 30), "ratchet": 3.0}) == 3
    assert need.fits({"CPU": 8.0, "memory": float(5 << 30)}) == 0
    assert need.bundle(2) == {"CPU": 1.0, "memory": 2 << 30, "ratchet": 2.0}
