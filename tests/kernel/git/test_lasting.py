"""Git processes that live on: they are replaced when they die, and end with the one that asks them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.errors import RecordBroken
from agent.kernel.git.lasting import Lasting, exactly, line

Make = Callable[[str], Lasting]


@pytest.fixture
def program(tmp_path: Path) -> Make:
    def make(text: str) -> Lasting:
        return Lasting("echo", ["/bin/sh", "-c", text], tmp_path, dict(os.environ))

    return make


ECHO = "while read -r asked; do echo $$ $asked; done"


def asked(one: Lasting, what: str = "x") -> tuple[int, str]:
    pid, said = one.ask(f"{what}\n".encode(), line).decode().split(" ", 1)
    return int(pid), said


def test_one_process_answers_one_request_after_another(program: Make) -> None:
    echo = program(ECHO)
    (first, said), (second, more) = asked(echo, "a"), asked(echo, "b")
    assert (first, said, more) == (second, "a", "b")


def test_a_process_that_was_killed_is_replaced_and_asked_again(program: Make) -> None:
    echo = program(ECHO)
    first, _ = asked(echo)
    os.kill(first, signal.SIGKILL)
    second, said = asked(echo)
    assert (said, second != first) == ("x", True)


def test_a_process_that_ends_over_a_request_is_a_broken_record_with_its_last_words(program: Make) -> None:
    with pytest.raises(RecordBroken, match="git echo failed: no such thing"):
        program("echo no such thing >&2").ask(b"x\n", line)


def test_an_answer_that_is_cut_short_is_a_broken_record(program: Make) -> None:
    with pytest.raises(RecordBroken, match="git echo failed"):
        program("read -r asked; printf abc").ask(b"x\n", lambda out: exactly(out, 4))


def test_what_is_left_of_an_answer_is_never_taken_for_the_next_one(program: Make) -> None:
    echo = program(ECHO)
    with pytest.raises(ZeroDivisionError):
        echo.ask(b"x\ny\n", lambda _: 1 // 0)
    assert asked(echo, "z")[1] == "z"


def test_a_program_that_is_not_there_is_a_broken_record(tmp_path: Path) -> None:
    with pytest.raises(RecordBroken, match="git cannot be run"):
        Lasting("x", ["/nonexistent/git"], tmp_path, {}).ask(b"", line)


def test_a_process_is_out_of_reach_of_the_terminal_and_ends_with_its_owner(program: Make) -> None:
    echo = program(ECHO)
    pid, _ = asked(echo)
    assert os.getpgid(pid) != os.getpgid(0)
    del echo
    gc.collect()
    assert subprocess.run(["/bin/ps", "-p", str(pid)], capture_output=True, check=False).returncode
