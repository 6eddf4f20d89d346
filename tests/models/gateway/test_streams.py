"""A stream's first byte comes before clients give up; its answer comes whole, and is recorded first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from agent.base.types import Caps
from agent.models.gateway import streams
from agent.models.ports import Blame, Json, Question, Trouble
from agent.models.providers.scripted import ScriptedProvider

ASK = [{"role": "user", "content": "x"}]
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
BODIES: dict[str, Json] = {
    "chat": {"messages": ASK},
    "messages": {"messages": ASK, "max_tokens": 8},
    "responses": {"input": "x"},
}


class Held(ScriptedProvider):
    """Answers, or fails, when it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(lambda _: "fine")
        self.let_go, self._error = asyncio.Event(), error

    async def ask(self, question: Question) -> Json:
        await self.let_go.wait()
        if self._error is not None:
            raise self._error
        return await super().ask(question)

    async def probe(self) -> None:
        if self._error is not None:
            raise self._error


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.02)


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_stream_that_waits_is_kept_alive_and_then_whole(
    run_gateway: Any, scripted_models: Any, dialect: str
) -> None:
    held = Held()
    async with run_gateway(scripted_models, providers={"solver": held}) as bench:
        _, path = await bench.session()
        body = {"model": "small", "stream": True, **BODIES[dialect]}
        async with bench.http(path) as http, http.stream("POST", PATHS[dialect], json=body) as reply:
            chunks = reply.aiter_text()
            first = await anext(chunks)
            assert "ping" in first if dialect == "messages" else first.startswith(": ")
            assert bench.record.calls == []
            held.let_go.set()
            rest = "".join([chunk async for chunk in chunks])
        assert [call.status for call in bench.record.calls] == [200]
    assert "fine" in rest
    assert rest.rstrip().rpartition("\n\n")[2].split("\n")[-1].startswith("data: ")


def _openai(bench: Any, path: Any) -> Callable[[], Any]:
    return lambda: bench.openai(path).chat.completions.create(model="small", messages=ASK, stream=True)


def _responses(bench: Any, path: Any) -> Callable[[], Any]:
    return lambda: bench.openai(path).responses.create(model="small", input="x", stream=True)


def _anthropic(bench: Any, path: Any) -> Callable[[], Any]:
    return lambda: bench.anthropic(path).messages.create(model="small", messages=ASK, max_tokens=8, stream=True)


SDKS = {"chat": _openai, "responses": _responses, "messages": _anthropic}


@pytest.mark.parametrize("sdk", SDKS)
async def test_the_sdks_read_over_what_keeps_them_waiting(run_gateway: Any, scripted_models: Any, sdk: str) -> None:
    held = Held()
    async with run_gateway(scripted_models, providers={"solver": held}) as bench:
        _, path = await bench.session()
        stream = await SDKS[sdk](bench, path)()
        held.let_go.set()
        events = [event async for event in stream]
    assert "fine" in "".join(event.model_dump_json() for event in events)


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize(
    ("error", "said"),
    [(Trouble("no connection", blame=Blame.FINAL), "will not count"), (Trouble("boom", blame=Blame.BROKEN), "count")],
)
async def test_what_fails_after_the_status_was_sent_is_an_error_in_the_stream(
    run_gateway: Any, scripted_models: Any, sdk: str, error: Trouble, said: str
) -> None:
    held = Held(error)
    models = {"solver": {**scripted_models["solver"], "attempts": 1}}
    async with run_gateway(models, providers={"solver": held}) as bench:
        session, path = await bench.session()
        stream = await SDKS[sdk](bench, path)()
        held.let_go.set()
        with pytest.raises((openai.APIError, anthropic.APIError), match=said):
            [event async for event in stream]
        assert session.fault is not None


async def test_a_refusal_for_a_cap_comes_with_its_status_also_to_a_stream(
    run_gateway: Any, scripted_models: Any
) -> None:
    async with run_gateway(scripted_models, providers={"solver": Held()}) as bench:
        _, path = await bench.session(caps=Caps(calls=0))
        with pytest.raises(openai.APIStatusError, match="cap on calls"):
            await _openai(bench, path)()


async def test_a_box_that_hangs_up_on_a_waiting_stream_changes_nothing_and_gets_its_bytes_back(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    held = Held()
    async with run_gateway(scripted_models, providers={"solver": held}) as bench:
        session, path = await bench.session()
        body = {"model": "small", "stream": True, "messages": ASK}
        async with bench.http(path) as http, http.stream("POST", PATHS["chat"], json=body) as reply:
            await anext(reply.aiter_text())
            assert session._buffered > 0
        held.let_go.set()
        await until(lambda: bench.record.calls)
        await until(lambda: session._buffered == 0)
    assert [call.status for call in bench.record.calls] == [200]


async def test_a_call_that_is_no_stream_waits_in_silence(run_gateway: Any, scripted_models: Any) -> None:
    held = Held()
    async with run_gateway(scripted_models, providers={"solver": held}) as bench:
        _, path = await bench.session()
        call = asyncio.create_task(bench.openai(path).chat.completions.create(model="small", messages=ASK))
        await asyncio.sleep(0.1)
        assert not call.done()
        held.let_go.set()
        assert (await call).choices[0].message.content == "fine"
