"""Everything that a provider generated is booked: as it says if that can be true, at its bound otherwise."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Caps
from agent.config.models import ModelConfig
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.models.dialects import chat
from agent.models.gateway import bill
from agent.models.ports import Blame, Json, Question, Tokens, Trouble
from agent.models.providers.scripted import ScriptedProvider

ASK = [{"role": "user", "content": "a question of some words"}]
PRICED = {"price": {"input": 1000, "output": 1000}}


def answer(usage: Any, text: str | None = "yes", **more: Any) -> Json:
    message = {"role": "assistant", "content": text}
    return {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop", **more}], "usage": usage}


def used(given: Any, made: Any, cached: Any = 0) -> Json:
    return {"prompt_tokens": given, "completion_tokens": made, "prompt_tokens_details": {"cached_tokens": cached}}


def expected(**more: Any) -> bill.Size:
    return bill.Size(**{"estimate": 30, "bound": 100, "output": 50, "worth": 0.0, "dollars": 0.0, **more})


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        used(0, 0),
        used(0, 7),
        used(-1, -1),
        used(9, -1),
        used(10**9, 7),
        used(9, 10**9),
        used("many", 7),
        used(True, 7),
        used(9, 0),
        used(float("nan"), 7),
        [1],
    ],
)
async def test_a_use_that_cannot_be_true_is_booked_at_its_bound(
    run_gateway: Any, scripted_models: Any, usage: Any
) -> None:
    models = {"solver": {**scripted_models["solver"], **PRICED}}
    scripted = ScriptedProvider(lambda _: answer(usage))
    async with run_gateway(models, providers={"solver": scripted}) as bench:
        session, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=32)
    call = bench.record.calls[0]
    assert call.tokens_in >= len(json.dumps(ASK))
    assert call.tokens_out == 32
    assert call.dollars == pytest.approx((call.tokens_in + 32) / 1000)
    assert (session.usage.tokens_in, session.usage.dollars) == (call.tokens_in, call.dollars)


def test_a_use_that_can_be_true_is_believed() -> None:
    assert bill.believed(chat.tokens, answer(used(90, 50)), expected()) == Tokens(input=90, output=50)
    assert bill.believed(chat.tokens, answer(used(300, 5)), expected()) is not None, "providers add text of their own"
    long = answer(used(90, 400), "word " * 100)
    assert bill.believed(chat.tokens, long, expected()) is not None, "longer than asked, but there it is"
    assert bill.believed(chat.tokens, answer(used(90, 0), ""), expected()) is not None, "nothing was written"


def test_reasoning_that_is_in_the_total_alone_is_booked() -> None:
    reasoned = {"prompt_tokens": 90, "completion_tokens": 5, "total_tokens": 130}
    assert bill.believed(chat.tokens, answer(reasoned), expected()) == Tokens(input=90, output=40)
    for total in (0, 95, None, "130", -1):
        assert bill.believed(chat.tokens, answer({**reasoned, "total_tokens": total}), expected()) == Tokens(
            input=90, output=5
        )


def test_a_cache_count_that_cannot_be_true_earns_no_discount() -> None:
    model = ModelConfig(provider="openai", model="m", price={"input": 1000, "output": 0, "cache_read": 0})
    paper = bill.Bill(model, expected(), None)
    paper.sent()
    paper.book(bill.believed(chat.tokens, answer(used(90, 5, -5000)), expected()))
    assert paper.dollars == pytest.approx(0.09)


@given(st.binary(max_size=400))
def test_an_estimate_is_linear_and_never_above_the_bound(text: bytes) -> None:
    assert 0 <= bill.estimate(text) <= len(text) + 1
    assert bill.estimate(text + text) <= 2 * bill.estimate(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox jumps over the lazy dog and runs away from the hunter.\n" * 40, 16 * 40),
        ("    def area(self, width: float) -> float:\n        return self.height * width\n" * 40, 20 * 40),
        ("3.14159, 2.71828, 1.41421\n" * 40, 19 * 40),
        ("Die Größe des Gehäuses überschreitet die zulässigen Maße.\n" * 40, 18 * 40),
        ("這是一個關於語言模型的問題\n" * 40, 15 * 40),
    ],
)
def test_an_estimate_is_above_what_tokenizers_count_and_well_below_the_bytes(text: str, tokens: int) -> None:
    """`tokens` is what common tokenizers make of these texts, rounded up."""
    assert tokens <= bill.estimate(text.encode()) <= 2.7 * tokens


def test_a_large_prompt_of_a_coding_agent_does_not_reserve_its_bytes(scripted_models: Any) -> None:
    model = ModelConfig.model_validate(scripted_models["solver"])
    text = AGENT.encode()
    found = bill.size(model, len(text), bill.estimate(text), {"messages": [{}]}, 4096)
    assert len(text) > 80_000
    assert found.estimate < 30_000
    assert found.bound > 80_000


AGENT = "You are a coding agent. Read the file, run the tests, and fix what fails.\n" * 1100
"""More than 80,000 bytes, which tokenizers make about 20,000 tokens of."""


async def test_a_campaign_s_tokens_are_reserved_as_tokens_and_not_as_bytes(
    run_gateway: Any, scripted_models: Any
) -> None:
    budget = Budget(Limits(tokens=60_000))
    scripted = ScriptedProvider(lambda _: answer(used(20_000, 5)))
    async with run_gateway(scripted_models, providers={"solver": scripted}, budget=budget) as bench:
        _, path = await bench.session()
        prompt = [{"role": "user", "content": AGENT}]
        for _ in range(2):
            await bench.openai(path).chat.completions.create(model="small", messages=prompt, max_tokens=50)
    assert budget.spent.tokens == 40_010


async def test_money_is_reserved_at_the_bound_whatever_the_text_is_made_of(
    run_gateway: Any, scripted_models: Any
) -> None:
    models = {"solver": {**scripted_models["solver"], **PRICED}}
    budget = Budget(Limits(dollars=60.0))
    async with run_gateway(models, providers={"solver": ScriptedProvider(lambda _: "yes")}, budget=budget) as bench:
        _, path = await bench.session()
        prompt = [{"role": "user", "content": AGENT}]
        with pytest.raises(openai.BadRequestError, match="more than the campaign has left"):
            await bench.openai(path).chat.completions.create(model="small", messages=prompt, max_tokens=50)
    assert budget.spent.dollars == 0


async def test_tokens_beyond_what_was_reserved_are_booked_and_end_the_limit(
    run_gateway: Any, scripted_models: Any
) -> None:
    dense = "xq zj kv wb " * 200
    budget = Budget(Limits(tokens=1500))
    scripted = ScriptedProvider(lambda _: answer(used(len(dense) - 300, 5)))
    async with run_gateway(scripted_models, providers={"solver": scripted}, budget=budget) as bench:
        _, path = await bench.session()
        client = bench.openai(path)
        prompt = [{"role": "user", "content": dense}]
        await client.chat.completions.create(model="small", messages=prompt, max_tokens=50)
        with pytest.raises(openai.BadRequestError, match="tokens are used up"):
            await client.chat.completions.create(model="small", messages=ASK, max_tokens=50)
    assert budget.spent.tokens == len(dense) - 295


@pytest.mark.parametrize(
    ("model", "capped"),
    [
        ({"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}, False),
        ({"provider": "anthropic", "model": "m", "base_url": "http://127.0.0.1:1"}, False),
        ({"provider": "openai", "model": "gpt-4o-mini"}, True),
        ({"provider": "embedded"}, True),
    ],
)
def test_a_window_caps_the_bound_only_where_it_is_enforced(model: Any, capped: bool) -> None:
    config = ModelConfig.model_validate({**model, "context_window": 1000})
    found = bill.size(config, 50_000, 20_000, {"messages": [{}]}, 10)
    assert found.bound == (1000 if capped else 50_032)


async def test_every_attempt_that_was_generated_is_booked_even_if_the_call_is_refused(
    run_gateway: Any, scripted_models: Any
) -> None:
    generated = 0

    def cut(_: Json) -> Json:
        nonlocal generated
        generated += 1
        return answer(used(20, 400), finish_reason=None)

    budget = Budget(Limits(tokens=10**6))
    models = {"solver": {**scripted_models["solver"], **PRICED, "attempts": 3}}
    async with run_gateway(models, providers={"solver": ScriptedProvider(cut)}, budget=budget) as bench:
        session, path = await bench.session(caps=Caps(calls=9))
        with pytest.raises(openai.BadRequestError, match="not on this request"):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=500)
    assert generated == 4, "the attempts, and one more after the probe"
    call = bench.record.calls[0]
    assert (call.tokens_in, call.tokens_out, call.dollars) == (80, 1600, pytest.approx(1.68))
    assert (budget.spent.tokens, budget.spent.dollars) == (1680, pytest.approx(1.68))
    assert (session.usage.tokens_out, session.usage.dollars) == (1600, pytest.approx(1.68))


async def test_retries_stop_when_the_campaign_cannot_pay_for_another(run_gateway: Any, scripted_models: Any) -> None:
    generated = 0

    def cut(_: Json) -> Json:
        nonlocal generated
        generated += 1
        return answer(used(20, 400), finish_reason=None)

    budget = Budget(Limits(tokens=1000))
    models = {"solver": {**scripted_models["solver"], "attempts": 6}}
    async with run_gateway(models, providers={"solver": ScriptedProvider(cut)}, budget=budget) as bench:
        _, path = await bench.session()
        with pytest.raises(openai.BadRequestError):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=400)
    assert generated == 2
    assert budget.spent.tokens == 840
    assert bench.record.calls[0].tokens_out == 800


@pytest.mark.parametrize("billed", [True, False])
async def test_an_attempt_without_an_answer_is_booked_if_it_may_have_been_generated(
    run_gateway: Any, scripted_models: Any, billed: bool
) -> None:
    tries = iter([Trouble("it broke off", billed=billed)])

    def broken(_: Json) -> Json:
        for error in tries:
            raise error
        return answer(used(20, 5))

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(broken)}) as bench:
        _, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=40)
    assert bench.record.calls[0].tokens_out == (45 if billed else 5)


async def test_an_attempt_that_takes_too_long_is_booked_at_its_bound(run_gateway: Any, scripted_models: Any) -> None:
    class Hangs(ScriptedProvider):
        hung = 0

        async def ask(self, question: Question) -> Json:
            if self.hung < 1:
                self.hung += 1
                await asyncio.Event().wait()
            return await super().ask(question)

    models = {"solver": {**scripted_models["solver"], "timeout": 0.3}}
    async with run_gateway(models, providers={"solver": Hangs(lambda _: answer(used(20, 5)))}) as bench:
        _, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=40)
    assert bench.record.calls[0].tokens_out == 45


class Thrifty:
    """A budget that refuses large calls and has something left all the same."""

    async def reserve(self, tokens: int, dollars: float) -> Any:  # noqa: ARG002
        return None if tokens > 5000 else self

    def settle(self, tokens: int, dollars: float) -> None:
        """Forget it."""

    def exhausted(self) -> str | None:
        return None


async def test_one_oversized_call_is_refused_to_its_box_and_ends_nothing(
    run_gateway: Any, scripted_models: Any
) -> None:
    async with run_gateway(
        scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}, budget=Thrifty()
    ) as bench:
        session, path = await bench.session()
        client = bench.openai(path)
        with pytest.raises(openai.BadRequestError, match="more than the campaign has left") as refused:
            await client.chat.completions.create(model="small", messages=ASK, max_tokens=90_000)
        assert refused.value.code == "exceeds_budget"
        assert (await client.chat.completions.create(model="small", messages=ASK, max_tokens=9)).id
    assert (session.out_of_budget, session.fault) == (False, None)


async def test_a_box_is_not_told_what_others_have_spent(run_gateway: Any, scripted_models: Any) -> None:
    budget = Budget(Limits(dollars=1.0), Spent(dollars=1.0))
    models = {"solver": {**scripted_models["solver"], **PRICED}}
    async with run_gateway(models, providers={"solver": ScriptedProvider(lambda _: "ok")}, budget=budget) as bench:
        session, path = await bench.session()
        with pytest.raises(openai.BadRequestError) as refused:
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert session.out_of_budget
    assert "1.0" not in str(refused.value)
    assert "campaign's money is used up" in str(refused.value)


async def test_a_busy_provider_bills_nothing(run_gateway: Any, scripted_models: Any) -> None:
    tries = iter([Trouble("HTTP 429", blame=Blame.BUSY, retry_after=0.01)])

    def busy(_: Json) -> Json:
        for error in tries:
            raise error
        return answer(used(20, 5))

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(busy)}) as bench:
        _, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK, max_tokens=40)
    assert (bench.record.calls[0].tokens_in, bench.record.calls[0].retries) == (20, 1)
