"""What today's clients send, as captured, goes through the real gateway to a raw server of either provider kind.

The data says what clients send (see capture.py); this says what becomes of it. Every captured request must be answered
in its own dialect, streamed where the client streams, and name no tool that the client does not know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from uvicorn import Config, Server

from tests.clients.server import Json, Scripted, Step
from tests.models.conftest import Bench, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
DATA = Path(__file__).parent / "data"
MAX_OUTPUT = 16_000
"""Less than Claude Code asks for."""
REFUSED = {"codex-web-search-0": "web_search", "claude-code-web-search-1": "web_search_20250305"}
"""Requests for what reaches beyond the call, and what the refusal must name."""
DIALECTS = {"/chat/completions": "chat", "/messages": "messages", "/responses": "responses"}


@dataclass(frozen=True)
class Case:
    """One captured request."""

    client: str
    index: int
    request: Json

    @property
    def dialect(self) -> str | None:
        return next((name for end, name in DIALECTS.items() if self.request["path"].endswith(end)), None)

    def __str__(self) -> str:
        return f"{self.client}-{self.index}"


def captured() -> Iterator[Case]:
    for path in sorted(DATA.glob("*.json")):
        for index, request in enumerate(json.loads(path.read_text(encoding="utf-8"))["requests"]):
            yield Case(path.stem, index, request)


CASES = list(captured())
CALLS = [case for case in CASES if case.dialect and str(case) not in REFUSED]
OTHERS = [case for case in CASES if case.dialect is None]


def first_tool(body: Json) -> Step:
    """Call the first tool that arrived at the provider; answer in words where none did."""
    for tool in body.get("tools") or ():
        name = (tool.get("function") or tool).get("name")
        return Step(text="I call it.", tool=name, arguments={"input": "x"})
    return Step(text="Done.")


@dataclass(frozen=True)
class Way:
    """The gateway in front of a raw server on loopback that speaks one dialect."""

    bench: Bench
    scripted: Scripted

    async def send(self, request: Json, **scope: Any) -> Any:
        """Send one captured request as its client did; the client's model name is the role's."""
        self.scripted.seen.clear()
        body = request.get("body") or {}
        _, path = await self.bench.session(models={body.get("model", "ratchet"): "solver"}, **scope)
        url = request["path"] + (f"?{request['query']}" if "query" in request else "")
        # Values of headers are ASCII; what was random is not in the data.
        headers = {name: value.replace("…", "x") for name, value in request["headers"].items()}
        async with self.bench.http(path) as http:
            return await http.request(request["method"], url, headers=headers, json=request.get("body"))


@asynccontextmanager
async def gateway(native: str) -> AsyncIterator[Way]:
    scripted = Scripted(first_tool)
    server = Server(Config(scripted.app(), port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    base = f"http://127.0.0.1:{port}" + ("/v1" if native == "openai" else "")
    model = {"provider": native, "model": "real", "base_url": base, "api_key_env": "TEST_KEY", "attempts": 1}
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("TEST_KEY", "a-key")
            async with running({"solver": {**model, "context_window": 200_000, "max_output": MAX_OUTPUT}}) as bench:
                yield Way(bench, scripted)
    finally:
        server.should_exit = True
        await task


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["openai", "anthropic"])
async def way(request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    async with gateway(request.param) as made:
        yield made


def events(text: str) -> list[Json]:
    """The data of server-sent events."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def called(dialect: str, response: Any) -> tuple[list[tuple[str | None, str]], bool]:
    """The tools that an answer calls, with their namespaces, and whether the answer is complete."""
    streamed = response.headers["content-type"].startswith("text/event-stream")
    read = {"chat": _chat, "messages": _messages, "responses": _responses}[dialect]
    return read(events(response.text) if streamed else [response.json()], streamed=streamed)


def _chat(parts: list[Json], *, streamed: bool) -> tuple[list[tuple[str | None, str]], bool]:
    choices = [choice for part in parts for choice in part["choices"]]
    messages = [choice["delta" if streamed else "message"] for choice in choices]
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return [(None, call["function"]["name"]) for call in calls], any(choice["finish_reason"] for choice in choices)


def _messages(parts: list[Json], *, streamed: bool) -> tuple[list[tuple[str | None, str]], bool]:
    if not streamed:
        return _used(parts[0]["content"]), bool(parts[0]["stop_reason"])
    blocks = [part["content_block"] for part in parts if part["type"] == "content_block_start"]
    return _used(blocks), parts[-1]["type"] == "message_stop"


def _used(blocks: list[Json]) -> list[tuple[str | None, str]]:
    return [(None, block["name"]) for block in blocks if block["type"] == "tool_use"]


def _responses(parts: list[Json], *, streamed: bool) -> tuple[list[tuple[str | None, str]], bool]:
    final = parts[-1]["response"] if streamed else parts[0]
    calls = [item for item in final["output"] if item["type"] in ("function_call", "custom_tool_call")]
    return [(item.get("namespace"), item["name"]) for item in calls], final["status"] == "completed"


