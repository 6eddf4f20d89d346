"""Answers that several writers write by hand, for live campaigns (`bench.live.hands`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.live import hands

TEXT = """%%% content
I look first.
%%% call shell
%%% arg command
ls
cat x
%%% json seconds
60
%%% end
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("inbox", "outbox", "claims"):
        (tmp_path / part).mkdir()
    return tmp_path


def ask(folder: Path, n: int, *said: hands.Message) -> None:
    hands.put(folder / "inbox" / f"{n}.json", {"model": "m", "messages": [{"role": "user", "content": "go"}, *said]})


def test_an_answer_is_text_and_calls_under_marks() -> None:
    answer = hands.answer_of(TEXT)
    assert answer == {
        "content": "I look first.",
        "calls": [{"name": "shell", "arguments": {"command": "ls\ncat x", "seconds": 60}}],
    }


@pytest.mark.parametrize("text", ["", "no mark", "%%% arg command\nls", "%%% cal shell"])
def test_text_without_the_marks_of_an_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="answer"):
        hands.answer_of(text)


def test_a_conversation_stays_with_its_writer_when_the_gateway_renames_calls(folder: Path) -> None:
    ask(folder, 1)
    assert hands.take(folder, "a") == 1
    assert hands.take(folder, "b") is None
    hands.reply(folder, "a", 1, TEXT)
    message = hands.completion(1, {"model": "m"}, hands.answer_of(TEXT))["choices"][0]["message"]
    message["tool_calls"][0]["id"] = "renamed"
    ask(folder, 2, message)
    assert hands.take(folder, "b") is None
    assert hands.take(folder, "a") == 2
    assert hands.continued(folder, 2, "a") == ("a", 1)


def test_a_request_is_answered_once_and_by_its_writer(folder: Path) -> None:
    ask(folder, 1)
    assert hands.take(folder, "a") == 1
    with pytest.raises(ValueError, match="does not wait for an answer of b"):
        hands.reply(folder, "b", 1, TEXT)
    hands.reply(folder, "a", 1, TEXT)
    with pytest.raises(ValueError, match="does not wait"):
        hands.reply(folder, "a", 1, TEXT)
