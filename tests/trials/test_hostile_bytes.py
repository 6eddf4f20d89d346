"""Whatever bytes a candidate hands in, a parser answers with a score or a refusal; nothing else is raised."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.base.errors import CandidateFault, SandboxDown, UserError, from_candidate
from agent.base.types import RewardKind, Split, Task
from agent.trials.grading import count_junit, judge
from sandbox import frames
from sandbox.box import _result
from sandbox.fake import ran

BY_FILE = Task(
    id="t",
    split=Split.GATE,
    instruction="",
    files={},
    submit=("a",),
    tests={"t": b""},
    check=("check",),
    reward=RewardKind.FILE,
    reward_path="/workspace/reward",
)
BY_JUNIT = Task(
    id="t", split=Split.GATE, instruction="", files={}, submit=("a",), tests={"t": b""}, check=("check",), junit=1
)
CASE = '<testsuite><testcase name="a"/></testsuite>'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("reward"), inner),
)


@pytest.mark.parametrize(
    "content",
    [
        b"1" + b"0" * 400,
        b'{"reward": 1' + b"0" * 400 + b"}",
        b"1" * 5000,
        b"-1" + b"0" * 400,
        b"1e999",
        b"NaN",
        b'{"reward": [1]}',
        b'{"a":' * 50_000,
        "1".encode("utf-16"),
        b"\xff\xfe",
        b"",
    ],
)
def test_a_reward_that_is_not_a_number_from_0_to_1_scores_0(content: bytes) -> None:
    grade = judge(BY_FILE, ran(), content)
    assert grade.score == (1.0 if content == "1".encode("utf-16") else 0.0)
    assert grade.reason


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | st.integers().map(lambda n: b"%d" % n))
@example(b"1" + b"0" * 400)
@example(b'{"reward": Infinity}')
def test_any_reward_file_gives_a_score_from_0_to_1(content: bytes) -> None:
    assert 0 <= judge(BY_FILE, ran(), content).score <= 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_report_with_declarations_is_refused_in_every_encoding(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding == "latin-1" else ""
    bomb = f'{head}<!DOCTYPE a [<!ENTITY x "{"y" * 5000}">]>{CASE}<s>{"&x;" * 900}</s>'
    assert count_junit(bomb.encode(encoding)) is None
    external = f'{head}<!DOCTYPE a SYSTEM "file:///etc/passwd">{CASE}'
    assert count_junit(external.encode(encoding)) is None


def test_a_report_in_utf_16_without_declarations_counts() -> None:
    counts = count_junit(CASE.encode("utf-16"))
    assert counts is not None
    assert counts.passed == 1


@pytest.mark.parametrize(
    "report",
    [
        b"<a>" * 200_000,
        b'<?xml version="1.0" encoding="no-such-encoding"?>' + CASE.encode(),
        b'<?xml version="1.0" encoding="utf-7"?>' + CASE.encode(),
        b"\0" * 1000,
    ],
)
def test_a_report_that_cannot_be_parsed_scores_0(report: bytes) -> None:
    assert judge(BY_JUNIT, ran(), report).score == 0


@given(st.binary(), st.sampled_from(["utf-8", "utf-16", "utf-32", "latin-1"]))
def test_any_report_gives_a_score(junk: bytes, encoding: str) -> None:
    report = CASE.encode(encoding)
    for content in (junk, report + junk, junk + report, report[: len(junk)] + junk):
        assert judge(BY_JUNIT, ran(), content).score in {0.0, 1.0}


def archive(sizes: list[int]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for number, size in enumerate(sizes):
            member = tarfile.TarInfo(f"{number}" * 60)
            member.size = size
            tar.addfile(member, io.BytesIO(b"x" * size))
    return out.getvalue()


@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=12)), max_size=4),
    st.sampled_from(sorted(tarfile.SUPPORTED_TYPES)) | st.binary(min_size=1, max_size=1),
    st.booleans(),
)
def test_a_damaged_archive_is_read_or_malformed(
    sizes: list[int], damage: list[tuple[int, bytes]], kind: bytes, sealed: bool
) -> None:
    raw = bytearray(archive(sizes))
    raw[156:157] = kind
    for place, junk in damage:
        raw[place : place + len(junk)] = junk
    if sealed:  # with a right checksum, so that the damage is looked at
        raw[148:156] = b" " * 8
        raw[148:156] = b"%06o\0 " % sum(raw[:512])
    with suppress(frames.Malformed):
        assert isinstance(frames.from_tar(bytes(raw), max_files=10, max_bytes=10_000), dict)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 60_000)
@example(b'{"ending":"exited","code":1e999,"truncated":0,"seconds":0,"orphans":0}')
def test_any_done_frame_is_a_result_or_malformed(payload: bytes) -> None:
    with suppress(frames.Malformed):
        _result(payload, b"")


def test_the_net_makes_a_defect_of_a_parser_the_candidates_and_lets_our_errors_pass() -> None:
    with pytest.raises(CandidateFault, match="the file cannot be read: ZeroDivisionError"), from_candidate("the file"):
        _ = 1 // 0
    for error in (SandboxDown("gone"), UserError("a", "b", "c"), KeyboardInterrupt()):
        with pytest.raises(type(error)), from_candidate("the file"):
            raise error
