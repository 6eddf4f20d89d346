"""Fingerprints: equal for trees that read the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import Files
from agent.kernel.decide.fingerprint import fingerprint
from tests.kernel.decide.readings import readings_of


def print_of(files: Files) -> str:
    return fingerprint(files, readings_of(files))


SOURCE = b'def f(x):\n    """Doc."""\n    return x + 1\n'


@pytest.mark.parametrize(
    "other",
    [
        b'def f(x):  # why\n    """Doc."""\n\n    return (x + 1)\n',
        b'# coding: latin-1\ndef f( x ):\n\t"""Doc."""\n\treturn x+1',
        SOURCE.replace(b"\n", b"\r\n"),
    ],
)
def test_comments_and_layout_make_no_new_candidate(other: bytes) -> None:
    assert print_of({"a.py": SOURCE}) == print_of({"a.py": other})


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": SOURCE.replace(b"1", b"2")},
        {"a.py": SOURCE.replace(b"Doc", b"Other")},
        {"b.py": SOURCE},
        {"a.py": SOURCE, "b.py": b""},
        {"a.md": SOURCE},
        {},
    ],
)
def test_anything_that_a_program_can_tell_is_a_new_candidate(files: dict[str, bytes]) -> None:
    assert print_of(files) != print_of({"a.py": SOURCE})


def test_prompts_are_compared_byte_by_byte() -> None:
    assert print_of({"a.md": b"x"}) != print_of({"a.md": b"x\n"})


@pytest.mark.parametrize(
    "hostile",
    [b"def (", b"\x00", b"\xff\xfe", b"# coding: nonsense\n", b"(" * 5000, b"-" * 50_000 + b"1", b"x=0x" + b"f" * 9000],
)
def test_python_that_does_not_parse_is_compared_byte_by_byte(hostile: bytes) -> None:
    assert print_of({"a.py": hostile}) == print_of({"a.py": hostile})
    assert print_of({"a.py": hostile}) != print_of({"a.py": hostile + b" "})


@given(st.dictionaries(st.text(max_size=6), st.binary(max_size=40), max_size=4))
def test_every_tree_has_a_fingerprint_whatever_its_bytes(files: dict[str, bytes]) -> None:
    assert print_of(files) == print_of(dict(reversed(files.items())))
