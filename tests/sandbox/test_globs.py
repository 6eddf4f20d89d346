"""Globs: what they match, and that they mean what the library's mean within a folder."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sandbox.globs import literal, matcher


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("solution.py", ["solution.py"], ["a/solution.py", "solution_py", "solution.pyc"]),
        ("*.py", ["a.py", ".py"], ["a/b.py"]),
        ("**/*.py", ["a.py", "a/b.py", "a/b/c.py"], ["a.pyc"]),
        ("src/**", ["src/a", "src/a/b"], ["src", "srcs/a"]),
        ("src/", ["src/a", "src/a/b"], ["src"]),
        ("./a", ["a"], ["b"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab].txt", ["a.txt", "b.txt"], ["c.txt"]),
        ("[!a].txt", ["b.txt"], ["a.txt", "/.txt"]),
        ("a+(b)|c", ["a+(b)|c"], ["aab", "c"]),
    ],
)
def test_globs(glob: str, inside: list[str], outside: list[str]) -> None:
    matches = matcher([glob])
    assert all(matches(path) for path in inside)
    assert not any(matches(path) for path in outside)


def test_no_glob_matches_nothing() -> None:
    assert not matcher([])("a")


@given(st.text("ab*?.", min_size=1, max_size=6).filter(lambda g: "**" not in g), st.text("ab.", min_size=1, max_size=6))
def test_globs_within_a_folder_are_those_of_the_library(glob: str, name: str) -> None:
    if not glob.startswith("./"):
        assert matcher([glob])(name) == fnmatch.fnmatchcase(name, glob)


@given(st.text("ab*?[]!./", min_size=1, max_size=6), st.text("ab*?[]!./", min_size=1, max_size=6))
def test_the_glob_of_a_path_matches_that_path_alone(path: str, other: str) -> None:
    matches = matcher([literal(path), "b*"])
    assume(not path.endswith("/") and not path.startswith("./"))
    assert matches(path)
    assert matches(other) == (other == path or (other.startswith("b") and "/" not in other))