def known_tools(body: Json) -> set[tuple[str | None, str]]:
    """The tools that a client offers, with their namespaces."""
    inputs = body.get("input")
    items = inputs if isinstance(inputs, list) else []
    extra = [tool for item in items if item.get("type") == "additional_tools" for tool in item["tools"]]
    known: set[tuple[str | None, str]] = set()
    for tool in [*(body.get("tools") or ()), *extra]:
        inner = tool.get("tools")
        group = tool["name"] if inner else None
        known |= {(group, (one.get("function") or one).get("name", one.get("type"))) for one in inner or [tool]}
    return known


@pytest.mark.parametrize("case", CALLS, ids=str)
async def test_what_a_client_sends_is_answered_in_its_dialect(case: Case, way: Way) -> None:
    assert case.dialect is not None
    response = await way.send(case.request)
    assert response.status_code == 200, response.text[:500]
    body = case.request["body"]
    assert response.headers["content-type"].startswith("text/event-stream") is bool(body.get("stream"))
    tools, complete = called(case.dialect, response)
    assert complete
    known = known_tools(body)
    assert bool(tools) is bool(known)
    assert set(tools) <= known
    assert len(way.scripted.seen) == 1


OWN = {"chat": "openai", "messages": "anthropic"}
TOOL_HINTS = {"defer_loading", "eager_input_streaming"}


def spoken(body: Json) -> list[Json]:
    """What the model said, with its reasoning and its calls, and what its tools answered."""
    said: list[Json] = []
    for message in body["messages"]:
        if message["role"] in ("assistant", "tool"):
            said.append(message)
        elif isinstance(message["content"], list):
            said += [result(block) for block in message["content"] if block["type"] == "tool_result"]
    return said


def result(block: Json) -> Json:
    """A tool's result; a reference to a deferred tool, or a picture, may arrive as words: their place is compared."""
    words = isinstance(block["content"], str)
    return block if words else {**block, "content": len(block["content"])}


def without_hints(tool: Json) -> Json:
    return {name: value for name, value in tool.items() if name not in TOOL_HINTS}


@pytest.mark.parametrize(
    ("way", "case"), [(OWN[case.dialect], case) for case in CALLS if case.dialect in OWN], indirect=["way"], ids=str
)
async def test_reasoning_calls_and_tools_arrive_as_they_were_sent_in_the_providers_own_dialect(
    case: Case, way: Way
) -> None:
    response = await way.send(case.request)
    assert response.status_code == 200, response.text[:500]
    (seen,) = way.scripted.seen
    sent = case.request["body"]
    assert spoken(seen.body) == spoken(sent)
    assert seen.body.get("system") == sent.get("system")
    offered, given = seen.body.get("tools", ()), sent.get("tools", ())
    assert list(map(without_hints, offered)) == list(map(without_hints, given))


BUDGETS = [case for case in CALLS if (case.request["body"].get("thinking") or {}).get("budget_tokens")]


@pytest.mark.parametrize(("way", "case"), [("anthropic", case) for case in BUDGETS], indirect=["way"], ids=str)
async def test_a_budget_for_thinking_stays_below_the_limit_that_the_model_sets(case: Case, way: Way) -> None:
    response = await way.send(case.request)
    assert response.status_code == 200, response.text[:500]
    (seen,) = way.scripted.seen
    assert seen.body["thinking"]["budget_tokens"] < seen.body["max_tokens"] <= MAX_OUTPUT


@pytest.mark.parametrize("refused", sorted(REFUSED))
async def test_what_reaches_beyond_the_call_is_refused_by_name(refused: str, way: Way) -> None:
    case = next(case for case in CASES if str(case) == refused)
    response = await way.send(case.request)
    assert response.status_code == 400
    assert REFUSED[refused] in response.json()["error"]["message"]
    assert not way.scripted.seen


@pytest.mark.parametrize("case", OTHERS, ids=str)
async def test_what_a_client_asks_besides_does_not_break_its_trial(case: Case, way: Way) -> None:
    response = await way.send(case.request)
    if case.request["path"].endswith("/count_tokens"):
        assert response.status_code == 200, response.text[:500]
        assert response.json()["input_tokens"] > 0
    assert response.status_code < 500


def _as_another_process(body: Json) -> Json:
    """The same request with everything changed that is random in each process."""
    changed: Json = json.loads(json.dumps(body))
    if "metadata" in changed:
        changed["metadata"]["user_id"] = "somebody else"
    if "client_metadata" in changed:
        changed["client_metadata"] = dict.fromkeys(changed["client_metadata"], "another")
    if "prompt_cache_key" in changed:
        changed["prompt_cache_key"] = "another"
    for item in changed["input"] if isinstance(changed.get("input"), list) else ():
        if item.get("id") == "…":
            item["id"] = "another"
    return changed


RANDOM = [case for case in CALLS if _as_another_process(case.request["body"]) != case.request["body"]]


@pytest.mark.parametrize("case", RANDOM, ids=str)
async def test_what_is_random_in_each_process_does_not_make_another_question(case: Case, way: Way) -> None:
    other = {**case.request, "body": _as_another_process(case.request["body"])}
    asked = []
    for request in (case.request, other):
        response = await way.send(request, answer_scope=str(case))
        assert response.status_code == 200, response.text[:500]
        asked.append(len(way.scripted.seen))
    assert asked == [1, 0]
