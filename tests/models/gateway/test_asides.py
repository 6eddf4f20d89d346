"""What a provider is asked besides the calls of boxes is booked: preflights, probes, questions about parameters."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.base.refusal import Aside
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.models.gateway.preflight import preflight
from agent.models.ports import Json
from agent.models.providers.scripted import ScriptedProvider
from tests.models.servers import at, chat, serving

ASK = {"model": "small", "messages": [{"role": "user", "content": "x"}], "temperature": 0.5}


def fails_boxes(body: Json, _: str) -> Any:
    """A provider that works, but not on what the box asks."""
    return (500, {"error": "boom"}) if body["messages"][-1]["content"] == "x" else (200, chat("ok"))


async def test_a_probe_is_booked_as_one(run_gateway: Any) -> None:
    budget = Budget(Limits(tokens=100_000))
    async with serving(fails_boxes) as server, run_gateway(at(server, attempts=1), budget=budget) as bench:
        session, path = await bench.session()
        async with bench.http(path) as http:
            assert (await http.post("/v1/chat/completions", json=ASK)).status_code == 400
        await session.close()
    probes = [call for call in bench.record.calls if call.trial == Aside.PROBE]
    assert probes
    assert {(one.role, one.model, one.tokens_in, one.tokens_out) for one in probes} == {("solver", "openai/m", 10, 5)}
    assert b"Say ok" in probes[0].request
    refused = sum(call.tokens_in + call.tokens_out for call in bench.record.calls if call.trial != Aside.PROBE)
    assert budget.spent.tokens == refused + 15 * len(probes)
    assert session.usage.tokens_in + session.usage.tokens_out == refused, "no box pays for a probe"


async def test_a_preflight_and_a_question_about_a_parameter_are_booked(run_gateway: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        asked = body["messages"][-1]["content"]
        if "temperature" in body and asked != "x":
            return 200, chat()
        return (400, {"error": {"message": "bad temperature"}}) if "temperature" in body else (200, chat())

    async with serving(answer) as server, run_gateway(at(server)) as bench:
        assert await preflight(bench.gateway) == []
        _, path = await bench.session()
        async with bench.http(path) as http:
            await http.post("/v1/chat/completions", json=ASK)
    assert [call.trial for call in bench.record.calls] == [Aside.PREFLIGHT, Aside.PARAMETERS, "t1"]
    assert [call.tokens_in + call.tokens_out for call in bench.record.calls] == [15, 15, 0]


async def test_a_refused_probe_costs_nothing_and_one_that_hangs_its_bound(run_gateway: Any) -> None:
    async with serving(lambda *_: (400, {"error": "too few tokens"})) as server, run_gateway(at(server)) as bench:
        await bench.gateway.upstreams("solver")[0].health.probe()
    assert bench.record.calls == []
    hangs = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hangs.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with run_gateway({"solver": {"provider": "openai", "model": "m", "base_url": url, "timeout": 0.3}}) as bench:
        with pytest.raises(Exception, match="trivial request in time"):
            await bench.gateway.upstreams("solver")[0].health.probe()
    hangs.set()
    server.close()
    (call,) = bench.record.calls
    assert (call.trial, call.tokens_out, call.status) == (Aside.PROBE, 1024, 503)


async def test_a_campaign_that_cannot_pay_for_a_probe_is_at_its_end_and_blames_nobody(run_gateway: Any) -> None:
    budget = Budget(Limits(tokens=1_000))
    async with serving(fails_boxes) as server, run_gateway(at(server, attempts=1), budget=budget) as bench:
        session, path = await bench.session()
        async with bench.http(path) as http:
            reply = await http.post("/v1/chat/completions", json={**ASK, "max_tokens": 8})
        await session.close()
    assert reply.json()["error"]["code"] == "budget_exhausted"
    assert session.out_of_budget
    assert session.fault is None
    assert [call.trial for call in bench.record.calls] == ["t1"], "the attempt is booked; there was no probe"
    assert not any("Say ok" in str(body) for body in server.bodies)


async def test_a_campaign_whose_budget_is_used_up_is_not_asked_for_a_preflight(run_gateway: Any) -> None:
    budget = Budget(Limits(tokens=1_000), Spent(tokens=1_000))
    async with serving(lambda *_: (200, chat())) as server, run_gateway(at(server), budget=budget) as bench:
        assert await preflight(bench.gateway) == []
    assert server.bodies == []


async def test_a_call_that_must_be_judged_keeps_no_reservation_from_its_probe(run_gateway: Any) -> None:
    """Else the probe of a call would wait for that very call."""
    budget = Budget(Limits(tokens=2_300))
    async with serving(fails_boxes) as server, run_gateway(at(server, attempts=1), budget=budget) as bench:
        _, path = await bench.session()
        async with asyncio.timeout(20), bench.http(path) as http:
            reply = await http.post("/v1/chat/completions", json={**ASK, "max_tokens": 900})
    assert reply.json()["error"]["code"] == "provider_refused"


async def test_a_script_has_no_books(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        await bench.gateway.upstreams("solver")[0].health.probe()
    assert bench.record.calls == []
