"""Blocking work in a thread ends before the step that asked for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agent.kernel.loop.threads import to_end


async def test_work_gives_its_result_or_its_error() -> None:
    assert await to_end(lambda: threading.current_thread() is not threading.main_thread())
    with pytest.raises(ZeroDivisionError):
        await to_end(lambda: 1 // 0)


async def test_a_step_that_is_cancelled_ends_after_its_work() -> None:
    began, may_end, done = threading.Event(), threading.Event(), list[int]()

    def work() -> None:
        began.set()
        may_end.wait(10)
        done.append(1)

    step = asyncio.create_task(to_end(work))
    await asyncio.to_thread(began.wait, 10)
    step.cancel()
    await asyncio.sleep(0.05)
    assert not step.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert done == [1]
