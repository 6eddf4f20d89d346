"""A fair line under a loop: whatever is cancelled whenever, no slot is lost and no clock stands still for ever."""

from __future__ import annotations

import asyncio
import random

import pytest

from agent.models.gateway.line import Line, StillClock, Turn


async def visit(line: Line, ticket: Turn, seconds: float) -> None:
    async with line.turn(ticket):
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("seed", range(5))
async def test_cancelling_at_any_moment_loses_no_slot_and_leaves_no_clock_standing(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    line, boxes = Line(3, requests=60_000), [StillClock(str(i)) for i in range(4)]
    for box in boxes:
        line.enroll(box)
    tasks = []
    for _ in range(120):
        ticket = Turn([dice.choice(boxes)])
        tasks.append(asyncio.create_task(visit(line, ticket, dice.random() / 200)))
        if dice.random() < 0.3:
            line.join(ticket, dice.choice(boxes))
        if dice.random() < 0.5:
            dice.choice(tasks).cancel()
        if dice.random() < 0.3:
            await asyncio.sleep(dice.random() / 300)
        if dice.random() < 0.05:
            line.pause(0.01, ticket)
            line.resume()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    assert line.served() == set()
    free = [asyncio.create_task(visit(line, Turn([box]), 0.0)) for box in boxes]
    await asyncio.wait_for(asyncio.gather(*free), 5)
    waited = [box.waited() for box in boxes]
    await asyncio.sleep(0.02)
    assert [box.waited() for box in boxes] == waited
    line.close()


async def test_two_lines_that_delay_a_box_at_once_count_once() -> None:
    now = 0.0
    clock = StillClock("box", lambda: now)
    clock.stand()
    now = 1.0
    clock.stand()
    now = 2.0
    clock.run()
    now = 3.0
    assert clock.waited() == 3.0
    assert clock.own() == 0.0
    clock.run()
    now = 5.0
    assert (clock.waited(), clock.own()) == (3.0, 2.0)


async def test_an_answer_that_is_due_at_a_box_s_own_time_waits_until_then() -> None:
    clock = StillClock("box")
    due = clock.own() + 0.1
    clock.stand()
    arrived = asyncio.create_task(clock.reach(due))
    await asyncio.sleep(0.2)
    assert not arrived.done(), "the clock stands still"
    clock.run()
    await asyncio.wait_for(arrived, 10)
    assert clock.own() >= due


async def test_a_quiet_line_admits_nobody_and_continues_afterwards() -> None:
    line, box = Line(2), StillClock("box")
    long = asyncio.create_task(visit(line, Turn([box]), 0.1))
    await asyncio.sleep(0)
    async with line.quiet(frozenset({box})):
        assert not await line.drained(0.01)
        assert await line.drained(5.0)
        assert long.done(), "it waited for what was in service"
        late = asyncio.create_task(visit(line, Turn([box]), 0.0))
        await asyncio.sleep(0.05)
        assert not late.done()
    await asyncio.wait_for(late, 5)
    assert box.quieted >= 0.05
