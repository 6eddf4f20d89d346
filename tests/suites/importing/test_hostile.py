"""Input that nobody vouches for: every complaint names its file, nothing is written, nothing crashes."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.errors import UserError
from agent.suites.importing import reading
from agent.suites.importing.counting import count_tests
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import Options, Unsupported, task_id
from agent.suites.importing.run import import_suite
from agent.suites.importing.shell import refuse_network, usual_pytest
from agent.suites.loader import load_suite

Trees = dict[str, dict[str, str]]


def complaint(source: Path, kind: str = "auto") -> str:
    before = {path.name for path in source.parent.iterdir()}
    with pytest.raises(UserError) as error:
        import_suite(kind, source, source.parent / "suite", options=Options())
    assert {path.name for path in source.parent.iterdir()} == before
    return str(error.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'\n{"a": ', "set.jsonl line 2: is not JSON"),
        (b'\n\n{"a": 1, "a": 2}', "line 3: has the key 'a' twice"),
        (b'{"a": NaN}', "line 1: holds NaN"),
        (b'{"a": "\xff"}', "line 1: is not UTF-8 text"),
        (b"[" * 5000, "line 1: is nested too deeply"),
        (b"[1]", "line 1: is not a JSON object"),
        (b'{"a": ' + b"1" * 5000 + b"}", "more than 100 digits"),
        (b'{"prompt": "p", "entry_point": "f"}', "line 1: test: is missing"),
        (b'{"prompt": 3, "entry_point": "f", "test": "t"}', "line 1: prompt: is not text"),
        (b'{"prompt": "a\\u0000b", "entry_point": "f", "test": "t"}', "prompt: holds NUL"),
        (b'{"prompt": "a\\ud800b", "entry_point": "f", "test": "t"}', "prompt: holds NUL or half"),
        (b'{"prompt": "a", "entry_point": "f();import os", "test": "t"}', "is not the name of a function"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "set.jsonl").write_bytes(raw)
    assert said in complaint(tmp_path / "set.jsonl", "humaneval")


@pytest.mark.parametrize("name", ["bytes \udcff", "two\nlines", "\x1b[2J"])
def test_a_source_with_a_strange_name_is_imported_and_its_name_is_escaped(
    name: str, plant: Any, under: Any, formats: Trees
) -> None:
    plain = plant(under("one", formats["exercism"]))
    source = plain.rename(plain.with_name(name))
    dest = import_suite("auto", source, source.parent / "suite", options=Options()).dest
    said = load_suite(dest).description
    assert said.isprintable()
    assert said == f"imported from exercism: {name.encode('unicode_escape').decode()}"


def test_a_compressed_bomb_is_stopped_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(b" " * (reading.MAX_LINE_BYTES + 10), 1))
    assert "line 1: more than 8 MiB a line" in complaint(tmp_path / "bomb.jsonl.gz", "mbpp")


def test_a_cut_archive_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"\n" * 50)[:-9])
    assert "cannot be read" in complaint(tmp_path / "cut.jsonl.gz", "mbpp")


def test_two_tasks_of_one_id_stop_the_import(rows: Any, human: Any) -> None:
    other = human | {"task_id": "human 7", "entry_point": "twice"}
    assert "the id 'human-7' stands twice" in complaint(rows(human, other))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../x.py", ".git/config", "a\\b.py", "a//b.py", ""])
def test_a_path_that_reaches_outside_is_refused(path: str, plant: Any, under: Any, formats: Trees) -> None:
    config = {"files": {"solution": [path], "test": ["purse_test.py"], "example": []}}
    source = plant(under("one", formats["exercism"]) | {"one/.meta/config.json": json.dumps(config)})
    assert "config.json: files.solution" in complaint(source)


def test_links_are_refused_wherever_they_stand(plant: Any, under: Any, formats: Trees, tmp_path: Path) -> None:
    source = plant(under("one", formats["exercism"]))
    (tmp_path / "secret").write_text("key")
    (source / "one" / "more.txt").symlink_to(tmp_path / "secret")
    assert "'more.txt' is a link" in complaint(source)
    (source / "one" / "more.txt").unlink()
    (source / "two").symlink_to(source / "one")
    assert "is a link to a task" in complaint(source)


def test_a_linked_configuration_is_refused(plant: Any, under: Any, formats: Trees, tmp_path: Path) -> None:
    source = plant(under("one", formats["harbor"]))
    (tmp_path / "elsewhere.toml").write_text("")
    (source / "one" / "task.toml").unlink()
    (source / "one" / "task.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert "task.toml: is a link" in complaint(source)


def test_a_pipe_never_holds_the_import_up(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("one", formats["exercism"]))
    os.mkfifo(source / "one" / "pipe")
    assert "special file" in complaint(source)


def test_names_that_some_file_systems_take_for_one_are_refused(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("one", formats["exercism"] | {"Readme": "a", "README": "b"}))
    assert "one name where case" in complaint(source)


def test_a_task_folder_of_many_megabytes_is_refused(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("one", formats["exercism"]))
    (source / "one" / "big.bin").write_bytes(b"\0" * (9 << 20))
    assert "big.bin: is larger than 8 MiB" in complaint(source)


def test_an_instruction_that_is_no_text_is_named_by_its_line(plant: Any, under: Any, formats: Trees) -> None:
    source = plant(under("one", formats["harbor"]))
    (source / "one" / "instruction.md").write_bytes(b"one\ntwo \xe9\n")
    assert "instruction.md line 2: is not UTF-8" in complaint(source)


@pytest.mark.parametrize(
    ("text", "said"), [("[a", "is not TOML"), ("a = 1\nb =\nc = 2", "line 2"), ("a = " + "[" * 9999, "TOML|deeply")]
)
def test_broken_toml_is_named(text: str, said: str, plant: Any, under: Any, formats: Trees) -> None:
    found = complaint(plant(under("one", formats["harbor"]) | {"one/task.toml": text}))
    assert any(word in found for word in said.split("|"))


def test_yaml_that_reads_as_two_things_is_named(plant: Any, under: Any, formats: Trees) -> None:
    text = formats["terminal-bench"]["task.yaml"].replace("author_name: someone", "author_name: no")
    source = plant(under("one", formats["terminal-bench"]) | {"one/task.yaml": text})
    assert "task.yaml line 3" in complaint(source)


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=120)
LINES = st.lists(
    st.one_of(
        TEXT,
        st.sampled_from(
            ["FROM a", "WORKDIR /app", "COPY . .", 'COPY ["a", "b"]', "RUN x \\", "ADD a.tar /", "ENV A=b", "USER root"]
        ),
    ),
    max_size=12,
).map("\n".join)


@given(LINES)
def test_any_dockerfile_is_read_or_refused(content: str) -> None:
    with suppress(Unsupported):
        found = read_dockerfile(content, {"a": b"1", "sub/b": b"2"}, "Dockerfile")
        assert all(not path.startswith("/") and ".." not in path.split("/") for path in found.files)


@given(st.one_of(TEXT.map(str.encode), st.binary(max_size=200)))
def test_any_test_file_is_counted_or_refused(source: bytes) -> None:
    with suppress(Unsupported):
        assert count_tests(source, "t.py") >= 0


@given(TEXT)
def test_any_script_is_read_or_refused(script: str) -> None:
    with suppress(Unsupported):
        refuse_network(script, "test.sh")
    for reward in (False, True):
        assert usual_pytest(script, reward=reward) is None or "pytest" in script


@given(st.lists(TEXT, max_size=3))
def test_any_name_becomes_a_plain_id(parts: list[str]) -> None:
    name = task_id(*parts)
    assert 1 <= len(name) <= 64
    assert name[0].isascii()
    assert name[0].isalnum()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789._-")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        key: st.one_of(JSON, st.just("def f(x):\n    return x"), st.just(["assert f(1) == 1"]))
        for key in ("task_id", "prompt", "entry_point", "test", "canonical_solution", "text", "code", "test_list")
    },
)


@settings(max_examples=60)
@given(st.sampled_from(["humaneval", "mbpp"]), st.lists(ROWS, max_size=3))
def test_any_rows_are_taken_or_refused(kind: str, found: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "set.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
        with suppress(UserError):
            import_suite(kind, source, Path(folder) / "suite", options=Options())


@settings(max_examples=60)
@given(JSON, st.sampled_from(["files", "solution", "test", "example", ""]))
def test_any_exercism_configuration_is_taken_or_refused(value: object, role: str) -> None:
    roles: dict[str, object] = {"solution": ["a.py"], "test": ["a_test.py"], "example": []}
    config: object = {"files": value} if role == "files" else {"files": roles | {role: value}} if role else value
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "source" / "one"
        (root / ".meta").mkdir(parents=True)
        (root / ".meta" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (root / "a_test.py").write_text("def test_a():\n    assert 1\n")
        with suppress(UserError):
            import_suite("exercism", root.parent, Path(folder) / "suite", options=Options())
