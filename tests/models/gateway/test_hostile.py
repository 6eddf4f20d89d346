"""A box may send anything: it gets a 4xx, memory stays bounded, and other boxes do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.models.dialects import checks
from agent.models.dialects.chat import check as check_chat
from agent.models.dialects.messages import check as check_messages
from agent.models.dialects.responses import check as check_responses
from agent.models.dialects.responses_in import request as responses_request
from agent.models.gateway import connections, listener, web
from agent.models.gateway.session import MAX_BUFFERED, MAX_CALLS_AT_ONCE
from agent.models.ports import BadCall
from agent.models.providers.scripted import ScriptedProvider

ASK = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
PATHS = ["/v1/chat/completions", "/v1/messages", "/v1/responses"]


@pytest.fixture
async def bench(run_gateway: Any, scripted_models: Any) -> Any:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        yield bench


async def works(bench: Any, path: Path) -> bool:
    async with bench.http(path) as http:
        return (await http.post("/v1/chat/completions", json=ASK)).status_code == 200


async def exchange(path: Path, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(sent)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"model": NaN}',
        b'{"model": "small"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"model": 1, "messages": 2}',
        b'{"model": "small", "messages": [1], "max_tokens": 5, "input": [2]}',
        b'{"model": "small", "messages": [{"role": "user", "content": "\\ud800"}], "max_tokens": 5, "input": "x"}',
        b'{"model": "small", "max_tokens": ' + b"9" * 5000 + b"}",
        b'{"model": "small", "stream": "yes", "messages": []}',
    ],
)
async def test_a_body_that_cannot_be_a_request_gets_a_400(bench: Any, path: str, body: bytes) -> None:
    session, socket = await bench.session()
    async with bench.http(socket) as http:
        reply = await http.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["message"]
    assert session.fault is None


@pytest.mark.parametrize("path", PATHS)
async def test_an_oversized_body_gets_a_413_however_it_is_sent(bench: Any, path: str) -> None:
    session, socket = await bench.session()

    async def flood() -> Any:
        for _ in range(web.MAX_BODY // 65536 + 2):
            yield b"x" * 65536

    async with bench.http(socket) as http:
        declared = await http.post(path, content=b"x" * (web.MAX_BODY + 1))
        assert declared.status_code == 413
    async with bench.http(socket) as http:
        chunked = await http.post(path, content=flood())
        assert chunked.status_code == 413
    assert session.fault is None
    assert await works(bench, socket)


async def test_other_methods_and_paths_are_refused_in_the_dialect_s_shape(bench: Any) -> None:
    _, socket = await bench.session()
    async with bench.http(socket) as http:
        assert (await http.get("/v1/chat/completions")).status_code == 405
        assert (await http.delete("/v1/models")).json()["error"]["code"] == "method_not_allowed"
        assert (await http.post("/v1/embeddings", json={})).json()["error"]["code"] == "not_found"
        assert (await http.post("/v1/messages/count_tokens", json={})).json()["type"] == "error"
        assert (await http.get("/v1/models/../../etc/passwd")).status_code == 404
        assert (await http.get("/v1/files/other-box")).status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n",
        b"POST http://evil/v1 HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_bytes_that_are_not_http_get_a_400_and_hurt_nobody(bench: Any, sent: bytes) -> None:
    session, socket = await bench.session()
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(sent)
        writer.write_eof()
        reply = await asyncio.wait_for(reader.read(65536), 20)
    except ConnectionError:
        reply = b""
    finally:
        writer.close()
    assert reply[:10] == b"HTTP/1.1 4" or reply == b""
    assert b".sock" not in reply
    assert session.fault is None
    assert await works(bench, socket)


async def test_a_slow_loris_is_cut_off(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEADER_SECONDS", 0.3)
    _, socket = await bench.session()
    reader, writer = await asyncio.open_unix_connection(str(socket))
    cut = False
    for byte in b"GET /v1/models HTTP/1.1\r\nHost: box\r\nX-Slow: " + b"z" * 100:
        try:
            writer.write(bytes([byte]))
            await writer.drain()
        except ConnectionError:
            cut = True
            break
        await asyncio.sleep(0.02)
    assert cut or reader.at_eof() or await reader.read() == b""
    writer.close()
    assert await works(bench, socket)


async def test_a_body_that_never_arrives_is_given_up(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BODY_SECONDS", 0.2)
    _, socket = await bench.session()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: box\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{"
    assert b"408" in (await exchange(socket, head)).split(b"\r\n")[0]


async def test_connections_are_bounded_per_box(bench: Any) -> None:
    (_, flooded), (_, other) = await bench.session(), await bench.session()
    held = []
    for _ in range(connections.MAX_PER_BOX * 4):
        try:
            held.append(await asyncio.open_unix_connection(str(flooded)))
        except OSError:
            break
    await asyncio.sleep(0.05)
    state = next(o.state for o in bench.gateway._listener._open.values() if o.path == flooded)
    assert len(state.connections) <= connections.MAX_PER_BOX + 1
    assert await works(bench, other)
    for _, writer in held:
        writer.close()
    await asyncio.sleep(0.05)
    assert await works(bench, flooded)


@pytest.mark.slow
async def test_ten_thousand_connections_hurt_nobody(bench: Any) -> None:
    (session, flooded), (_, other) = await bench.session(), await bench.session()
    for _ in range(100):
        batch = await asyncio.gather(
            *(asyncio.open_unix_connection(str(flooded)) for _ in range(100)), return_exceptions=True
        )
        assert await works(bench, other)
        for opened in batch:
            if not isinstance(opened, BaseException):
                opened[1].close()
    assert session.fault is None


async def test_calls_at_once_are_bounded_per_box(run_gateway: Any, scripted_models: Any) -> None:
    class Never(ScriptedProvider):
        async def ask(self, question: Any) -> Any:
            await asyncio.Event().wait()
            return await super().ask(question)

    async with run_gateway(scripted_models, providers={"solver": Never(lambda _: "")}) as bench:
        session, socket = await bench.session()
        async with bench.http(socket) as http:
            calls = [
                asyncio.ensure_future(http.post("/v1/chat/completions", json=ASK)) for _ in range(MAX_CALLS_AT_ONCE + 8)
            ]
            done, pending = await asyncio.wait(calls, timeout=3)
            assert {call.result().status_code for call in done} == {429}
            assert len(done) == 8
            await session.close()
            await asyncio.wait(pending)


async def test_bodies_under_way_are_bounded_together(bench: Any) -> None:
    session, socket = await bench.session()
    session.take_in(MAX_BUFFERED - 10)
    async with bench.http(socket) as http:
        assert (await http.post("/v1/chat/completions", json=ASK)).json()["error"]["code"] == "too_many_bytes"
    session.take_in(10 - MAX_BUFFERED)
    assert await works(bench, socket)


async def test_nonsense_from_a_box_does_not_fill_the_log(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, socket = await bench.session()
    caplog.set_level("INFO")
    await exchange(socket, b"nonsense\r\n\r\n")
    await exchange(socket, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n")
    assert caplog.text == ""


async def test_a_refusal_that_nobody_waits_for_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Silent:
        async def receive(self) -> None:
            await asyncio.Event().wait()

    refused = asyncio.Event()

    async def call() -> Any:
        await refused.wait()
        raise BadCall(404, "no such model")

    under_way = asyncio.create_task(call())
    waiting: Any = asyncio.create_task(web._ended(Silent(), under_way, None))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    refused.set()
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    del waiting, under_way
    gc.collect()
    await asyncio.sleep(0)
    assert caplog.text == ""


async def test_a_box_has_no_way_past_its_aliases(bench: Any) -> None:
    _, socket = await bench.session(models={})
    async with bench.http(socket) as http:
        for model in ("small", "solver", "../solver", "http://evil/v1", ""):
            reply = await http.post("/v1/chat/completions", json={**ASK, "model": model})
            assert reply.status_code == 404
        evil = {**ASK, "base_url": "http://evil", "api_key": "x"}
        assert (await http.post("/v1/chat/completions", json=evil)).status_code == 404
        assert (await http.get("/v1/models")).json()["data"] == []


async def test_a_closed_session_is_gone_and_takes_nobody_with_it(bench: Any) -> None:
    (session, socket), (_, other) = await bench.session(), await bench.session()
    await session.close()
    await session.close()
    assert not socket.exists()
    with pytest.raises(OSError):  # noqa: PT011 - refused or missing, as the kernel pleases
        await asyncio.open_unix_connection(str(socket))
    assert await works(bench, other)


async def test_the_socket_lets_the_box_s_user_in(bench: Any) -> None:
    _, socket = await bench.session()
    assert socket.stat().st_mode & 0o777 == 0o666


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["model", "messages", "max_tokens", "system", "tools", "tool_choice", "input", "text", "reasoning", "n", "content"]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, JSON | st.lists(st.dictionaries(KEYS | st.just("type"), JSON, max_size=4), max_size=3)))
def test_any_json_is_accepted_or_refused_but_never_a_defect(body: Any) -> None:
    for check in (check_chat, check_messages, _check_responses):
        with contextlib.suppress(BadCall):
            check(body)


def _check_responses(body: Any) -> None:
    check_responses(body)
    check_chat(responses_request(body, []))


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    try:
        value = checks.parse(raw)
    except BadCall:
        return
    assert json.loads(raw) == value
