"""Providers that fail, in every way that a server not written here can fail; and whose fault it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from agent.base.errors import ProviderDown, UserError
from agent.models.ports import Json, KeyRefused, Question, Trouble
from agent.models.providers.errors import retry_after
from agent.models.providers.scripted import Script, ScriptedProvider

ASK = [{"role": "user", "content": "hello"}]


def over_openai(llmock: Any, **more: Any) -> Json:
    given = {"provider": "openai", "model": "gpt-4o-mini", "base_url": llmock.base_url("openai"), "timeout": 8}
    return {"solver": {**given, "api_key_env": "OPENAI_API_KEY", "attempts": 3, **more}}


def over_anthropic(llmock: Any, **more: Any) -> Json:
    given = {"provider": "anthropic", "model": "claude-sonnet-4-5", "base_url": llmock.base_url("anthropic")}
    return {"solver": {**given, "timeout": 8, "attempts": 3, **more}}


async def test_an_openai_provider_answers_and_is_priced(run_gateway: Any, llmock: Any) -> None:
    llmock.reply("forty-two")
    models = over_openai(llmock, price={"input": 10, "output": 20})
    async with run_gateway(models) as bench:
        session, path = await bench.session()
        answer = await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert answer.choices[0].message.content == "forty-two"
    expected = (answer.usage.prompt_tokens * 10 + answer.usage.completion_tokens * 20) / 1e6
    assert session.usage.dollars == pytest.approx(expected)
    assert session.usage.unpriced == 0


async def test_a_model_without_a_known_price_is_counted_as_such(run_gateway: Any, llmock: Any) -> None:
    async with run_gateway(over_openai(llmock)) as bench:
        session, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert (session.usage.unpriced, session.usage.dollars) == (1, 0.0)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_that_fails_for_a_while_is_retried(run_gateway: Any, llmock: Any, status: int) -> None:
    llmock.fail(status, times=2, retry_after=0.2)
    async with run_gateway(over_openai(llmock)) as bench:
        session, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert session.fault is None
    assert bench.record.calls[0].retries == 2
    llmock.assert_resilient()


async def test_retry_after_is_kept(run_gateway: Any, llmock: Any) -> None:
    llmock.rate_limit(times=1, retry_after=1.2)
    async with run_gateway(over_anthropic(llmock)) as bench:
        _, path = await bench.session()
        await bench.anthropic(path).messages.create(model="small", max_tokens=20, messages=ASK)
    llmock.assert_resilient()


async def test_an_outage_is_an_infrastructure_error_and_ends_without_help(run_gateway: Any, llmock: Any) -> None:
    llmock.outage()
    async with run_gateway(over_openai(llmock, attempts=2)) as bench:
        session, path = await bench.session()
        client = bench.openai(path)
        with pytest.raises(openai.InternalServerError, match="will not count"):
            await client.chat.completions.create(model="small", messages=ASK)
        assert isinstance(session.fault, ProviderDown)
        assert "503" in str(bench.gateway.trouble())
        other, path = await bench.session()
        with pytest.raises(openai.InternalServerError):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert isinstance(other.fault, ProviderDown), "no call waits in vain while the provider is down"
        llmock.reset()
        await asyncio.wait_for(bench.gateway.ready(), 10)
        assert bench.gateway.trouble() is None
        third, path = await bench.session()
        await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert third.fault is None


async def test_a_refused_key_stops_at_once_and_names_its_variable(run_gateway: Any, llmock: Any) -> None:
    llmock.fail(401, times=None)
    async with run_gateway(over_openai(llmock)) as bench:
        session, path = await bench.session()
        with pytest.raises(openai.InternalServerError):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert isinstance(session.fault, KeyRefused)
        assert "OPENAI_API_KEY" in str(session.fault)
        with pytest.raises(KeyRefused):
            await bench.gateway.ready()
    llmock.assert_resilient()


async def test_a_missing_key_is_said_before_anything_starts(
    run_gateway: Any, llmock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        async with run_gateway(over_openai(llmock)):
            pass


async def test_a_prompt_that_is_too_long_is_the_candidate_s_fault(run_gateway: Any, llmock: Any) -> None:
    llmock.context_overflow()
    async with run_gateway(over_openai(llmock)) as bench:
        session, path = await bench.session()
        with pytest.raises(openai.BadRequestError, match="maximum context length"):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert session.fault is None
    assert bench.record.calls[0].status == 400
    llmock.assert_resilient()


async def test_a_request_that_breaks_a_working_provider_is_the_candidate_s_fault(
    run_gateway: Any, scripted_models: Any
) -> None:
    def brittle(body: Json) -> str:
        if "poison" in str(body):
            raise Trouble("HTTP 500: it broke")
        return "fine"

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(brittle)}) as bench:
        session, path = await bench.session()
        client = bench.openai(path)
        with pytest.raises(openai.BadRequestError, match="works, but not on this request"):
            await client.chat.completions.create(model="small", messages=[{"role": "user", "content": "poison"}])
        answer = await client.chat.completions.create(model="small", messages=ASK)
        assert answer.choices[0].message.content == "fine"
    assert session.fault is None
    assert bench.gateway.trouble() is None


async def test_an_answer_without_a_finish_reason_is_an_error_not_a_short_answer(
    run_gateway: Any, scripted_models: Any
) -> None:
    whole = {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}}]}
    answers: list[Json] = [
        {"id": "1"},
        {**whole, "choices": [{**whole["choices"][0], "finish_reason": None}]},  # type: ignore[index]
        {**whole, "choices": [{**whole["choices"][0], "finish_reason": "stop"}]},  # type: ignore[index]
    ]
    scripted = ScriptedProvider(lambda _: answers.pop(0))
    async with run_gateway(scripted_models, providers={"solver": scripted}) as bench:
        _, path = await bench.session()
        answer = await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert answer.choices[0].message.content == "whole"
    assert bench.record.calls[0].retries == 2


@asynccontextmanager
async def raw_server(reply: bytes, pause: float = 0.0, *, cut: bool = False) -> AsyncIterator[str]:
    """An HTTP server that sends fixed bytes, if need be one at a time, and may hang up early."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for i in range(len(reply)):
                writer.write(reply[i : i + 1])
                if pause:
                    await writer.drain()
                    await asyncio.sleep(pause)
            await writer.drain()
            if not cut:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


