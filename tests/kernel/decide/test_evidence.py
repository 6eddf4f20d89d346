"""The words of a commit of several patches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.boundary import SUBJECT_CHARS
from agent.kernel.decide.evidence import whole_subject


def test_a_subject_names_every_patch_once_if_there_is_room() -> None:
    assert whole_subject(["Retry once"]) == "Retry once"
    assert whole_subject(["Retry once", "Show an example", "Retry once"]) == "Retry once; Show an example"


def test_where_there_is_no_room_it_says_how_many_there_are() -> None:
    subject = whole_subject(
        ["Raise SHOT from 0 to 1", "Ask in three forms of the question", "Repair what fails to parse"]
    )
    assert subject.startswith("3 patches: Raise SHOT from 0 to 1; Ask in three forms")
    assert subject.endswith("…")


@given(st.lists(st.text(min_size=1, max_size=72), min_size=1, max_size=9))
def test_a_subject_is_never_too_long(subjects: list[str]) -> None:
    assert len(whole_subject(subjects)) <= SUBJECT_CHARS
