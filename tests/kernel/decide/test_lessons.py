"""Lessons of proposals that ran beside one another are merged; they stay bounded whatever a box leaves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.lessons import LINE_CHARS, MOST_BYTES, merged


def test_two_proposals_add_and_remove_lines_beside_one_another() -> None:
    given_to_both = "a\nb\n"
    first = merged(given_to_both, given_to_both, b"a\nb\nc\n")
    assert merged(first, given_to_both, b"b\nd\n\n") == "b\nc\nd\n"


def test_a_lesson_that_two_proposals_add_is_kept_once() -> None:
    assert merged("a\nb\n", "a\n", b"a\nb\n") == "a\nb\n"


def test_the_oldest_lines_go_first() -> None:
    text = merged("", "", "".join(f"lesson {n}\n" for n in range(1500)).encode())
    assert len(text.encode()) <= MOST_BYTES
    assert text.endswith("\n")
    grown = merged(text, text, text.encode() + b"the latest\n")
    assert grown.splitlines()[-1] == "the latest"
    assert grown.splitlines()[0] != text.splitlines()[0]


@given(st.binary(max_size=4000), st.binary(max_size=400))
def test_any_bytes_become_bounded_printable_lines_and_settle(first: bytes, second: bytes) -> None:
    text = merged("", "", first)
    assert len(text.encode()) <= MOST_BYTES
    assert all(line.isprintable() and line and len(line) <= LINE_CHARS for line in text.splitlines())
    assert merged(text, text, text.encode()) == text
    assert len(merged(text, text, second).encode()) <= MOST_BYTES
