"""Which Dockerfile instructions may be written, and what COPY takes: by what it holds, never from outside."""

from __future__ import annotations

import json
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import UserError
from agent.base.executable import Executable
from agent.base.types import Files
from agent.config.copies import with_copies
from agent.config.layers import Copy, Layers, Stage, copy_of, layer_fault

FILES: Files = {
    "package.json": b"{}",
    "package-lock.json": b"1",
    "packages/a/package.json": b"a",
    "packages/a/[id].ts": b"b",
    "bin/run": Executable(b"#!/bin/sh\n"),
}
NAMES = st.text("abc./-_ $*", min_size=1, max_size=12)


def copied(*lines: str, files: Files = FILES) -> Layers:
    def read(paths: object) -> Files:
        return {path: body for path, body in files.items() if any((path + "/").startswith(p + "/") for p in paths)}  # type: ignore[attr-defined]

    return with_copies(lines, files.keys(), read, "scaffold.build", "commit 1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ADD x /", "not offered"),
        ("COPY", "not offered"),
        ("COPY x", "names no target"),
        ("COPY --from=alpine /x /", "--from=alpine"),
        ("COPY /etc/passwd /", "not below the top"),
        ("COPY ../secret /", "not below the top"),
        ("COPY a/../../secret /", "not below the top"),
        ('COPY ["../secret", "/"]', "not below the top"),
        ("COPY . /opt/", "not below the top"),
        ("COPY $HOME /opt/", "not below the top"),
        ("COPY <<EOF /opt/", "not below the top"),
        ("COPY a b /opt", "several files"),
        ("RUN a\nRUN b", "more than one"),
    ],
)
def test_a_line_that_may_not_be_written_says_why(line: str, said: str) -> None:
    fault = layer_fault(line)
    assert fault is not None
    assert said in fault[0]


def test_copy_from_a_stage_is_let_through_where_there_is_that_stage() -> None:
    assert layer_fault("COPY --from=made /x /y/", ["made"]) is None
    assert layer_fault("COPY --from=made a b /y", ["made"]) == ("'COPY --from=made a b /y' copies several files", ANY)
    assert layer_fault("COPY --from=other /x /y", ["made"]) is not None


def test_a_line_that_copies_from_a_stage_changes_with_the_stage() -> None:
    def line(*lines: str, base: str = "a") -> str:
        stage = Stage(base=base, layers=Layers(lines=lines))
        made = with_copies(["COPY --chown=1:1 --from=made /x /y"], [], lambda _: {}, "build", "here", {"made": stage})
        assert list(made.stages.values()) == [stage]
        (name,) = made.stages
        assert made.lines == (f'COPY --from={name} --chown=1:1 ["/x", "/y"]',)
        return made.lines[0]

    assert line("RUN one") == line("RUN one")
    assert len({line("RUN one"), line("RUN two"), line("RUN one", base="b")}) == 3


def test_layers_on_others_bring_their_stages() -> None:
    stage = Stage(base="a", layers=Layers())
    copy = Layers(lines=("COPY --from=s /x /y",), stages={"s": stage})
    assert copy.on(Layers(lines=("RUN one",))).stages == {"s": stage}
    assert (Layers(lines=("RUN one",)) + copy).stages == {"s": stage}


def test_copy_is_read_in_both_forms() -> None:
    expected = Copy(sources=("a", "b c"), target="/x/", options=("--chown=1:1",))
    assert copy_of('COPY --chown=1:1 ["a", "./b c", "/x/"]') == expected
    assert copy_of("copy a ./b/ \\\n /x/") == Copy(sources=("a", "b"), target="/x/")
    assert copy_of("RUN cp a b") is None


@given(st.lists(NAMES, min_size=2, max_size=4))
def test_what_is_let_through_never_leaves_the_top(names: list[str]) -> None:
    line = f"COPY {json.dumps(names)}"
    if layer_fault(line) is None:
        copy = copy_of(line)
        assert copy is not None
        assert not [one for one in copy.sources if one.startswith("/") or ".." in one.split("/") or one == "."]


def test_a_line_names_its_files_by_what_they_hold() -> None:
    made = copied("RUN a", "COPY package.json package-lock.json /", "RUN npm ci")
    assert made.lines[0] == "RUN a"
    folder = next(iter(made.files)).rpartition("/")[0]
    assert made.lines[1] == f'COPY ["{folder}/package.json", "{folder}/package-lock.json", "/"]'
    assert dict(made.files) == {f"{folder}/package.json": b"{}", f"{folder}/package-lock.json": b"1"}
    same = copied("COPY package.json package-lock.json /", files={**FILES, "bin/run": b"other"})
    assert same.lines[0] == made.lines[1]
    other = copied("COPY package.json package-lock.json /", files={**FILES, "package-lock.json": b"2"})
    assert other.lines[0] != made.lines[1]


def test_a_mode_is_part_of_what_a_file_is() -> None:
    plain = copied("COPY bin/run /usr/bin/run", files={"bin/run": b"#!/bin/sh\n"})
    assert copied("COPY bin/run /usr/bin/run") != plain


def test_a_pattern_and_a_folder_take_what_they_match() -> None:
    assert sorted(path.partition("/")[2].partition("/")[2] for path in copied("COPY package*.json /").files) == [
        "package-lock.json",
        "package.json",
    ]
    made = copied("COPY packages/*/package.json /x/")
    assert [path.split("/", 2)[2] for path in made.files] == ["packages/a/package.json"]
    folder = copied("COPY packages/a /x")
    assert {path.split("/", 2)[2] for path in folder.files} == {"packages/a/package.json", "packages/a/[id].ts"}
    assert copied("COPY packages/a/[id].ts /x").lines[0].endswith('/packages/a/[[]id].ts", "/x"]')


@pytest.mark.parametrize(
    ("line", "said"), [("COPY missing /", "not in commit 1"), ("COPY package*.json /x", "several")]
)
def test_what_cannot_be_copied_is_the_users_to_fix(line: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        copied(line)
    assert error.value.field == "scaffold.build"


def test_an_improver_does_not_run_again_what_installed_the_agent() -> None:
    agent = Layers(lines=("RUN node", "RUN agent"), files={"copied/1/a": b"1"})
    both = Layers(lines=("RUN node", "RUN other"), files={"copied/2/b": b"2"}).on(agent)
    assert both.lines == ("RUN node", "RUN agent", "RUN other")
    assert sorted(both.files) == ["copied/1/a", "copied/2/b"]
    assert Layers(lines=("RUN other",)).on(Layers()).lines == ("RUN other",)
