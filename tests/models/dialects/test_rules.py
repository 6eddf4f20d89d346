"""What is carried, left out, refused, and what of a request says what is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.config.models import BEYOND_THE_CALL, ModelConfig
from agent.models.dialects import translate
from agent.models.dialects.formats import FORMATS
from agent.models.dialects.rules import RULES, identity
from agent.models.ports import BadCall, Dialect, Json
from agent.models.providers.scripted import ScriptedProvider

USER = [{"role": "user", "content": "x"}]
BODIES: dict[Dialect, Json] = {
    Dialect.CHAT: {"model": "m", "messages": USER},
    Dialect.MESSAGES: {"model": "m", "max_tokens": 5, "messages": USER},
    Dialect.RESPONSES: {"model": "m", "input": USER},
}
CHAT = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}
CLAUDE = {"provider": "anthropic", "model": "m"}
MODELS = {Dialect.CHAT: CHAT, Dialect.MESSAGES: CLAUDE}


def carry(dialect: Dialect, native: Dialect, more: Json, **model: Any) -> translate.Carried:
    body = {**BODIES[dialect], **more}
    FORMATS[dialect].check(body)
    return translate.carry(dialect, native, body, ModelConfig.model_validate({**MODELS[native], **model}), 5)


@pytest.mark.parametrize("native", MODELS)
@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_is_not_known_is_left_out_named_and_carried_where_the_model_passes_it(
    dialect: Dialect, native: Dialect
) -> None:
    unknown = {"novel": {"edits": [1]}}
    without = carry(dialect, native, unknown)
    assert (without.left_out, "novel" in without.body) == (("novel",), False)
    passed = carry(dialect, native, unknown, **{"pass": ["novel"]})
    assert (passed.left_out, passed.body["novel"]) == ((), unknown["novel"])


@pytest.mark.parametrize(
    ("dialect", "native", "more", "left"),
    [
        (Dialect.MESSAGES, Dialect.MESSAGES, {"context_management": {"edits": []}}, ["context_management"]),
        (Dialect.MESSAGES, Dialect.CHAT, {"thinking": {"type": "adaptive"}}, ["thinking"]),
        (Dialect.MESSAGES, Dialect.CHAT, {"thinking": {"type": "disabled"}}, []),
        (Dialect.MESSAGES, Dialect.MESSAGES, {"thinking": {"type": "adaptive"}}, []),
        (
            Dialect.MESSAGES,
            Dialect.MESSAGES,
            {"tools": [{"name": "t", "input_schema": {}, "defer_loading": True, "eager_input_streaming": True}]},
            ["tools[].defer_loading", "tools[].eager_input_streaming"],
        ),
        (Dialect.RESPONSES, Dialect.CHAT, {"client_metadata": {"a": "b"}}, ["client_metadata"]),
        (Dialect.RESPONSES, Dialect.CHAT, {"include": ["reasoning.encrypted_content"]}, []),
        (
            Dialect.RESPONSES,
            Dialect.CHAT,
            {"include": ["file_search_call.results"]},
            ["include[file_search_call.results]"],
        ),
        (Dialect.RESPONSES, Dialect.CHAT, {"reasoning": {"effort": "low", "summary": "auto"}}, ["reasoning.summary"]),
        (Dialect.CHAT, Dialect.MESSAGES, {"seed": 3, "metadata": {}}, ["metadata", "seed"]),
        (Dialect.CHAT, Dialect.CHAT, {"seed": 3, "store": False}, []),
    ],
)
def test_hints_are_left_out_and_named(dialect: Dialect, native: Dialect, more: Json, left: list[str]) -> None:
    assert sorted(carry(dialect, native, more).left_out) == sorted(left)


@pytest.mark.parametrize(
    ("dialect", "more", "named"),
    [
        (Dialect.CHAT, {"store": True}, "`store`"),
        (Dialect.CHAT, {"plugins": [{"id": "web"}]}, "`plugins`"),
        (Dialect.CHAT, {"models": ["a", "b"]}, "`models`"),
        (Dialect.MESSAGES, {"mcp_servers": [{}]}, "`mcp_servers`"),
        (Dialect.MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "w"}]}, r"`tools\[0\].type`"),
        (Dialect.MESSAGES, {"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "of type 'document'"),
        (Dialect.RESPONSES, {"tools": [{"type": "web_search"}]}, r"`tools\[0\].type` 'web_search'.*drop: \[tools.web"),
        (Dialect.RESPONSES, {"prompt": {"id": "p"}}, "`prompt`"),
        (Dialect.RESPONSES, {"input": [{"type": "item_reference", "id": "x"}]}, "of type 'item_reference'"),
    ],
)
@pytest.mark.parametrize("native", MODELS)
def test_what_reaches_beyond_the_call_is_refused_by_name(
    dialect: Dialect, native: Dialect, more: Json, named: str
) -> None:
    with pytest.raises(BadCall, match=named):
        carry(dialect, native, more)


def test_the_configuration_knows_what_reaches_beyond_the_call() -> None:
    refused = {name for rules in RULES.values() for name in rules.beyond}
    known = {name for rules in RULES.values() for name in rules.known}
    assert refused - known <= BEYOND_THE_CALL <= refused


def test_a_type_of_tool_that_the_model_drops_is_left_out() -> None:
    tools = [{"type": "web_search"}, {"type": "function", "name": "run", "parameters": {}}]
    made = carry(Dialect.RESPONSES, Dialect.CHAT, {"tools": tools}, drop=["tools.web_search"])
    assert [tool["function"]["name"] for tool in made.body["tools"]] == ["run"]
    assert made.left_out == ("tools.web_search",)


def test_a_later_system_message_is_carried_to_every_provider() -> None:
    told = [*USER, {"role": "system", "content": [{"type": "text", "text": "note"}]}]
    there = carry(Dialect.MESSAGES, Dialect.CHAT, {"messages": told}).body["messages"]
    assert there[1] == {"role": "system", "content": "note"}
    native = carry(Dialect.MESSAGES, Dialect.MESSAGES, {"messages": told}).body["messages"]
    assert native[1] == {"role": "user", "content": "<system>\nnote\n</system>"}
    beta = carry(Dialect.MESSAGES, Dialect.MESSAGES, {"messages": told}, **{"pass": ["anthropic-beta"]})
    assert beta.body["messages"] == told
    chat = carry(Dialect.CHAT, Dialect.MESSAGES, {"messages": told}).body["messages"]
    assert chat[0]["content"][1]["text"] == "<system>\nnote\n</system>"


def test_tools_in_namespaces_and_custom_tools_are_carried_and_come_back() -> None:
    tools = [
        {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "get", "parameters": {}}]},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
    ]
    made = carry(Dialect.RESPONSES, Dialect.CHAT, {"tools": tools}).body
    assert [tool["function"]["name"] for tool in made["tools"]] == ["mcp__get", "patch"]
    assert "lark grammar:\nstart: X" in made["tools"][1]["function"]["description"]
    given = [("a", "mcp__get", "{}"), ("b", "patch", '{"input": "*** go"}'), ("c", "patch", "no json")]
    calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in given]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    reply = {"id": "r", "choices": [{"message": message, "finish_reason": "tool_calls"}]}
    output = translate.answer(Dialect.CHAT, Dialect.RESPONSES, reply, {"tools": tools})["output"]
    assert [(item["type"], item["name"], item.get("namespace")) for item in output] == [
        ("function_call", "get", "mcp"),
        ("custom_tool_call", "patch", None),
        ("custom_tool_call", "patch", None),
    ]
    assert [item.get("input") for item in output] == [None, "*** go", "no json"]
    results = [{"type": "custom_tool_call_output", "call_id": "b", "output": "ok"}]
    again = carry(Dialect.RESPONSES, Dialect.CHAT, {"input": [*USER, *output[:2], *results], "tools": tools}).body
    assert again["messages"][1]["tool_calls"] == calls[:2]
    b"".join(FORMATS[Dialect.RESPONSES].events({"status": "completed", "output": output}, {}))


RANDOM: dict[Dialect, Json] = {
    Dialect.CHAT: {"user": "u1", "prompt_cache_key": "k1", "metadata": {"session": "s1"}, "novel": 1},
    Dialect.MESSAGES: {"metadata": {"user_id": "u1"}, "context_management": {"edits": []}},
    Dialect.RESPONSES: {"client_metadata": {"s": "1"}, "prompt_cache_key": "k1", "reasoning": {"summary": "auto"}},
}


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_clients_fill_at_random_is_not_part_of_a_question(dialect: Dialect) -> None:
    with_it = {**BODIES[dialect], **RANDOM[dialect], "stream": True}
    same = identity(dialect, with_it)
    assert {name: value for name, value in same.items() if value != {}} == BODIES[dialect]


def test_what_a_model_passes_on_is_part_of_a_question() -> None:
    body = {**BODIES[Dialect.CHAT], "novel": 1, "user": "u"}
    assert identity(Dialect.CHAT, body, {"novel", "user"}) == {**BODIES[Dialect.CHAT], "novel": 1}


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_names_that_a_process_gives_its_calls_are_not_part_of_a_question(dialect: Dialect) -> None:
    def told(first: str, second: str) -> Json:
        if dialect is Dialect.RESPONSES:
            call = {"type": "function_call", "id": f"fc{first}", "call_id": first, "name": "run", "arguments": "{}"}
            done = {"type": "function_call_output", "call_id": first, "output": "id"}
            return {"input": [call, done, {**call, "call_id": second}]}
        if dialect is Dialect.MESSAGES:
            use = {"type": "tool_use", "id": first, "name": "run", "input": {"id": "kept"}}
            done = {"type": "tool_result", "tool_use_id": first, "content": "id"}
            return {"messages": [{"role": "assistant", "content": [use, {**use, "id": second}, done]}]}
        function = {"name": "run", "arguments": '{"id": "kept"}'}
        calls = [{"id": ident, "type": "function", "function": function} for ident in (first, second)]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        return {"messages": [message, {"role": "tool", "tool_call_id": first, "content": "id"}]}

    def name(first: str, second: str) -> Json:
        return identity(dialect, {**BODIES[dialect], **told(first, second)})

    assert name("a1", "b2") == name("x9", "y8")
    assert name("a1", "b2") != name("a1", "a1"), "which call a result belongs to does matter"
    assert "kept" in str(name("a", "b")) or dialect is Dialect.RESPONSES


def test_prompts_are_cached_at_anthropic_where_that_pays() -> None:
    long = {"messages": [{"role": "user", "content": "x" * 10_000}]}
    tools = {"tools": [{"type": "function", "function": {"name": "run"}}]}

    def marked(more: Json, **model: Any) -> bool:
        return "cache_control" in carry(Dialect.CHAT, Dialect.MESSAGES, more, **model).body

    assert marked({**long, **tools})
    assert not marked(long), "nothing says that this prompt is read again"
    assert not marked(tools), "too short to be cached"
    assert not marked({**long, **tools}, base_url="http://127.0.0.1:1")
    assert not marked({**long, **tools}, prompt_cache=False)
    assert marked({}, prompt_cache=True)


async def test_names_that_a_box_makes_up_break_no_header(run_gateway: Any, scripted_models: Any) -> None:
    made_up = {"\u00e4\r\nx-evil: 1": 1, "n" * 10_000: 1} | {f"name{i}": 1 for i in range(500)}
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        session, path = await bench.session()
        async with bench.http(path) as http:
            body = json.dumps({"model": "small", "messages": USER, **made_up})
            reply = await http.post("/v1/chat/completions", content=body)
    assert reply.status_code == 200
    assert "x-evil" not in reply.headers
    assert len(reply.headers["x-ratchet-left-out"]) < 4096
    assert session.fault is None
