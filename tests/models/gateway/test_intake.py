"""Bodies are bounded before anything is built from them, and large ones are read away from the event loop."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.gateway import intake
from agent.models.gateway.session import BoxSession
from agent.models.ports import BadCall, Dialect, Json
from agent.models.providers.scripted import ScriptedProvider

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=30,
)


def nodes(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(nodes, value.values()))
    return 1 + sum(map(nodes, value)) if isinstance(value, list) else 1


@given(VALUES, st.booleans())
def test_values_are_never_counted_too_low(value: Any, ascii_only: bool) -> None:
    assert intake.values(json.dumps(value, ensure_ascii=ascii_only).encode()) >= nodes(value)


def test_text_full_of_commas_and_brackets_is_not_many_values() -> None:
    text = 'a, [b], {c: "d\\"", e}, ' * 20_000
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    assert intake.values(body) < 20


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"1," * 200_000 + b"1]",
        b'["' + b'","' * 200_000 + b'"]',
        b'{"a":"' + b'\\"' * 1_000_000 + b",",
        b'"' * 2_000_001,
        b"[" * 300_000,
        b'{"messages":[' + b'{"role":"user","content":"x"},' * 100_000 + b"{}]}",
    ],
)
def test_a_body_of_very_many_values_is_refused_in_linear_time(raw: bytes) -> None:
    start = time.process_time()
    found = intake.values(raw)
    assert time.process_time() - start < 2, "quadratic would take minutes"
    assert found > intake.MAX_VALUES or len(raw) > found


async def test_too_many_messages_are_refused(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session()
        messages = [{"role": "user", "content": "x"}] * (intake.MAX_MESSAGES + 1)
        async with bench.http(path) as http:
            reply = await http.post("/v1/chat/completions", json={"model": "small", "messages": messages})
        assert reply.status_code == 400
        assert reply.json()["error"]["code"] == "request_too_large"
    assert session.fault is None
    assert bench.record.calls == []


async def test_a_large_body_is_read_in_a_thread(run_gateway: Any, scripted_models: Any) -> None:
    """Seen from the loop: it turns while the body is read."""
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        _, path = await bench.session()
        large = "word " * 600_000
        body = json.dumps({"model": "small", "messages": [{"role": "user", "content": large}]}).encode()
        turns = 0
        reading = asyncio.ensure_future(
            bench.gateway._intake.read(
                bench.gateway._sessions.copy().pop().clock, {"small": "solver"}, "chat", body, {}
            )
        )
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        assert (await reading).role == "solver"
        assert turns > 1
        async with bench.http(path) as http:
            assert (await http.post("/v1/chat/completions", content=body)).status_code == 200


async def test_a_refused_request_is_kept_without_its_bulk(run_gateway: Any, scripted_models: Any) -> None:
    def refuse(_: Json) -> str:
        raise BadCall(400, "the prompt is too long", code="context_length_exceeded")

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(refuse)}) as bench:
        _, path = await bench.session(answer_scope="pair")
        messages = [{"role": "user", "content": f"{i} " + "x" * 1000} for i in range(2000)]
        async with bench.http(path) as http:
            for _ in range(3):
                reply = await http.post("/v1/chat/completions", json={"model": "small", "messages": messages})
                assert reply.status_code == 400
        _, other = await bench.session(answer_scope="pair")
        async with bench.http(other) as http:
            again = await http.post("/v1/chat/completions", json={"model": "small", "messages": messages})
        assert again.json() == reply.json()
    kept = [call.request for call in bench.record.calls]
    assert len(kept) == 4
    assert len(set(kept)) == 1, "equal ones are stored once"
    assert len(kept[0]) < 1000
    assert json.loads(kept[0])["left_out_bytes"] > 2_000_000


async def test_small_refused_requests_are_kept_whole(run_gateway: Any, scripted_models: Any) -> None:
    def refuse(_: Json) -> str:
        raise BadCall(400, "no", code="x")

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(refuse)}) as bench:
        _, path = await bench.session()
        async with bench.http(path) as http:
            await http.post(
                "/v1/chat/completions", json={"model": "small", "messages": [{"role": "user", "content": "q"}]}
            )
    assert json.loads(bench.record.calls[0].request)["messages"][0]["content"] == "q"


async def test_clients_that_count_tokens_first_get_an_estimate(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session()
        asked = {"model": "small", "messages": [{"role": "user", "content": "a few words " * 50}]}
        async with bench.http(path) as http:
            reply = await http.post("/v1/messages/count_tokens?beta=true", json=asked)
            assert 150 < reply.json()["input_tokens"] < 400
            assert (await http.post("/v1/messages/count_tokens", json={"model": "x"})).status_code == 404
    assert session.usage.calls == 0


async def test_many_small_bodies_of_one_box_do_not_come_before_another_box_s(
    run_gateway: Any, scripted_models: Any
) -> None:
    models = {"solver": {**scripted_models["solver"], "concurrency": 64}}
    async with run_gateway(models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        (flood, _), (other, _) = await bench.session(trial="flood"), await bench.session(trial="other")

        def call(session: BoxSession, text: str) -> asyncio.Task[Any]:
            body = {"model": "small", "messages": [{"role": "user", "content": text}]}
            return asyncio.create_task(bench.gateway.call(session, Dialect.CHAT, json.dumps(body).encode()))

        long = "x" * 8000
        await asyncio.gather(*(call(flood, f"junk {n} {long}") for n in range(40)), call(other, f"my own {long}"))
    assert [one.trial for one in bench.record.calls].index("other") < 5
