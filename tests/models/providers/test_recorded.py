"""A recorded campaign: each question gets the answer that it got, and one that was never asked stops everything."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import UserError
from agent.models.ports import BadCall, OutOfService, Question, proposal_name
from agent.models.providers import recorded
from agent.models.providers.recorded import Answer, Recorded, last_of, name_of
from agent.models.providers.replay import ReplayProvider


def asked(
    text: str, *turns: dict[str, Any], scope: str | None = "search:t:0", k: int = 0, trial: str = "x"
) -> Question:
    body = {"messages": [{"role": "user", "content": text}, *turns]}
    return Question(body=body, trial=trial, answer_scope=scope, key=f"key of {text}", k=k)


def answered(question: Question, text: str, status: int = 200) -> Answer:
    scope, key, k = name_of(question.trial, question.answer_scope, question.key, question.k, question.body)
    message = {"role": "assistant", "content": text}
    body = {"choices": [{"message": message}]} if status == 200 else {"error": {"message": text, "code": "too_long"}}
    return Answer(scope=scope, key=key, k=k, status=status, asked=last_of(question.body), answer=body)


def provider(*answers: Answer) -> ReplayProvider:
    return ReplayProvider(Recorded(answers))


async def said(replay: ReplayProvider, question: Question) -> Any:
    return (await replay.ask(question))["choices"][0]["message"]["content"]


def used(tool: str, result: str, call: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An assistant's turn that uses a tool, and what the tool returned."""
    function = {"name": tool, "arguments": "{}"}
    calls = [{"id": call, "type": "function", "function": function}]
    return (
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": call, "content": result},
    )


async def test_a_question_gets_the_answer_of_its_scope_and_occurrence_in_whatever_order_they_come() -> None:
    questions = [asked("a", scope=scope, k=k) for scope in ("search:t:0", "gate:1:0") for k in (0, 1)]
    replay = provider(*(answered(question, f"{question.answer_scope} {question.k}") for question in questions))
    for question in reversed(questions):
        assert await said(replay, question) == f"{question.answer_scope} {question.k}"
    await replay.probe()


async def test_an_improver_is_answered_by_proposal_and_turn_whatever_it_is_told() -> None:
    names = [proposal_name(42) for _ in range(3)]
    assert len(set(names)) == len(names)
    first = asked("improve", scope=None, trial=names[0])
    second = asked("improve", *used("shell", "load 0.1", "c1"), scope=None, trial=names[0])
    replay = provider(answered(first, "look"), answered(second, "write"))
    again = asked("improve yourself", *used("shell", "load 9.9", "c7"), scope=None, trial=names[1])
    assert await said(replay, asked("improve", scope=None, trial=names[1])) == "look"
    assert await said(replay, again) == "write"
    with pytest.raises(OutOfService):
        await replay.ask(asked("improve", *used("search", "load 0.1", "c1"), scope=None, trial=names[2]))
    with pytest.raises(OutOfService):
        await provider(answered(first, "look")).ask(asked("improve", scope=None, trial=proposal_name(43)))


async def test_what_the_box_gets_of_an_answer_is_its_own_copy() -> None:
    replay = provider(answered(asked("a"), "kept"))
    (await replay.ask(asked("a")))["choices"].clear()
    assert await said(replay, asked("a")) == "kept"


async def test_a_recorded_refusal_is_a_refusal_again() -> None:
    with pytest.raises(BadCall, match="too much") as refused:
        await provider(answered(asked("a"), "too much", status=400)).ask(asked("a"))
    assert (refused.value.status, refused.value.code) == (400, "too_long")


@pytest.mark.parametrize(
    ("question", "difference"),
    [
        (asked("Write the file f.py now"), "asks 'Write the file f.py now' where 'Write a file f.py' was asked"),
        (asked("Write a file f.py", k=3), "as before, but more often, or with other parameters or messages"),
        (asked("x", scope="gate:9:9"), "nothing is recorded of gate:9:9, where 'x' is asked"),
    ],
)
async def test_a_question_that_was_never_asked_is_named_and_ends_the_service(
    question: Question, difference: str
) -> None:
    replay = provider(answered(asked("Write a file f.py"), "a"))
    with pytest.raises(OutOfService, match="says how to record it again") as missing:
        await replay.ask(question)
    assert difference in str(missing.value)
    with pytest.raises(OutOfService):
        await replay.probe()


async def test_the_gateway_does_not_wait_for_a_recording_that_has_no_answer(run_gateway: Any, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl.xz"
    with lzma.open(path, "wt") as out:
        out.write(answered(asked("a"), "a").model_dump_json())
    async with run_gateway({"solver": {"provider": "replay", "recording": str(path)}}) as bench:
        session, socket = await bench.session(answer_scope="search:t:0")
        with pytest.raises(Exception, match="not available"):
            await bench.openai(socket).chat.completions.create(
                model="small", messages=[{"role": "user", "content": "something else"}]
            )
        assert "has no answer" in str(session.fault)
        assert "has no answer" in str(bench.gateway.trouble())
        with pytest.raises(OutOfService):
            await bench.gateway.ready()


@pytest.mark.parametrize("data", [b"", b"xz", lzma.compress(b"{}\n"), lzma.compress(b"\xff\n"), lzma.compress(b"[")])
def test_a_file_that_is_not_a_recording_is_the_user_s_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "answers.jsonl.xz"
    path.write_bytes(data)
    with pytest.raises(UserError, match="is not a recording"):
        recorded.load(path)


def test_a_missing_recording_is_the_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        recorded.load(tmp_path / "answers.jsonl.xz")


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, one = tmp_path / "answers.jsonl.xz", answered(asked("é\n"), "ü")
    with lzma.open(path, "wt", encoding="utf-8") as out:
        out.write(json.dumps(json.loads(one.model_dump_json())) + "\n")
    assert recorded.load(path).find(asked("é\n")) == one
