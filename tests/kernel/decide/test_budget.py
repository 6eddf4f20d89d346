"""The campaign's limits: reserved, settled, waited for, restored."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.budget import Budget, Limits, Spent


@given(
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1)), max_size=30),
    st.integers(1, 1000),
)
def test_what_is_spent_never_exceeds_a_limit(calls: list[tuple[int, float]], limit: int) -> None:
    async def campaign() -> None:
        budget = Budget(Limits(tokens=limit))

        async def call(bound: int, share: float) -> None:
            hold = await budget.reserve(bound, 0.0)
            if hold is not None:
                await asyncio.sleep(0)
                hold.settle(int(bound * share), 0.0)

        await asyncio.gather(*(call(*one) for one in calls))
        assert budget.spent.tokens <= limit
        assert budget.spent.calls <= len(calls)

    asyncio.run(campaign())


@pytest.mark.parametrize(
    ("limits", "spent", "word"),
    [
        (Limits(dollars=1), Spent(dollars=1), "money"),
        (Limits(tokens=10), Spent(tokens=10), "tokens"),
        (Limits(calls=3), Spent(calls=3), "calls"),
        (Limits(seconds=60), Spent(seconds=60), "time"),
    ],
)
async def test_a_used_up_limit_is_said_in_words(limits: Limits, spent: Spent, word: str) -> None:
    budget = Budget(limits, spent)
    assert word in str(budget.exhausted())
    assert await budget.reserve(1, 0.5) is None
    assert budget.fraction() == 1.0


async def test_near_a_limit_a_call_waits_for_those_in_flight() -> None:
    budget = Budget(Limits(tokens=100))
    first = await budget.reserve(80, 0.0)
    waiting = asyncio.ensure_future(budget.reserve(80, 0.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert first is not None
    first.settle(10, 0.0)
    assert await waiting is not None


async def test_a_reservation_is_settled_once() -> None:
    budget = Budget(Limits())
    hold = await budget.reserve(10, 0.0)
    assert hold is not None
    hold.settle(5, 0.1)
    hold.settle(500, 9.0)
    assert (budget.spent.tokens, budget.spent.dollars, budget.spent.calls) == (5, 0.1, 1)
    assert budget.exhausted() is None
    assert budget.fraction() == 0.0


async def test_free_models_run_under_a_money_limit_of_nothing() -> None:
    budget = Budget(Limits(dollars=0))
    assert await budget.reserve(1000, 0.0) is not None
    assert await budget.reserve(1000, 0.01) is None
    assert "money is used up" in str(budget.exhausted())


# ------------------------------------------------------------------------------------ used up means used up


LIMIT = 20.0


@given(spent=st.floats(0.0, LIMIT * 0.9), calls=st.integers(1000, 2000), ask=st.floats(0.0, 1000.0))
async def test_a_call_that_does_not_fit_ends_the_campaign_only_if_a_small_one_does_not_fit_either(
    spent: float, calls: int, ask: float
) -> None:
    budget = Budget(Limits(dollars=LIMIT), Spent(dollars=spent, calls=calls))
    hold = await budget.reserve(1, ask)
    assert (hold is None) == (spent + ask > LIMIT + 1e-12)
    assert budget.exhausted() is None
    if hold is None:
        assert await budget.reserve(1, 0.02 * LIMIT) is not None


@given(
    st.integers(100, 10**6),
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0.0, 1.0)), min_size=1, max_size=40),
)
async def test_a_campaign_is_used_up_only_when_little_is_left(limit: int, asks: list[tuple[int, float]]) -> None:
    budget, costs = Budget(Limits(tokens=limit)), []
    for bound, share in asks:
        hold = await budget.reserve(bound, 0.0)
        if hold is not None:
            costs.append(int(bound * share))
            hold.settle(costs[-1], 0.0)
        small = min(limit / 10, max(limit / 50, 4 * sum(costs) / max(len(costs), 10)))
        left = limit - sum(costs)
        assert (budget.exhausted() is not None) == (left == 0 or (hold is None and left <= small))
        if budget.exhausted() is not None:
            break


async def test_one_absurd_call_is_refused_and_the_campaign_has_its_money() -> None:
    budget = Budget(Limits(dollars=20.0), Spent(dollars=5.0, calls=400))
    assert await budget.reserve(1_040_000, 15.6) is None
    assert budget.exhausted() is None
    assert await budget.reserve(2000, 0.03) is not None


async def test_a_campaign_that_is_used_up_early_has_used_nine_tenths() -> None:
    budget = Budget(Limits(dollars=20.0), Spent(dollars=14.4, calls=4))
    assert await budget.reserve(1_040_000, 15.6) is None
    assert budget.exhausted() is None
    assert await budget.reserve(2000, 3.6) is not None


async def test_a_campaign_of_few_large_calls_ends_when_the_next_one_does_not_fit() -> None:
    budget = Budget(Limits(tokens=10_000))
    for _ in range(9):
        hold = await budget.reserve(2000, 0.0)
        assert hold is not None
        hold.settle(1000, 0.0)
    assert await budget.reserve(2000, 0.0) is None
    assert "tokens are used up (9000 of 10000)" in str(budget.exhausted())
