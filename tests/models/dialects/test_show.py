"""Recorded calls, as a person reads them."""

from __future__ import annotations

from typing import Any

from agent.models.dialects import show
from agent.models.ports import Json
from agent.models.providers.scripted import Line, ScriptedProvider, ToolUse


def answer(body: Json) -> str | Line:
    return Line(tools=(ToolUse(name="run", arguments={"x": 1}),)) if body.get("tools") else "fine weather"


async def test_calls_of_every_dialect_are_readable(run_gateway: Any, scripted_models: Any) -> None:
    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(answer)}) as bench:
        _, path = await bench.session(trial="trial-1")
        ask = [{"role": "system", "content": "brief"}, {"role": "user", "content": "hello there"}]
        client = bench.openai(path)
        await client.chat.completions.create(model="small", messages=ask, temperature=0.5)
        await client.responses.create(model="small", instructions="brief", input="hello there")
        tools = [{"name": "run", "input_schema": {"type": "object"}}]
        await bench.anthropic(path).messages.create(
            model="small", max_tokens=5, system="brief", messages=ask[1:], tools=tools
        )
    texts = [show.conversation(call) for call in bench.record.calls]
    assert all("hello there" in text and "--- system\nbrief" in text for text in texts)
    assert "temperature: 0.5" in texts[0]
    assert texts[0].endswith("--- answer\nfine weather\n")
    assert texts[1].endswith("--- answer\nfine weather\n")
    assert '"name": "run"' in texts[2]
    row = show.row(bench.record.calls[0])
    assert (row["trial"], row["source"], row["answer"]) == ("trial-1", "fresh", "fine weather")
