"""A trial's calls as a transcript: every message once, whatever the dialect; refusals with their reason; bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.refusal import Refusal
from agent.base.types import Call
from agent.models.dialects import turns
from agent.models.dialects.transcript import TRANSCRIPT_CHARS, steps, transcript, with_output
from agent.models.ports import Json
from agent.models.providers.scripted import Line, ScriptedProvider, ToolUse

TOOL = {"type": "object", "properties": {"x": {"type": "integer"}}}


def recorded(request: Any, response: Any, status: int = 200, *, fresh: bool = True) -> Call:
    return Call(
        trial="t", role="solver", model="p/m", key="k", k=0, answer_scope=None, fresh=fresh,
        request=json.dumps(request).encode(), response=json.dumps(response).encode(), status=status,
        tokens_in=3, tokens_out=2, dollars=None, seconds=0.5, retries=0,
    )  # fmt: skip


def chat(*said: str, status: int = 200, answer: str = "fine") -> Call:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    reply: Json = {"choices": [{"message": {"role": "assistant", "content": answer}}]}
    return recorded({"messages": messages}, reply if status == 200 else {"error": {"message": answer}}, status)


def answer(body: Json) -> str | Line:
    said = json.dumps(body)
    return (
        "done" if "forty-two" in said else Line(reply="let me look", tools=(ToolUse(name="run", arguments={"x": 1}),))
    )


async def by_chat(bench: Any, path: Any) -> None:
    client = bench.openai(path)
    messages: list[Any] = [{"role": "system", "content": "brief"}, {"role": "user", "content": "count"}]
    tools: Any = [{"type": "function", "function": {"name": "run", "parameters": TOOL}}]
    first = await client.chat.completions.create(model="small", messages=messages, tools=tools)
    message = first.choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "forty-two"}
    messages += [message.model_dump(exclude_none=True), result]
    await client.chat.completions.create(model="small", messages=messages, tools=tools)


async def by_messages(bench: Any, path: Any) -> None:
    client = bench.anthropic(path)
    ask: Any = {"model": "small", "max_tokens": 50, "system": "brief", "tools": [{"name": "run", "input_schema": TOOL}]}
    messages: list[Any] = [{"role": "user", "content": "count"}]
    first = await client.messages.create(messages=messages, **ask)
    use = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "forty-two"}]}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    await client.messages.create(messages=messages, **ask)


async def by_responses(bench: Any, path: Any) -> None:
    client = bench.openai(path)
    ask: Any = {
        "model": "small",
        "instructions": "brief",
        "tools": [{"type": "function", "name": "run", "parameters": TOOL, "strict": False}],
    }
    items: list[Any] = [{"role": "user", "content": "count"}]
    first = await client.responses.create(input=items, **ask)
    use = next(item for item in first.output if item.type == "function_call")
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items.append({"type": "function_call_output", "call_id": use.call_id, "output": "forty-two"})
    await client.responses.create(input=items, **ask)


@pytest.mark.parametrize("talk", [by_chat, by_messages, by_responses])
async def test_every_message_of_every_dialect_is_shown_once(run_gateway: Any, scripted_models: Any, talk: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(answer)}) as bench:
        _, path = await bench.session(trial="trial-1")
        await talk(bench, path)
        calls = bench.record.calls
    first, second = steps(calls)
    assert [(turn.role, turn.text) for turn in first.new] == [("system", "brief"), ("user", "count")]
    assert [(tool.name, tool.arguments) for turn in first.answers for tool in turn.tools] == [("run", '{"x": 1}')]
    assert [turn.text for turn in first.answers] == ["let me look"]
    assert [(turn.role, turn.text) for turn in second.new] == [("tool", "forty-two")]
    assert second.new[0].answers == first.answers[0].tools[0].id
    assert (second.again, [turn.text for turn in second.answers]) == (3, ["done"])
    assert turns.tools_offered(calls[0])[0]["function"]["name"] == "run"
    shown = transcript(calls)
    assert [shown.count(word) for word in ("brief", "count", "let me look", "forty-two", "done")] == [1] * 5


def test_an_answer_that_was_not_sent_back_and_one_that_was_said_twice_are_both_shown() -> None:
    _, again, twice = steps([chat("a"), chat("a"), chat("a", "fine", "a")])
    assert (again.new, again.again) == ((), 1)
    assert [turn.text for turn in twice.new] == ["a"], "the second `a` is another message"


def test_a_refused_call_is_shown_with_its_reason() -> None:
    [step] = steps([chat("a", status=403, answer="this box's cap on calls\ndoes not allow the call")])
    assert step.refusal == "403 this box's cap on calls does not allow the call"
    assert "--- refused\n403 this box's cap" in transcript([step.call])
    unkept = recorded({"dialect": "chat", "model": "solver", "left_out_bytes": 70000}, {"error": "no"}, 400)
    assert "70000 bytes of a refused request" in transcript([unkept])
    assert "400 no" in transcript([unkept])


def test_a_long_transcript_keeps_its_first_and_last_calls() -> None:
    calls = [chat(f"question {n} " + "x" * 1000, answer=f"answer {n}") for n in range(200)]
    shown = transcript(calls)
    assert len(shown) < TRANSCRIPT_CHARS + 1000
    assert "question 0 " in shown
    assert "answer 199" in shown
    assert "calls left out" in shown
    assert len(transcript([chat("y" * 10**6)])) < 10_000


def test_calls_that_the_gateway_refused_are_listed_with_their_reason_and_number() -> None:
    cap = Refusal(trial="t", path="/v1/messages", status=403, code="cap_exhausted", reason="8 of 8 used", times=3)
    shown = with_output([chat("a")], [cap], "a fine")
    assert "refused without asking a model\n403 cap_exhausted: 8 of 8 used (3 times)" in shown
    assert "cap_exhausted" in with_output([], [cap], "bye")


def test_what_the_agent_printed_stands_last() -> None:
    assert with_output([], [], "only this") == "only this"
    shown = with_output([chat("a")], [], "bye")
    assert shown.index("from the record") < shown.index("fine") < shown.index("printed\n\nbye")
    assert "printed" not in with_output([chat("a")], [], " \n")


def test_calls_are_left_out_where_the_agent_printed_all_of_them() -> None:
    calls = [chat("count to two"), chat("count to two", "fine", "now")]
    whole = "asked: count to two; said: fine; asked: now"
    assert with_output(calls, [], whole) == whole
    assert "from the record" in with_output(calls, [], "asked: count to two; said: fine")
    assert "from the record" in with_output([*calls, chat("now", status=403, answer="no")], [], whole)


SHAPES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["\ud800", '{"a": "\\\\ud800"}']),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "input", "system", "role", "content", "type", "text", "tool_calls", "function", "name",
             "arguments", "output", "choices", "message", "error", "tools", "call_id", "reasoning", "summary"]
        )
        | st.text(max_size=3),
        inner | st.sampled_from(["tool_use", "tool_result", "function_call", "x_output", "reasoning", "assistant"]),
        max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


@given(SHAPES, SHAPES, st.sampled_from([200, 403]))
def test_no_shape_of_a_record_raises(request: Any, response: Any, status: int) -> None:
    call = recorded(request, response, status)
    assert transcript([call, call]).encode()
    assert isinstance(turns.tools_offered(call), list)
    assert isinstance(transcript([chat(), recorded({"messages": [{"content": [[[[]]]] * 2}]}, None)]), str)