def at(url: str, **more: Any) -> Json:
    return {"solver": {"provider": "openai", "model": "m", "base_url": url, "attempts": 2, "timeout": 1, **more}}


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"


async def test_the_deadline_holds_against_a_server_that_trickles(run_gateway: Any) -> None:
    async with raw_server(HEAD + b" " * 4000, pause=0.05) as url, run_gateway(at(url)) as bench:
        session, path = await bench.session()
        start = asyncio.get_running_loop().time()
        with pytest.raises(openai.InternalServerError):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
        assert asyncio.get_running_loop().time() - start < 20
    assert isinstance(session.fault, ProviderDown)


@pytest.mark.parametrize(
    "reply",
    [
        HEAD + b'{"choices": [',
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{not ",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{"error":{"message":"no"}}',
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_a_reply_that_holds_no_answer_is_an_outage(run_gateway: Any, reply: bytes) -> None:
    async with raw_server(reply, cut=True) as url, run_gateway(at(url, attempts=1)) as bench:
        session, path = await bench.session()
        with pytest.raises(openai.InternalServerError):
            await bench.openai(path).chat.completions.create(model="small", messages=ASK)
    assert isinstance(session.fault, ProviderDown)


async def test_a_box_whose_time_runs_out_during_an_outage_is_void_not_scored(
    until: Any, run_gateway: Any, llmock: Any
) -> None:
    llmock.outage()
    async with run_gateway(over_openai(llmock, attempts=9)) as bench:
        session, path = await bench.session()
        call = asyncio.ensure_future(bench.openai(path).chat.completions.create(model="small", messages=ASK))
        upstream = bench.gateway.upstreams("solver")[0]
        await until(lambda: upstream.failing)
        await session.close()
        await asyncio.wait([call])
        assert call.exception() is not None
    assert isinstance(session.fault, ProviderDown)


async def test_no_more_calls_are_in_flight_than_configured(run_gateway: Any, scripted_models: Any) -> None:
    running, most = 0, 0

    class Counting(ScriptedProvider):
        async def ask(self, question: Question) -> Json:
            nonlocal running, most
            running, most = running + 1, max(most, running + 1)
            await asyncio.sleep(0.01)
            running -= 1
            return await super().ask(question)

    models = {"solver": {**scripted_models["solver"], "concurrency": 3}}
    async with run_gateway(models, providers={"solver": Counting(lambda _: "ok")}) as bench:
        _, path = await bench.session()
        client = bench.openai(path)
        await asyncio.gather(*(client.chat.completions.create(model="small", messages=ASK) for _ in range(12)))
    assert most == 3


async def test_a_rate_limit_delays_calls(run_gateway: Any, scripted_models: Any) -> None:
    models = {"solver": {**scripted_models["solver"], "requests_per_minute": 2}}
    async with run_gateway(models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session()
        client = bench.openai(path)
        calls = [asyncio.ensure_future(client.chat.completions.create(model="small", messages=ASK)) for _ in range(3)]
        await asyncio.wait(calls, timeout=2)
        assert sum(call.done() for call in calls) == 2
        await session.close()
        await asyncio.wait(calls)
        assert sum(call.exception() is not None for call in calls) == 1


async def test_anthropic_is_spoken_natively_to_anthropic(run_gateway: Any, llmock: Any) -> None:
    llmock.reply("natively")
    async with run_gateway(over_anthropic(llmock, prompt_cache=True)) as bench:
        _, path = await bench.session()
        async with bench.anthropic(path).messages.stream(
            model="small", max_tokens=20, messages=ASK, extra_body={"top_k": 5}
        ) as stream:
            answer = await stream.get_final_message()
    assert answer.content[0].text == "natively"
    sent = llmock.requests[-1].body
    assert (sent["cache_control"], sent["top_k"], "stream" in sent) == ({"type": "ephemeral"}, 5, False)


async def test_chat_and_responses_are_translated_for_anthropic(run_gateway: Any, llmock: Any) -> None:
    llmock.call_tool("weather", {"city": "Graz"})
    tool = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    async with run_gateway(over_anthropic(llmock)) as bench:
        _, path = await bench.session()
        client = bench.openai(path)
        raw = await client.chat.completions.with_raw_response.create(
            model="small",
            messages=[{"role": "system", "content": "brief"}, *ASK],
            tools=[{"type": "function", "function": tool}],
            seed=3,
        )
        assert raw.headers["x-ratchet-left-out"] == "seed"
        answer = raw.parse()
        call = answer.choices[0].message.tool_calls[0]
        assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Graz"}')
        assert answer.choices[0].finish_reason == "tool_calls"
        llmock.reply("sunny")
        told = [
            *ASK,
            {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
            {"role": "tool", "tool_call_id": call.id, "content": "sun"},
        ]
        second = await client.chat.completions.create(
            model="small", messages=told, tools=[{"type": "function", "function": tool}]
        )
        assert second.choices[0].message.content == "sunny"
        llmock.reply("a response")
        assert (await client.responses.create(model="small", input="x")).output_text == "a response"
        with pytest.raises(openai.BadRequestError, match="`n` cannot be carried"):
            await client.chat.completions.create(model="small", messages=ASK, n=2)
    first = llmock.requests[0].body
    assert (first["system"], first["tools"][0]["input_schema"], "seed" in first) == ("brief", tool["parameters"], False)


async def test_an_anthropic_outage_reaches_an_anthropic_client_in_its_own_shape(run_gateway: Any, llmock: Any) -> None:
    llmock.fail(529, times=None)
    async with run_gateway(over_anthropic(llmock, attempts=1)) as bench:
        _, path = await bench.session()
        with pytest.raises(anthropic.APIStatusError) as failed:
            await bench.anthropic(path).messages.create(model="small", max_tokens=9, messages=ASK)
    assert failed.value.body["error"]["type"] == "overloaded_error"


async def test_a_script_without_an_answer_is_an_error(run_gateway: Any, scripted_models: Any) -> None:
    script = Script.model_validate({"sequence": [{"reply": "only"}]})
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(script)}) as bench:
        session, path = await bench.session()
        client = bench.openai(path)
        await client.chat.completions.create(model="small", messages=ASK)
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="small", messages=ASK)
    assert "used up after 1 answers" in str(session.fault)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "x"}, None),
    ],
)
def test_retry_after_is_read_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
