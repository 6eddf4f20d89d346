"""What the gateway itself refuses is kept with its reason: each kind once, with a count, and few kinds a box."""

from __future__ import annotations

import json
from typing import Any

from agent.base.types import Caps
from agent.models.gateway.refusals import MOST_KINDS
from agent.models.ports import BadCall
from agent.models.providers.scripted import ScriptedProvider
from tests.models.servers import at, serving

ASK: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "x"}], "max_tokens": 8}
CHAT = "/v1/chat/completions"


async def test_every_way_to_be_refused_is_kept_with_its_reason(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session(caps=Caps(calls=1))
        async with bench.http(path) as http:
            await http.post(CHAT, json={**ASK, "store": True})
            await http.post(CHAT, content=b"{")
            await http.post(CHAT, json={**ASK, "model": "gpt-9"})
            await http.post("/v1/messages", json=ASK | {"max_tokens": None})
            await http.post("/v1/embeddings", json={})
            assert (await http.post(CHAT, json=ASK)).status_code == 200
            for _ in range(3):
                await http.post(CHAT, json=ASK)
        assert [one.times for one in bench.record.refusals] == [1] * 6, "written at once"
        await session.close()
    codes = [one.code for one in bench.record.refusals]
    assert codes[:5] == ["unsupported_parameter", "invalid_request", "model_not_found", codes[3], "not_found"]
    assert bench.record.refusals[3].path == "/v1/messages"
    last, again = bench.record.refusals[5:]
    assert "cap on calls" in last.reason
    assert (again.reason, again.times) == (last.reason, 2)
    assert {one.trial for one in bench.record.refusals} == {"t1"}
    assert [call.status for call in bench.record.calls] == [200]


async def test_a_refusal_of_the_provider_is_a_call_and_not_kept_twice(run_gateway: Any) -> None:
    too_long = 400, {"error": {"message": "context too long"}}
    async with serving(lambda *_: too_long) as server, run_gateway(at(server)) as bench:
        session, path = await bench.session(answer_scope="pair")
        async with bench.http(path) as http:
            assert (await http.post(CHAT, json=ASK)).status_code == 400
        await session.close()
    assert bench.record.refusals == []
    assert [call.status for call in bench.record.calls] == [400]


async def test_a_box_cannot_fill_the_record_with_refusals(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session()
        async with bench.http(path) as http:
            for number in range(60):
                name = "".join(chr(97 + int(digit)) for digit in str(number))
                await http.post(CHAT, json={**ASK, "model": name * 400})
        await session.close()
    kept = bench.record.refusals
    assert sum(one.times for one in kept) == 60
    assert MOST_KINDS < len(kept) <= 2 * (MOST_KINDS + 1), "and one for all others; each once, and how often again"
    assert max(len(json.dumps(one.reason)) for one in kept) < 1_000


async def test_halves_of_characters_are_no_defect_of_the_gateway(run_gateway: Any, scripted_models: Any) -> None:
    """A box could void its trial with what cannot be written down."""
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session()
        async with bench.http(path) as http:
            for field in ("model", "role", "store"):
                raw = json.dumps({**ASK, field: "\ud800"}).encode()
                assert (await http.post(CHAT, content=raw)).status_code in (400, 404)
            await http.post("/v1/%ED%A0%80")
        bench.gateway.refused(session, "/\ud800", BadCall(400, "\ud800"))
        await session.close()
    assert session.fault is None
    assert all(one.reason.encode() and one.path.encode() for one in bench.record.refusals)


async def test_a_limit_is_told_in_the_status_at_which_clients_of_the_dialect_stop(
    run_gateway: Any, scripted_models: Any
) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session(caps=Caps(calls=0))
        async with bench.http(path) as http:
            chat = await http.post(CHAT, json=ASK)
            responses = await http.post("/v1/responses", json={"model": ASK["model"], "input": "hi"})
            messages = await http.post("/v1/messages", json={**ASK, "max_tokens": 5})
        await session.close()
    assert (chat.status_code, responses.status_code, messages.status_code) == (400, 400, 402)
    assert messages.json()["error"]["type"] == "billing_error"
    assert all("cap on calls" in reply.json()["error"]["message"] for reply in (chat, responses, messages))
