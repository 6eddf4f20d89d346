"""How long trusted files and classes may be."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.structure.trees import TRUSTED, name

FILE_LINES, CLASS_LINES = 400, 250
"""Trusted files and classes stay below these."""


def class_lines(path: Path) -> dict[str, int]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, ast.ClassDef)}


def test_trusted_files_are_short() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in TRUSTED}
    long = {file: count for file, count in lines.items() if count >= FILE_LINES}
    assert not long, f"split them by subject; the limit is {FILE_LINES} lines: {long}"


def test_trusted_classes_are_short() -> None:
    classes = {(name(path), cls): lines for path in TRUSTED for cls, lines in class_lines(path).items()}
    long = {where: count for where, count in classes.items() if count >= CLASS_LINES}
    assert not long, f"give part of them to a neighbour; the limit is {CLASS_LINES} lines: {long}"
