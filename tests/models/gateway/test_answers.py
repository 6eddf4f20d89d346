"""The k-th occurrence of an identical request gets one answer in its scope, on whichever side it is asked first."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from agent.base.types import Caps
from agent.models.gateway.record import MemoryRecord, Recording
from agent.models.ports import Json, Question
from agent.models.providers.scripted import ScriptedProvider

ASK = [{"role": "user", "content": "draw"}]


def dice() -> ScriptedProvider:
    numbers = itertools.count()
    return ScriptedProvider(lambda _: f"draw {next(numbers)}")


class Slow(ScriptedProvider):
    """Answers only when it is let go."""

    def __init__(self) -> None:
        super().__init__(lambda _: "late")
        self.asked, self.go, self.given_up = asyncio.Event(), asyncio.Event(), 0

    async def ask(self, question: Question) -> Json:
        self.asked.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return await super().ask(question)


async def draw(client: Any, **more: Any) -> str:
    answer = await client.chat.completions.create(model="small", messages=ASK, **more)
    return str(answer.choices[0].message.content)


async def test_both_sides_of_a_pair_get_the_same_samples_in_order(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": dice()}) as bench:
        (one, path_one), (two, path_two) = (
            await bench.session(answer_scope="pair"),
            await bench.session(answer_scope="pair"),
        )
        left, right = bench.openai(path_one), bench.openai(path_two)
        first = [await draw(left), await draw(left)]
        second = [await draw(right), await draw(right), await draw(right)]
        third = await draw(left)
    assert first == ["draw 0", "draw 1"], "one side alone sees fresh samples"
    assert [*first, third] == second, "on whichever side it is asked first"
    assert (one.usage.calls, one.usage.fresh_calls) == (3, 2)
    assert (two.usage.calls, two.usage.fresh_calls) == (3, 1)
    assert two.usage.fresh_tokens < two.usage.tokens_in + two.usage.tokens_out


async def test_streaming_or_not_is_the_same_request(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": dice()}) as bench:
        (_, path_one), (two, path_two) = (
            await bench.session(answer_scope="pair"),
            await bench.session(answer_scope="pair"),
        )
        assert await draw(bench.openai(path_one)) == "draw 0"
        stream = await bench.openai(path_two).chat.completions.create(model="small", messages=ASK, stream=True)
        assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "draw 0"
    assert two.usage.fresh_calls == 0


async def test_other_parameters_other_scopes_and_no_scope_share_nothing(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": dice()}) as bench:
        drawn = []
        for scope, more in (("a", {}), ("a", {"temperature": 0.5}), ("b", {}), (None, {}), (None, {})):
            _, path = await bench.session(answer_scope=scope)
            drawn.append(await draw(bench.openai(path), **more))
    assert drawn == [f"draw {i}" for i in range(5)]


async def test_a_call_in_flight_is_shared(until: Any, run_gateway: Any, scripted_models: Any) -> None:
    slow = Slow()
    async with run_gateway(scripted_models, providers={"solver": slow}) as bench:
        (one, path_one), (two, path_two) = (
            await bench.session(answer_scope="pair"),
            await bench.session(answer_scope="pair"),
        )
        both = asyncio.gather(draw(bench.openai(path_one)), draw(bench.openai(path_two)))
        await slow.asked.wait()
        await until(lambda: two.pending)
        slow.go.set()
        assert await both == ["late", "late"]
    assert one.usage.fresh_calls + two.usage.fresh_calls == 1


async def test_the_call_completes_for_the_other_side_when_the_first_asker_dies(
    until: Any, run_gateway: Any, scripted_models: Any
) -> None:
    slow = Slow()
    async with run_gateway(scripted_models, providers={"solver": slow}) as bench:
        (one, path_one), (two, path_two) = (
            await bench.session(answer_scope="pair"),
            await bench.session(answer_scope="pair"),
        )
        first = asyncio.ensure_future(draw(bench.openai(path_one)))
        await slow.asked.wait()
        second = asyncio.ensure_future(draw(bench.openai(path_two)))
        await until(lambda: two.pending)
        await one.close()
        await asyncio.wait([first])
        assert first.exception() is not None
        slow.go.set()
        assert await second == "late"
    assert slow.given_up == 0
    assert len([call for call in bench.record.calls if call.fresh]) == 1


@pytest.mark.parametrize("scope", ["pair", None])
async def test_a_call_that_nobody_waits_for_is_drawn_to_its_end_billed_and_kept(
    until: Any, run_gateway: Any, scripted_models: Any, scope: str | None
) -> None:
    slow = Slow()
    async with run_gateway(scripted_models, providers={"solver": slow}) as bench:
        session, path = await bench.session(answer_scope=scope)
        call = asyncio.ensure_future(draw(bench.openai(path), max_tokens=7))
        await slow.asked.wait()
        call.cancel()
        await asyncio.wait([call])
        await session.close()
        slow.go.set()
        await until(lambda: bench.record.calls)
        assert session.fault is None
        if scope is not None:
            _, other = await bench.session(answer_scope=scope)
            assert await draw(bench.openai(other), max_tokens=7) == "late"
    assert slow.given_up == 0
    assert [call.status for call in bench.record.calls if call.fresh] == [200]


async def test_a_call_that_the_end_of_the_gateway_cuts_off_is_booked_at_its_bound(
    run_gateway: Any, scripted_models: Any
) -> None:
    slow = Slow()
    async with run_gateway(scripted_models, providers={"solver": slow}) as bench:
        _, path = await bench.session(answer_scope="pair")
        call = asyncio.ensure_future(draw(bench.openai(path), max_tokens=7))
        await slow.asked.wait()
    await asyncio.wait([call])
    lost = bench.record.calls[0]
    assert (lost.status, lost.tokens_out) == (499, 7)
    assert lost.tokens_in > 0


async def test_the_shared_answers_survive_a_restart(run_gateway: Any, scripted_models: Any) -> None:
    record = MemoryRecord()
    for expected_fresh in (1, 0):
        async with run_gateway(scripted_models, providers={"solver": dice()}, record=record) as bench:
            session, path = await bench.session(answer_scope="pair")
            assert await draw(bench.openai(path)) == "draw 0"
        assert session.usage.fresh_calls == expected_fresh


async def test_a_refusal_is_not_remembered(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": dice()}) as bench:
        _, path = await bench.session(answer_scope="pair", caps=Caps(tokens=1))
        with pytest.raises(Exception, match="cap on tokens"):
            await draw(bench.openai(path))
        _, path = await bench.session(answer_scope="pair")
        assert await draw(bench.openai(path)) == "draw 0"


async def test_caps_bind_both_sides_of_a_pair_alike(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": dice()}) as bench:
        for _ in range(2):
            _, path = await bench.session(answer_scope="pair", caps=Caps(calls=2))
            client = bench.openai(path)
            assert [await draw(client), await draw(client)] == ["draw 0", "draw 1"]
            with pytest.raises(Exception, match="cap on calls"):
                await draw(client)


async def test_a_finished_trial_is_replayed_call_by_call(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": dice()}) as bench:
        session, path = await bench.session(trial="trial-7")
        told = [await draw(bench.openai(path)) for _ in range(3)]
    recording = Recording(bench.record.calls)
    async with run_gateway({"solver": {"provider": "replay"}}, replay=recording) as bench:
        again, path = await bench.session(trial="trial-7")
        assert [await draw(bench.openai(path)) for _ in range(3)] == told
        assert (again.usage.calls, again.usage.fresh_calls, again.usage.dollars) == (3, 0, 0.0)
        assert again.usage.tokens_out == session.usage.tokens_out
        with pytest.raises(Exception, match="not available"):
            await draw(bench.openai(path))
    assert "was not recorded" in str(again.fault)


async def test_weighted_models_are_chosen_alike_on_both_sides(run_gateway: Any) -> None:
    models = {"solver": [{"provider": "replay", "model": name, "weight": 1} for name in ("x", "y")]}
    async with run_gateway(models) as bench:
        choose = bench.gateway._upstreams.choose
        names = [choose("solver", f"0/pair/{i}/0").model.name for i in range(40)]
        assert names == [choose("solver", f"0/pair/{i}/0").model.name for i in range(40)]
        assert set(names) == {"x", "y"}
