"""What a box sees holds nothing that tells of other boxes: whatever providers add to an answer, it reads the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import openai
import pytest

from agent.models.gateway import neutral
from agent.models.ports import BadCall, Dialect, Json, Question, Tokens
from agent.models.providers.scripted import ScriptedProvider

TOOL = {"type": "object", "properties": {"x": {"type": "string"}}}
BODIES: dict[Dialect, tuple[str, Json]] = {
    Dialect.CHAT: (
        "/v1/chat/completions",
        {
            "model": "small",
            "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"type": "function", "function": {"name": "run", "parameters": TOOL}}],
            "stream_options": {"include_usage": True},
        },
    ),
    Dialect.MESSAGES: (
        "/v1/messages",
        {
            "model": "small",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"name": "run", "input_schema": TOOL}],
        },
    ),
    Dialect.RESPONSES: (
        "/v1/responses",
        {"model": "small", "input": "hello", "tools": [{"type": "function", "name": "run", "parameters": TOOL}]},
    ),
}


class Noisy(ScriptedProvider):
    """One answer, dressed differently each time: ids, times, caches, tiers, counters, fields nobody knows."""

    def __init__(self, native: Dialect) -> None:
        super().__init__(lambda _: "")
        self.native = native  # type: ignore[misc]
        self._count = itertools.count(1)

    async def ask(self, question: Question) -> Json:  # noqa: ARG002
        n = next(self._count)
        return self._chat(n) if self.native is Dialect.CHAT else self._message(n)

    def _chat(self, n: int) -> Json:
        call = {"id": f"call_{n}", "type": "function", "function": {"name": "run", "arguments": '{"x": "y"}'}}
        message = {"role": "assistant", "content": "said", "reasoning_content": "thought", "tool_calls": [call]}
        usage = {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": n, "audio_tokens": n},
            "completion_tokens_details": {"reasoning_tokens": 3, "accepted_prediction_tokens": n},
            "cost": n,
            "queue_time": 0.1 * n,
        }
        return {
            "id": f"gen-{n}",
            "created": 1_700_000_000 + n,
            "model": f"vendor/model-{n}",
            "provider": f"host {n}",
            "system_fingerprint": f"fp_{n}",
            "service_tier": "default" if n % 2 else "flex",
            "timings": {"cache_n": n, "prompt_ms": 12.5 * n},
            "x_groq": {"id": f"req_{n}"},
            "choices": [
                {"index": 0, "message": message, "finish_reason": "tool_calls", "stop_reason": n, "token_ids": [n]}
            ],
            "usage": usage,
        }

    def _message(self, n: int) -> Json:
        return {
            "id": f"msg_{n}",
            "type": "message",
            "role": "assistant",
            "model": f"claude-{n}",
            "content": [
                {"type": "text", "text": "said"},
                {"type": "tool_use", "id": f"toolu_{n}", "name": "run", "input": {"x": "y"}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "container": {"id": f"box_{n}"},
            "usage": {
                "input_tokens": 20 - n,
                "cache_read_input_tokens": n,
                "cache_creation_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": n},
                "output_tokens": 9,
                "service_tier": f"tier {n}",
            },
        }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("native", [Dialect.CHAT, Dialect.MESSAGES])
@pytest.mark.parametrize("dialect", list(Dialect))
async def test_two_boxes_read_the_same_whatever_the_provider_adds(
    run_gateway: Any, scripted_models: Any, dialect: Dialect, native: Dialect, stream: bool
) -> None:
    path, body = BODIES[dialect]
    if not stream:
        body = {name: value for name, value in body.items() if name != "stream_options"}
    seen = []
    async with run_gateway(scripted_models, providers={"solver": Noisy(native)}) as bench:
        for _ in range(2):
            _, socket = await bench.session()
            async with bench.http(socket) as http:
                reply = await http.post(path, json={**body, "stream": stream})
            assert reply.status_code == 200, reply.text
            seen.append((reply.content, sorted(reply.headers.items())))
    assert seen[0] == seen[1]
    text = seen[0][0].decode()
    assert "said" in text
    assert "cached_tokens" not in text or '"cached_tokens":0' in text
    assert [call.tokens_in for call in bench.record.calls] == [20, 20], "the bill keeps what was really read"


async def test_each_occurrence_has_ids_of_its_own_and_they_lead_back_to_the_call(
    run_gateway: Any, scripted_models: Any
) -> None:
    noisy = Noisy(Dialect.CHAT)
    async with run_gateway(scripted_models, providers={"solver": noisy}) as bench:
        _, path = await bench.session()
        client = bench.openai(path)
        ids = set()
        for _ in range(3):
            answer = await client.chat.completions.create(**BODIES[Dialect.CHAT][1] | {"stream_options": None})
            ids |= {answer.id, answer.choices[0].message.tool_calls[0].id}
    assert len(ids) == 6


async def test_fields_of_the_first_asker_do_not_come_back_to_the_second(run_gateway: Any, scripted_models: Any) -> None:
    path, body = BODIES[Dialect.RESPONSES]
    seen = []
    async with run_gateway(scripted_models, providers={"solver": Noisy(Dialect.CHAT)}) as bench:
        for who in ("candidate", "champion"):
            _, socket = await bench.session(answer_scope="pair")
            tools = [{**tool, "note": f"hidden by the {who}"} for tool in body["tools"]]
            asked = {**body, "tools": tools, "metadata": {"told": f"by the {who}"}}
            async with bench.http(socket) as http:
                seen.append((await http.post(path, json=asked)).json())
    assert seen[0] == seen[1]
    assert "by the" not in json.dumps(seen)
    assert [call.fresh for call in bench.record.calls] == [True, False]


async def test_an_error_names_no_request_of_the_provider(run_gateway: Any, scripted_models: Any) -> None:
    def refuse(_: Json) -> str:
        raise BadCall(400, "no such tool (request id: req_0123abc), see request_id=7f-99", code="invalid")

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(refuse)}) as bench:
        _, path = await bench.session()
        with pytest.raises(openai.BadRequestError, match="no such tool") as refused:
            await bench.openai(path).chat.completions.create(model="small", messages=[{"role": "user", "content": "x"}])
    assert "req_" not in str(refused.value)
    assert "7f-99" not in str(refused.value)


def test_an_id_that_carries_a_provider_s_state_is_left_alone() -> None:
    state = "call_1__thought__" + "s" * 100
    call = {"id": state, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    raw = {"choices": [{"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    made = neutral.from_provider(Dialect.CHAT, raw, "i", "m", Tokens(input=1, output=1))
    assert made["choices"][0]["message"]["tool_calls"][0]["id"] == state
