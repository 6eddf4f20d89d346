"""How long trusted files and classes may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.structure.trees import TRUSTED, name

FILE_LINES, CLASS_LINES = 400, 250
"""Trusted files and classes stay below these."""


def class_lines(path: Path) -> dict[str, int]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("path", TRUSTED, ids=name)
def test_a_trusted_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < FILE_LINES, f"{name(path)} has {lines} lines. Split it by subject; the limit is {FILE_LINES}."


@pytest.mark.parametrize("path", TRUSTED, ids=name)
def test_a_trusted_class_is_short(path: Path) -> None:
    for cls, lines in class_lines(path).items():
        said = f"{cls} in {name(path)} has {lines} lines. Give part of it to a neighbour; the limit is {CLASS_LINES}."
        assert lines < CLASS_LINES, said
