"""Keys never appear, in any spelling, in anything that a gateway keeps, says or sends."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.redact import MASK, Redactor

KEY = "sk-planted/Key+0123456789=="
ASK = [{"role": "user", "content": "hello"}]


@given(st.text(min_size=8, max_size=60), st.binary(max_size=30), st.binary(max_size=30))
def test_a_key_is_found_in_base64_at_any_place(key: str, before: bytes, after: bytes) -> None:
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        return
    if len(raw) < 12:
        return
    told = base64.b64encode(before + raw + after).decode()
    clean = Redactor([key]).text(told)
    assert MASK in clean


@pytest.mark.parametrize("spelled", [KEY, quote(KEY, safe=""), quote(KEY), f"Bearer {KEY}", f'"{KEY}"'])
def test_a_key_is_removed_in_its_usual_spellings(spelled: str) -> None:
    assert KEY not in Redactor([KEY]).text(spelled)
    assert MASK in Redactor([KEY]).text(spelled)
    assert MASK.encode() in Redactor([KEY]).raw(spelled.encode())


@pytest.mark.parametrize("number", ["12345678", "-12345678.5", "123456789", "0.12345678e3", "9123456789"])
def test_a_key_of_digits_leaves_json_as_json(number: str) -> None:
    """Else a box that guesses it could make its call impossible to record, and its trial void."""
    clean = Redactor(["12345678"]).raw(b'{"seed":%s,"text":"12345678"}' % number.encode())
    assert b"12345678" not in clean
    assert json.loads(clean)["text"] == "1"


def test_no_key_changes_nothing() -> None:
    assert Redactor([]).text("text") == "text"
    assert Redactor(["ab"]).raw(b"ab") == b"ab", "a word that short would be found everywhere"


@pytest.mark.parametrize(
    "key",
    ["placeholder", "ollama", "EMPTY", "none", "lm-studio", "sk-no-key-required", "sk-1234", "not-needed", "xxxxxxxxxx",
     "your_api_key_here", "local-1", "llama.cpp"],
)  # fmt: skip
def test_a_dummy_key_stays_in_answers(key: str) -> None:
    told = f"Replace the {key} in the file; {base64.b64encode(key.encode()).decode()}"
    assert Redactor([key]).text(told) == told


@pytest.mark.parametrize("key", ["sk-proj-8sdfSDF9", "hunter2hunter2", "gsk_abcdefghij", "test-9f8a7b6c5d"])
def test_a_key_that_only_looks_simple_is_removed(key: str) -> None:
    assert Redactor([key]).text(f"the {key}!") == f"the {MASK}!"


@asynccontextmanager
async def echo(status: int) -> AsyncIterator[str]:
    """A provider that tells everything it was sent, headers and all, in three spellings."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        said = " ".join((head.decode(), quote(head.decode(), safe=""), base64.b64encode(head).decode()))
        message = {"role": "assistant", "content": said}
        answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        body = json.dumps(answer if status == 200 else {"error": {"message": said}}).encode()
        start = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(start.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_provider_that_echoes_the_key_does_not_get_it_into_anything(
    run_gateway: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    model = {"provider": "openai", "model": "m", "api_key_env": "PLANTED_KEY", "attempts": 1}
    async with echo(status) as url, run_gateway({"solver": {**model, "base_url": url}}) as bench:
        session, path = await bench.session()
        try:
            answer = await bench.openai(path).chat.completions.create(model="small", messages=ASK)
            told = answer.to_json()
        except openai.APIStatusError as error:
            told = str(error)
        kept = "".join(f"{call!r}" for call in bench.record.calls)
        said = f"{told}{session.fault}{bench.gateway.trouble()}{kept}"
    assert MASK in said, "the provider did get the key, and told it"
    logged = " ".join(r.getMessage() for r in caplog.records)
    core = base64.b64encode(KEY.encode()).decode()[4:-6]
    for spelling in (KEY, quote(KEY, safe=""), core):
        assert spelling not in said
        assert spelling not in logged
