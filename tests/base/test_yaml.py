"""YAML: what is read, and what is refused with file and line."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base import yaml
from agent.base.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.just("\n"))
PLAIN = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(-1e9, 1e9) | TEXT
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)
WORDS = st.sampled_from(
    ["no", "007", "1:30", "1e3", "0o17", "1_000", "2024-01-01", ".inf", "~", "", "=", "<<", "on", "08"]
)


def read(folder: Path, raw: str | bytes) -> dict[str, object]:
    path = folder / "f.yaml"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return yaml.load(path)


def test_plain_data_is_read_as_it_looks(tmp_path: Path) -> None:
    said = "a: text\nb: 1\nc: -2.5\nd: true\ne: null\nf: [1.0e+3, 'no', \"007\"]\ng: 1.2.3\nh: 10 apples\ni: -\n"
    assert read(tmp_path, said.replace("i: -\n", "i: '-'\n")) == {
        "a": "text",
        "b": 1,
        "c": -2.5,
        "d": True,
        "e": None,
        "f": [1000.0, "no", "007"],
        "g": "1.2.3",
        "h": "10 apples",
        "i": "-",
    }


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert read(tmp_path, "# only a remark\n") == {}


@pytest.mark.parametrize(
    ("raw", "line", "problem"),
    [
        ("a: 1\nb: &x 2\n", 2, "anchors"),
        ("a: &x [1]\nb: *x\n", 1, "anchors"),
        ("a: 1\n<<: {b: 2}\n", 2, "merge keys"),
        ("a: 1\na: 2\n", 2, "duplicate key 'a'"),
        ("a: {b: 1, b: 2}\n", 1, "duplicate key 'b'"),
        ("1: a\n", 1, "key '1' is not text"),
        ("a:\n  no: b\n", 2, "'no'"),
        ("? [a]\n: b\n", 1, "a list or mapping"),
        ("a: no\n", 1, "'no' can be read"),
        ("a: ON\n", 1, "'ON' can be read"),
        ("a: 007\n", 1, "'007' can be read"),
        ("a: 1:30\n", 1, "'1:30' can be read"),
        ("a: 1_000\n", 1, "'1_000' can be read"),
        ("a: 0x1f\n", 1, "'0x1f' can be read"),
        ("a: 2024-01-01\n", 1, "'2024-01-01' can be read"),
        ("a: 12345678901234567890\n", 1, "can be read"),
        ("a: 1e999\n", 1, "can be read"),
        ("a: .nan\n", 1, "not a finite number"),
        ("a: -.inf\n", 1, "not a finite number"),
        ("a: !!python/name:os.system ''\n", 1, "tag"),
        ("a: !!str 007\n", 1, "tag"),
        ("a: !x [1]\n", 1, "tag"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: " + "[" * 40 + "]" * 40, 1, "deep"),
        ("a: 1\nb: 'x\x00y'\n", 2, "U+0000"),
        ('a: "x\\0y"\n', 1, "NUL"),
        ("a: 1\nb: \x1b[2J\n", 2, "U+001B"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: \xed\xa0\x80\n", 1, "not UTF-8"),
        ('a: "\\ud800"\n', 1, "Unicode"),
        ("a: 1\n b: 2\n", 2, "mapping values"),
        ("a: [1\n", 2, "did not find expected"),
    ],
)
def test_what_is_refused_is_named_with_its_line(tmp_path: Path, raw: str | bytes, line: int, problem: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, raw)
    assert f"f.yaml line {line}" in error.value.field
    assert problem in error.value.problem
    assert "\n" not in str(error.value)


def test_a_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(UserError, match="line 1: a: anchors"):
        read(tmp_path, bomb)


def test_a_pipe_a_link_a_folder_and_a_huge_file_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("/etc/hostname")
    (tmp_path / "folder.yaml").mkdir()
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(yaml.MAX_BYTES + 1)
    for name, problem in (
        ("pipe", "not a plain file"),
        ("link", "a link"),
        ("folder", "not a plain"),
        ("huge", "larger"),
    ):
        with pytest.raises(UserError, match=problem):
            yaml.load(tmp_path / f"{name}.yaml")


@given(st.binary(max_size=300) | TEXT.map(str.encode))
def test_any_bytes_are_read_or_refused_as_a_user_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(raw)
    with suppress(UserError):
        assert isinstance(yaml.load(path), dict)


@given(st.dictionaries(TEXT | WORDS, VALUES | WORDS))
def test_what_is_dumped_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(yaml.dump(value), encoding="utf-8", newline="")
    assert yaml.load(path) == value
