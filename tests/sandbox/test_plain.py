"""Messages between the checker and the submission: read by the C parts of `json`, as `json` itself reads them."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

CHECK = Path(__file__).parents[2] / "sandbox" / "check"
SLOW = {"re", "enum", "json", "typing", "contextlib", "functools", "collections", "signal"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
PIECES = st.lists(
    st.sampled_from(
        [*'[]{}",:', "\\u", "\\", "1", "-", "e", ".", "0", "nul", "null", "NaN", "-Infinity", " ", "\n", "\0"]
    )
    | st.text(max_size=2),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ratchet_plain", CHECK / "ratchet_plain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_by(reader: Any, body: bytes) -> object:
    """What a reader says, or the kind of its error."""
    try:
        found = reader(body)
    except (ValueError, RecursionError) as error:
        return type(error)
    return "NaN" if isinstance(found, float) and math.isnan(found) else found


def test_the_c_parts_are_used_here(plain: ModuleType) -> None:
    assert plain._scan is not None


@given(JSON)
def test_a_message_is_read_as_it_was_packed(plain: ModuleType, message: object) -> None:
    packed = plain.pack(message)
    assert packed[plain.HEAD.size :] == json.dumps(message).encode()
    assert plain.unpack(packed[plain.HEAD.size :]) == message


@given(PIECES.map(str.encode) | st.binary(max_size=12) | st.text(max_size=6).map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_read_or_refused_as_json_does(plain: ModuleType, body: bytes) -> None:
    assert read_by(plain.unpack, body) == read_by(json.loads, body)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"1" * 5000, b'{"a":1,"a":2}', b"1e999"]
)
def test_what_is_odd_is_read_or_refused_as_json_does(plain: ModuleType, body: bytes) -> None:
    assert read_by(plain.unpack, body) == read_by(json.loads, body)


@pytest.mark.parametrize("module", ["ratchet_serve", "ratchet_check"])
def test_neither_side_loads_what_takes_long(module: str) -> None:
    code = f"import sys; sys.path.append(sys.argv[1]); import {module}; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, str(CHECK)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert module in done.stdout.split()
    assert SLOW.isdisjoint(done.stdout.split())


def test_without_the_c_parts_json_does_it() -> None:
    code = """
import sys
sys.modules["_json"] = None
sys.path.append(sys.argv[1])
import ratchet_plain as p
assert p._scan is None
print(p.unpack(p.pack([1, {"a": None}])[p.HEAD.size:]))
"""
    command = [sys.executable, "-I", "-S", "-c", code, str(CHECK)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[1, {'a': None}]\n"
