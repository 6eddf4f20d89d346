"""Limits hold before the call, also for calls that run at the same time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import openai
import pytest

from agent.base.types import Caps
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.models.ports import Json
from agent.models.providers.scripted import ScriptedProvider

ASK = [{"role": "user", "content": "x " * 20}]


def talker(body: Json) -> Json:
    """Uses exactly what it may, and says so."""
    limit = body["max_tokens"]
    message = {"role": "assistant", "content": "y"}
    usage = {"prompt_tokens": 40, "completion_tokens": limit, "total_tokens": 40 + limit}
    return {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


@pytest.fixture
def models(scripted_models: Any) -> Any:
    priced = {**scripted_models["solver"], "price": {"input": 1000, "output": 1000}}
    return {"solver": priced}


async def many(client: Any, count: int) -> list[Any]:
    asks = [client.chat.completions.create(model="small", messages=ASK, max_tokens=100) for _ in range(count)]
    return await asyncio.gather(*asks, return_exceptions=True)


@pytest.mark.parametrize("caps", [Caps(tokens=1000), Caps(dollars=1.0), Caps(calls=3)])
async def test_concurrent_calls_cannot_overshoot_a_box_s_cap(run_gateway: Any, models: Any, caps: Caps) -> None:
    async with run_gateway(models, providers={"solver": ScriptedProvider(talker)}) as bench:
        session, path = await bench.session(caps=caps)
        answers = await many(bench.openai(path), 20)
    refused = [answer for answer in answers if isinstance(answer, openai.BadRequestError)]
    assert 0 < len(refused) < 20
    assert all(error.code == "cap_exhausted" for error in refused)
    assert session.usage.tokens_in + session.usage.tokens_out <= 1000
    assert session.usage.dollars <= 1.0
    assert session.fault is None
    assert not session.out_of_budget


async def test_concurrent_calls_of_many_boxes_cannot_overshoot_the_campaign(run_gateway: Any, models: Any) -> None:
    budget = Budget(Limits(tokens=2000))
    async with run_gateway(models, providers={"solver": ScriptedProvider(talker)}, budget=budget) as bench:
        sessions = [await bench.session() for _ in range(4)]
        answers = await asyncio.gather(*(many(bench.openai(path), 10) for _, path in sessions))
    refused = [answer for part in answers for answer in part if isinstance(answer, openai.BadRequestError)]
    assert 0 < len(refused) < 40
    assert budget.spent.tokens <= 2000
    assert budget.spent.tokens == sum(call.tokens_in + call.tokens_out for call in bench.record.calls)
    assert any(session.out_of_budget for session, _ in sessions)
    assert all(session.fault is None for session, _ in sessions)
    assert "tokens are used up" in str(budget.exhausted())


async def test_a_campaign_that_resumes_continues_from_its_totals(run_gateway: Any, models: Any) -> None:
    budget = Budget(Limits(dollars=1.0), Spent(dollars=0.999))
    async with run_gateway(models, providers={"solver": ScriptedProvider(talker)}, budget=budget) as bench:
        session, path = await bench.session()
        with pytest.raises(openai.BadRequestError, match="money is used up"):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert session.out_of_budget


async def test_the_box_s_time_refuses_and_ends_calls(run_gateway: Any, scripted_models: Any) -> None:
    class Never(ScriptedProvider):
        async def ask(self, question: Any) -> Json:
            await asyncio.Event().wait()
            return await super().ask(question)

    async with run_gateway(scripted_models, providers={"solver": Never(talker)}) as bench:
        session, path = await bench.session(deadline=time.monotonic() + 0.3)
        client = bench.openai(path)
        with pytest.raises(openai.APIStatusError, match="time ran out during the call"):
            await client.chat.completions.create(model="small", messages=ASK)
        with pytest.raises(openai.BadRequestError, match="time is over"):
            await client.chat.completions.create(model="small", messages=ASK)
    assert session.fault is None, "a slow candidate is not an outage"


async def test_an_answer_s_length_is_bounded_even_if_the_box_does_not_say(run_gateway: Any, models: Any) -> None:
    seen: list[Json] = []

    def look(body: Json) -> Json:
        seen.append(body)
        return talker(body)

    bounded = {"solver": {**models["solver"], "max_output": 50}}
    async with run_gateway(bounded, providers={"solver": ScriptedProvider(look)}) as bench:
        _, path = await bench.session()
        client = bench.openai(path)
        await client.chat.completions.create(model="small", messages=ASK)
        await client.chat.completions.create(model="small", messages=ASK, max_completion_tokens=9)
        await client.chat.completions.create(model="small", messages=ASK, max_tokens=5000)
    assert [body["max_tokens"] for body in seen] == [50, 9, 50]
