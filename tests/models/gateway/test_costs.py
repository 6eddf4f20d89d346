"""What a trial is compared by: sure and most, fresh and shared alike, whatever its box does about it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.base.usage import Usage
from agent.models.ports import Json, Question, Trouble
from agent.models.providers.scripted import ScriptedProvider

ASK = [{"role": "user", "content": "draw"}]
PRICED = {"price": {"input": 1000, "output": 1000, "cache_read": 100, "cache_write": 2000}}


def cached(read: int) -> Json:
    """An answer of which a part of the prompt came from the provider's cache."""
    usage = {"prompt_tokens": 40, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": read}}
    message = {"role": "assistant", "content": "yes"}
    return {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


def compared(usage: Usage) -> tuple[int, float, int, float]:
    return usage.sure_tokens, usage.sure_dollars, usage.most_tokens, usage.most_dollars


async def ask(bench: Any, path: Any) -> None:
    await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=32)


async def test_a_shared_answer_costs_both_sides_the_same_without_the_prompt_cache(
    run_gateway: Any, scripted_models: Any
) -> None:
    models = {"solver": {**scripted_models["solver"], **PRICED}}
    async with run_gateway(models, providers={"solver": ScriptedProvider(lambda _: cached(30))}) as bench:
        (one, path_one), (two, path_two) = (
            await bench.session(answer_scope="pair"),
            await bench.session(answer_scope="pair"),
        )
        await ask(bench, path_one)
        await ask(bench, path_two)
    assert compared(one.usage) == compared(two.usage)
    assert one.usage.sure_tokens == 45
    assert one.usage.sure_dollars == pytest.approx(45 / 1000)
    assert one.usage.dollars < one.usage.sure_dollars, "what was paid is less"


class Stumbling(ScriptedProvider):
    """Generates an answer that is lost, then one that arrives."""

    failed = False

    async def ask(self, question: Question) -> Json:
        if not self.failed:
            self.failed = True
            raise Trouble("lost", billed=True)
        return await super().ask(question)


async def test_a_call_that_needed_a_second_attempt_is_not_sure_on_either_side(
    run_gateway: Any, scripted_models: Any
) -> None:
    models = {"solver": {**scripted_models["solver"], **PRICED}}
    async with run_gateway(models, providers={"solver": Stumbling(lambda _: cached(0))}) as bench:
        (one, path_one), (two, path_two) = (
            await bench.session(answer_scope="pair"),
            await bench.session(answer_scope="pair"),
        )
        await ask(bench, path_one)
        await ask(bench, path_two)
    for usage in (one.usage, two.usage):
        assert usage.sure_tokens == 0
        assert usage.most_tokens >= 45


async def test_a_call_under_way_when_the_box_ends_counts_at_its_bound(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedProvider):
        async def ask(self, question: Question) -> Json:
            asked.set()
            await go.wait()
            return await super().ask(question)

    models = {"solver": {**scripted_models["solver"], **PRICED}}
    async with run_gateway(models, providers={"solver": Slow(lambda _: cached(0))}) as bench:
        session, path = await bench.session(answer_scope="pair")
        call = asyncio.create_task(ask(bench, path))
        await asked.wait()
        await session.close()
        assert session.usage.abandoned == 1
        assert session.usage.most_tokens > 45
        assert session.usage.sure_tokens == session.usage.tokens_in == 0
        go.set()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: bench.record.calls)
        assert bench.record.calls[0].tokens_in + bench.record.calls[0].tokens_out <= session.usage.most_tokens
