"""Ids and times that a client prints before the output of its tools."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.models.dialects.rules import identity, sieve
from agent.models.dialects.stamps import NAME, blurred
from agent.models.ports import Dialect

CODEX = "Chunk ID: {}\nWall time: {} seconds\nProcess exited with code 0\nOriginal token count: 1\nOutput:\n{}\n"


def asked(*outputs: Any) -> dict[str, Any]:
    call = {"type": "function_call", "call_id": "a", "name": "run", "arguments": "{}"}
    results = [{"type": "function_call_output", "call_id": "a", "output": output} for output in outputs]
    return {"model": "m", "input": [{"role": "user", "content": "go"}, call, *results]}


def test_two_boxes_whose_commands_differ_in_id_and_time_alone_ask_one_question_and_send_the_same() -> None:
    one, other = asked(CODEX.format("5019c9", "0.0000", "x")), asked(CODEX.format("cac82f", "0.9713", "x"))
    assert identity(Dialect.RESPONSES, one) == identity(Dialect.RESPONSES, other)
    assert sieve(Dialect.RESPONSES, one, ()) == sieve(Dialect.RESPONSES, other, ())
    assert sieve(Dialect.RESPONSES, one, ())[1] == [NAME]


def test_what_the_command_printed_is_part_of_the_question() -> None:
    one, other = asked(CODEX.format("5019c9", "0.1", "x")), asked(CODEX.format("5019c9", "0.1", "y"))
    assert identity(Dialect.RESPONSES, one) != identity(Dialect.RESPONSES, other)


def test_a_long_time_is_told_by_powers_of_two() -> None:
    def told(seconds: str) -> str:
        item = blurred([{"type": "function_call_output", "output": f"Exit code: 1\nWall time: {seconds} seconds\nOut"}])
        return str(item[0][0]["output"])

    assert told("0.99") == "Exit code: 1\nWall time: under 1 second\nOut"
    assert told("1") == "Exit code: 1\nWall time: 1 to 2 seconds\nOut"
    assert told("90.2") == told("127.9") == "Exit code: 1\nWall time: 64 to 128 seconds\nOut"


def test_parts_of_a_result_are_read_as_well() -> None:
    part = {"type": "input_text", "text": "Wall time: 3.2 seconds\nhello"}
    item = {"type": "custom_tool_call_output", "call_id": "a", "output": [part]}
    made, found = blurred([item])
    assert found
    assert made[0]["output"] == [{**part, "text": "Wall time: 2 to 4 seconds\nhello"}]


def test_the_marks_are_carried_where_the_model_passes_them_on() -> None:
    body = asked(CODEX.format("5019c9", "0.1", "x"))
    assert sieve(Dialect.RESPONSES, body, {NAME}) == (body, [])


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_else_an_output_is_stays_as_it_is(output: Any) -> None:
    items = [{"type": "function_call_output", "call_id": "a", "output": output}, output]
    assert blurred(items) == (items, False)
