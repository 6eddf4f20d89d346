"""Every model is asked as the scaffold will ask it, before anything is spent; and what `models test` finds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.base.errors import InfrastructureError, UserError
from agent.config.models import ModelsConfig
from agent.models.gateway.features import Tried, try_models
from agent.models.gateway.preflight import preflight
from agent.models.ports import Json
from tests.models.servers import at, chat, serving

FAILED: dict[str, Any] = {
    "an error in a 200": (200, {"error": {"message": "upstream overloaded"}}),
    "too many requests": (429, {"error": "slow down"}, {"retry-after": "0.3"}),
    "overloaded": (529, {"error": {"type": "overloaded_error", "message": "overloaded"}}),
    "loading": (503, {"error": {"message": "Loading model", "code": 503}}),
    "finish error": (200, chat("", "error")),
}


@pytest.mark.parametrize("name", FAILED)
async def test_a_model_that_fails_at_first_is_asked_again(run_gateway: Any, name: str) -> None:
    answers = [FAILED[name], (200, chat())]
    async with serving(lambda *_: answers.pop(0)) as server, run_gateway(at(server)) as bench:
        assert await preflight(bench.gateway) == []


async def test_the_request_is_shaped_like_the_scaffold_s(run_gateway: Any) -> None:
    async with serving(lambda *_: (200, chat())) as server, run_gateway(at(server)) as bench:
        await preflight(bench.gateway)
    sent = server.bodies[0]
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert sent["max_tokens"] > 100
    assert {"temperature", "stop", "tools"} <= sent.keys()


async def test_what_a_model_does_not_take_is_known_before_the_first_trial(run_gateway: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        for name in ("temperature", "stop"):
            if name in body:
                return 400, {"error": {"message": f"Unsupported value: '{name}'", "param": name}}
        return 200, chat()

    async with serving(answer) as server, run_gateway(at(server)) as bench:
        (note,) = await preflight(bench.gateway)
        assert note == "models.solver: openai/m does not take stop, temperature: left out of every request"
        count = len(server.bodies)
        _, path = await bench.session()
        asked = {"model": "small", "messages": [{"role": "user", "content": "x"}], "temperature": 0, "stop": ["a"]}
        async with bench.http(path) as http:
            reply = await http.post("/v1/chat/completions", json=asked)
    assert reply.status_code == 200
    assert set(reply.headers["x-ratchet-left-out"].split(", ")) == {"temperature", "stop"}
    assert len(server.bodies) == count + 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((404, {"error": "model 'qwen3' not found, try pulling it first"}), "try pulling it first"),
        ((401, {"error": "bad key"}), "does not accept this key"),
        ((400, {"detail": "model m is not served here"}), "not served here.*Leave out what it refuses with `drop`"),
        ((200, chat("green", None)), "no finish reason"),
        ((200, chat("", "error")), "did not finish"),
        ((500, "<title>Bad Gateway</title>"), "Bad Gateway"),
    ],
)
async def test_a_model_that_does_not_work_is_the_user_s_to_fix(run_gateway: Any, reply: Any, said: str) -> None:
    async with serving(lambda *_: reply) as server, run_gateway(at(server, attempts=1)) as bench:
        with pytest.raises(UserError, match=rf"models\.solver: m at .*{said}"):
            await preflight(bench.gateway)


async def test_a_server_that_is_not_there_is_named_at_once(run_gateway: Any) -> None:
    models = {"solver": {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}}
    async with run_gateway(models) as bench:
        with pytest.raises(UserError, match=r"no connection to http://127\.0\.0\.1:1/v1"):
            await asyncio.wait_for(preflight(bench.gateway), 20)


async def test_a_provider_that_stays_busy_is_an_outage_not_the_user_s_error(run_gateway: Any) -> None:
    async with serving(lambda *_: (429, {"error": "later"})) as server, run_gateway(at(server)) as bench:
        with pytest.raises(InfrastructureError, match=r"models\.solver: .*later"):
            await preflight(bench.gateway)


async def test_a_model_without_tools_and_one_that_only_reasons_are_named(run_gateway: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        if "tools" in body:
            return 400, {"error": {"message": "m does not support tools"}}
        return 200, chat(None, reasoning_content="The answer is green.")

    async with serving(answer) as server, run_gateway(at(server)) as bench:
        tools, only = await preflight(bench.gateway)
    assert "does not take tools" in tools
    assert "nothing but reasoning" in only


async def test_a_usage_that_cannot_be_true_is_said_once(run_gateway: Any) -> None:
    reply = {**chat(), "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    async with serving(lambda *_: (200, reply)) as server, run_gateway(at(server)) as bench:
        (note,) = await preflight(bench.gateway)
    assert "booked at its upper bound" in note


# ---------------------------------------------------------------- models test


async def tried(answer: Any, **more: Any) -> tuple[Tried, list[Json]]:
    async with serving(answer) as server:
        (one,) = await try_models(ModelsConfig.model_validate(at(server, **more)))
    return one, server.bodies


async def test_an_empty_answer_is_a_failure_that_says_why() -> None:
    one, _ = await tried(lambda *_: (200, chat(None, reasoning_content="The answer is green.")))
    assert "nothing but reasoning" in str(one.error)
    blank, _ = await tried(lambda *_: (200, chat("")))
    assert "empty text" in str(blank.error)


def reading(window: int) -> Any:
    """A server that keeps only the last tokens of a prompt, as if a word were a token."""

    def answer(body: Json, path: str) -> Any:
        if path.endswith("/models"):
            return 200, {"data": [{"id": "m", "max_model_len": 8192}]}
        words = body["messages"][-1]["content"].split()
        seen = " ".join(words[-window:])
        reply = chat("heliotrope" if "heliotrope" in seen else "apple")
        reply["usage"]["prompt_tokens"] = min(len(words), window)
        return 200, reply

    return answer


async def test_a_server_that_cuts_prompts_silently_is_found() -> None:
    one, _ = await tried(reading(2048), context_window=8192)
    assert str(one.error).startswith("truncates at 2048: set num_ctx")


async def test_a_window_that_the_server_reports_is_used_and_tested() -> None:
    one, bodies = await tried(reading(100_000))
    assert one.error is None
    assert "its server reports a window of 8192 tokens, which is used" in one.notes
    assert max(len(body["messages"][-1]["content"].split()) for body in bodies) > 4096


async def test_tools_and_schemas_are_tried_in_the_ways_in_which_servers_differ() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "paint", "arguments": "{}"}}

    def answer(body: Json, _: str) -> Any:
        if body.get("tool_choice") == "required" or "response_format" in body:
            return 400, {"error": {"message": "not in this server"}}
        if "grammar" in body:
            return 200, chat('{"colour": "red"}')
        return 200, chat(None, "tool_calls", tool_calls=[call]) if "tools" in body else chat()

    one, _ = await tried(answer)
    assert one.features == {"tools": True, "schema": False, "seed": True}
    assert "calls tools of its own will, not when tool_choice forces it" in one.notes
    assert "keeps a schema only as `grammar`, not as response_format" in one.notes


async def test_what_is_left_out_is_shown() -> None:
    def answer(body: Json, _: str) -> Any:
        if "temperature" in body:
            return 400, {"error": {"message": "temperature is not supported"}}
        return 200, chat()

    one, _ = await tried(answer)
    assert "does not take temperature: left out of every request" in one.notes
    assert one.features["seed"] is False, "it was tried without its temperature"
