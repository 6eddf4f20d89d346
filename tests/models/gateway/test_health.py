"""A provider is blamed only for what our boxes cannot provoke, however long it takes to find out."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from agent.models.gateway import health, upstream
from agent.models.ports import Blame, Json, Question, Trouble
from tests.models.gateway.test_pair import Gate, Limited, box, ended, models, say, text_of


@pytest.mark.parametrize("retry_after", [None, 2.6])
async def test_a_limit_a_minute_that_a_box_used_up_has_time_to_refill(
    run_gateway: Any, scripted_models: Any, retry_after: float | None
) -> None:
    """A provider counts its limits for longer than a broken one is given: a busy one is waited for."""
    limited = Limited(most=10, seconds=2.5, retry_after=retry_after)
    impatient = models(scripted_models, timeout=20 if retry_after is None else 1.0)
    async with run_gateway(impatient, providers={"solver": limited}) as bench:
        session, client = await box(bench, 0.5)
        junk = [say(client, f"junk {i}") for i in range(40)]
        await asyncio.sleep(0.6)
        await session.close()
        await asyncio.gather(*junk, return_exceptions=True)
        assert bench.gateway.trouble() is None
    assert session.fault is None


class Narrow(Gate):
    """Refuses, as busy, what it is asked beside two long calls; the probe, too."""

    def _room(self) -> None:
        if self.running >= 2:
            raise Trouble("HTTP 429: too many requests at once", blame=Blame.BUSY, retry_after=0.05)

    async def ask(self, question: Question) -> Json:
        if "long" in str(question.body):
            return await super().ask(question)
        self._room()
        message = {"role": "assistant", "content": "ok"}
        return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    async def probe(self) -> None:
        self._room()


async def test_a_box_that_keeps_a_provider_busy_with_long_calls_is_not_void(
    run_gateway: Any, scripted_models: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(upstream, "BUSY_SECONDS", 0.0)
    narrow = Narrow(seconds=3.0)
    slow = models(scripted_models, timeout=5, attempts=1)
    async with run_gateway(slow, providers={"solver": narrow}) as bench:
        (session, client), (other, client_two) = await box(bench, 3.0), await box(bench, 3.0)
        long = [say(client, f"long {i}") for i in range(2)]
        await until(lambda: narrow.running == 2)
        junk = say(client, "junk")
        own = say(client_two, "my own")
        assert text_of(await own) == "ok"
        assert other.fault is None
        await session.close()
        await ended(*long, junk)
        assert bench.gateway.trouble() is None
    assert session.fault is None


class Rated(Gate):
    """A limit on characters a window; a short probe always fits. It does not say how long to wait."""

    def __init__(self, most: int, seconds: float) -> None:
        super().__init__(seconds=0.0)
        self.most, self.window = most, seconds
        self.used: list[tuple[float, int]] = []

    async def ask(self, question: Question) -> Json:
        now, size = time.monotonic(), len(str(question.body["messages"]))
        self.used = [(at, one) for at, one in self.used if now - at < self.window]
        if sum(one for _, one in self.used) + size > self.most:
            raise Trouble("HTTP 429: tokens a minute", blame=Blame.BUSY)
        self.used.append((now, size))
        return await super().ask(question)

    async def probe(self) -> None:
        """Short enough."""


async def test_a_rate_that_one_side_used_up_does_not_answer_the_other_s_question(
    run_gateway: Any, scripted_models: Any
) -> None:
    """Else a candidate could flood, ask what the champion will ask, and leave a failure as the answer."""
    rated = Rated(most=4000, seconds=4.0)
    quick = models(scripted_models, timeout=20, attempts=2)
    async with run_gateway(quick, providers={"solver": rated}) as bench:
        (_, client), (other, client_two) = await box(bench, answer_scope="p"), await box(bench, answer_scope="p")
        await asyncio.gather(*(say(client, f"{i}" + "x" * 1100) for i in range(3)))
        mine, other_s = say(client, "q" * 1200), say(client_two, "q" * 1200)
        assert text_of(await other_s) == "ok"
        await ended(mine)
    assert other.fault is None


async def test_a_call_that_was_refused_for_a_limit_is_nobody_else_s_answer(
    run_gateway: Any, scripted_models: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "BUSY_SECONDS", 0.0)

    class Turning(Gate):
        busy = True

        async def ask(self, question: Question) -> Json:
            if self.busy:
                self.asked.append(question.body)
                raise Trouble("HTTP 429", blame=Blame.BUSY, retry_after=0.3)
            return await super().ask(question)

    turning = Turning(seconds=0.0)
    once = models(scripted_models, timeout=20, attempts=1)
    async with run_gateway(once, providers={"solver": turning}) as bench:
        (_, client), (other, client_two) = await box(bench, answer_scope="p"), await box(bench, answer_scope="p")
        first = say(client)
        await until(lambda: turning.asked)
        joined = say(client_two)
        await until(lambda: len(turning.asked) > 1)
        turning.busy = False
        assert text_of(await joined) == "ok", "it waited for the same call, and is asked again for this box"
        await ended(first)
    assert other.fault is None
