"""How Python reads a source."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.parsing import FINDINGS, Reading, answer, read

SOURCES = st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))


@pytest.mark.parametrize(
    ("source", "fault", "line"),
    [
        (b"x = 1\n", None, 0),
        (b"", None, 0),
        (b"a = 1\ndef f(:\n", "is not valid Python", 2),
        (b"# coding: latin-1\n", "declares the encoding iso-8859-1, not UTF-8", 0),
        (b"# coding: nonsense\n", "is not valid Python", 0),
        (b"(" * 50 + b"\x00", "is not valid Python", 0),
        (b"-" * 50_000 + b"1", "is nested too deeply", 0),
    ],
)
def test_a_fault_is_given_in_words_with_its_line(source: bytes, fault: str | None, line: int) -> None:
    reading = read(source)
    assert (reading.fault or "").startswith(fault or "")
    assert (reading.fault is None, reading.line) == (fault is None, line)


@given(SOURCES)
def test_every_source_can_be_read_and_what_is_said_of_it_is_printable(source: bytes) -> None:
    reading = read(source)
    assert reading.fault is None or reading.fault.isprintable()
    assert reading.fault is not None or reading.essence
    assert _parses(source) or not reading.essence


def _parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def test_a_source_with_numbers_too_large_to_write_out_is_its_own_essence() -> None:
    first, second = (read(b"x = 0x" + digit * 9000) for digit in (b"f", b"e"))
    assert first.fault is None
    assert first.essence != second.essence


def test_findings_of_one_source_are_bounded() -> None:
    assert len(read(b"eval('1')\n" * (FINDINGS + 5)).findings) == FINDINGS


@given(st.lists(SOURCES, max_size=4))
def test_the_program_says_what_the_function_returns(sources: list[bytes]) -> None:
    answers = [{**one, "findings": ()} for one in json.loads(answer(sources))]
    assert [Reading(**one) for one in answers] == [
        Reading(fault=one.fault, line=one.line, essence=one.essence) for one in map(read, sources)
    ]
