"""Properties of the small parsers, asked of the scaffold in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.scaffold.conftest import Call

LINE = st.text(alphabet="abcxyz()=:,. ", min_size=1, max_size=12).map(lambda text: f"q{text}z")
LINES = st.lists(LINE, min_size=1, max_size=8, unique=True)
some = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@some
@given(around=LINES, wanted=LINE, new=LINES, shift=st.integers(0, 8))
def test_a_line_is_found_whatever_its_indentation(
    call: Call, around: list[str], wanted: str, new: list[str], shift: int
) -> None:
    around = [line for line in around if line != wanted]
    place = len(around) // 2
    text = "\n".join([*around[:place], " " * shift + wanted, *around[place:]]) + "\n"
    expected = [*around[:place], *(" " * shift + line for line in new), *around[place:]]
    result = call("edits._replace_lines", text, wanted + "\n", "\n".join(new) + "\n")
    assert result == "\n".join(expected) + "\n"


@some
@given(text=st.text(max_size=60), old=st.text(max_size=5), new=st.text(max_size=5))
def test_an_exact_place_is_replaced_once_or_the_edit_is_an_error(call: Call, text: str, old: str, new: str) -> None:
    result = call("edits.replace", text, old, new)
    if old.strip() and text.count(old) == 1:
        assert result == text.replace(old, new)
    elif not old.strip() or text.count(old) > 1:
        assert result == {"error": "EditError"}


@some
@given(reply=st.text(alphabet="`abc<>=\n /.SEARCHREPLACE", max_size=200))
def test_no_reply_breaks_the_parser_of_edits(call: Call, reply: str) -> None:
    changed, errors = call("edits.apply", reply, {"a.b": "c"})
    assert isinstance(changed, dict)
    assert isinstance(errors, list)


@some
@given(code=LINES, prose=LINE, closed=st.booleans())
def test_the_first_fence_is_taken_out_of_its_prose(call: Call, code: list[str], prose: str, closed: bool) -> None:
    body = "\n".join(code) + "\n"
    reply = f"{prose}\n```python\n{body}" + (f"```\n{prose}" if closed else "")
    assert call("extract.extract", reply, "fence") == body


@some
@given(text=st.text(max_size=400), limit=st.integers(10, 200))
def test_clipped_text_is_bounded_and_keeps_its_ends(call: Call, text: str, limit: int) -> None:
    result = call("place.clip", text, limit)
    assert len(result) <= max(limit, 0) + 60
    assert result.startswith(text[: limit // 2])
    assert result.endswith(text[-(limit // 2) :])
