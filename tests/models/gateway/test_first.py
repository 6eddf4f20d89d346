"""A role whose first answers are all useless is named, once, with the likely cause."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from agent.models.gateway.first import LOOKED_AT
from agent.models.ports import Json
from agent.models.providers.parameters import MemoryLearned
from tests.models.servers import at, chat, serving

THOUGHT = chat("", reasoning_content="hm")


class Heard(MemoryLearned):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def note(self, model: str, left_out: Collection[str]) -> None:
        """Not of interest."""


async def warned(run_gateway: Any, answers: list[Any], calls: int) -> list[str]:
    heard, left = Heard(), iter(answers)

    def answer(body: Json, _: str) -> Any:
        return next(left) if body["messages"][0]["content"].startswith("x") else (200, chat())

    async with serving(answer) as server, run_gateway(at(server, attempts=1), learned=heard) as bench:
        _, path = await bench.session()
        async with bench.http(path) as http:
            for number in range(calls):
                body = {"model": "small", "messages": [{"role": "user", "content": f"x {number}"}]}
                await http.post("/v1/chat/completions", json=body)
    return heard.warnings


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((200, chat("")), "openai/m answered with an empty text"),
        ((200, THOUGHT), "openai/m answered nothing but reasoning: turn its thinking off"),
        ((400, {"error": {"message": "no such template"}}), "openai/m refused the request: no such template"),
        ((500, {"error": {"message": "grammar"}}), "openai/m refused the request: the provider works, but not on this"),
    ],
)
async def test_first_answers_that_are_all_useless_are_named_once(run_gateway: Any, answer: Any, cause: str) -> None:
    (said,) = await warned(run_gateway, [answer] * 20, LOOKED_AT + 2)
    assert said.startswith("models.solver: none of the first 5 answers is of use; ")
    assert cause in said


async def test_one_answer_of_use_among_the_first_is_enough(run_gateway: Any) -> None:
    answers = [(200, chat("")), (200, chat("green")), *[(200, chat(""))] * 10]
    assert await warned(run_gateway, answers, LOOKED_AT + 2) == []
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tools = [(200, chat(None, "tool_calls", tool_calls=[call])), *[(200, chat(""))] * 10]
    assert await warned(run_gateway, tools, LOOKED_AT + 2) == []
