"""Text of strangers, made safe to print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.base.text import clean_line, clean_lines


@given(st.text() | st.text(st.characters(max_codepoint=127)))
def test_the_short_way_of_plain_text_gives_what_the_long_way_gives(text: str) -> None:
    assert clean_line(text) == " ".join(" ".join(clean_lines(text.encode(errors="replace"))).split())


@given(st.text())
def test_lines_are_printable_whatever_spaces_a_text_holds(text: str) -> None:
    assert all(line.isprintable() for line in clean_lines(text.encode(errors="replace")))
    assert clean_lines("a\u00a0b\u2003c\u3000".encode()) == ["a b c"]
