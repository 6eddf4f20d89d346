"""The wire format, attacked as a parser: nothing but plain files under plain paths ever comes through."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.errors import CandidateFault
from agent.base.types import Ending, RunResult
from sandbox import frames
from sandbox.box import _names, _result

NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="/\x7f"), min_size=1, max_size=9
)
PATHS = st.lists(NAMES.filter(lambda n: n not in {".", ".."}), min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(PATHS, st.binary(max_size=2000), max_size=6))
def test_what_is_packed_is_unpacked(files: dict[str, bytes]) -> None:
    assert frames.from_tar(frames.to_tar(files), max_files=6, max_bytes=12000) == files


LONG = st.lists(st.text("aé~ ", min_size=1, max_size=60), min_size=2, max_size=4).map("/".join)


@given(st.dictionaries(PATHS | LONG, st.binary(max_size=2000), max_size=6))
def test_the_runner_reads_what_the_host_packs(files: dict[str, bytes]) -> None:
    archive = frames.to_tar(files)
    assert frames.from_host(archive) == files
    assert frames.from_tar(archive, max_files=6, max_bytes=12000) == files
    assert len(archive) <= frames.tar_limit(len(files), sum(map(len, files.values())))


def test_other_tools_read_what_we_pack(tmp_path: Path) -> None:
    files = {"a/b.txt": b"x" * 513, "é" * 70 + "/" + "n" * 90: b"", "end": b"\0"}
    (tmp_path / "t.tar").write_bytes(frames.to_tar(files))
    subprocess.run(["tar", "-xf", "t.tar"], cwd=tmp_path, check=True)
    assert {path: (tmp_path / path).read_bytes() for path in files} == files


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_malformed(data: bytes) -> None:
    with contextlib.suppress(frames.Malformed):
        assert isinstance(frames.from_tar(data, max_files=5, max_bytes=100), dict)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_archive_is_never_more_than_was_allowed(data: st.DataObject) -> None:
    archive = bytearray(frames.to_tar({"a/b.py": b"x" * 700, "c": b"y"}))
    for _ in range(data.draw(st.integers(1, 8))):
        archive[data.draw(st.integers(0, 2600))] = data.draw(st.integers(0, 255))
    try:
        found = frames.from_tar(bytes(archive), max_files=2, max_bytes=1000)
    except frames.Malformed:
        return
    assert len(found) <= 2
    assert sum(map(len, found.values())) <= 1000
    assert all(frames.crossing_fault(path) is None for path in found)


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname, made.mode = kind, size, link, 0o4777
    return made


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "./x", "a//b", "a\nb", "bad\udcff", "x" * 300, "d/" * 600 + "x", "\x7f"],
)
def test_a_hostile_name_is_malformed(name: str) -> None:
    with pytest.raises(frames.Malformed):
        frames.from_tar(archive_of((member(name), b"")), max_files=9, max_bytes=9)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"S"],
)
def test_whatever_is_no_plain_file_is_malformed(kind: bytes) -> None:
    with pytest.raises(frames.Malformed):
        frames.from_tar(archive_of((member("x", kind, link="/etc/passwd"), b"")), max_files=9, max_bytes=9)


def test_a_sparse_gigabyte_is_malformed() -> None:
    sparse = member("x")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 30)}
    tracemalloc.start()
    with pytest.raises(frames.Malformed):
        frames.from_tar(archive_of((sparse, b"")), max_files=9, max_bytes=1 << 20)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_hundred_thousand_members_stop_at_the_limit() -> None:
    flood = (member("x").tobuf() for _ in range(1))
    block = next(flood)
    many = b"".join(member(str(n)).tobuf() for n in range(2000)) + block * 98000
    with pytest.raises(frames.Malformed, match="more than 256"):
        frames.from_tar(many, max_files=256, max_bytes=1 << 20)


def test_a_path_that_comes_twice_is_malformed() -> None:
    with pytest.raises(frames.Malformed, match="twice"):
        frames.from_tar(archive_of((member("x"), b""), (member("x"), b"")), max_files=9, max_bytes=9)


def test_content_that_is_cut_short_is_malformed() -> None:
    with pytest.raises(frames.Malformed):
        frames.from_tar(frames.to_tar({"x": b"y" * 5000})[:3000], max_files=9, max_bytes=9000)


@given(st.lists(st.tuples(st.sampled_from([frames.OUT, frames.DONE]), st.binary(max_size=50))), st.integers(1, 30))
def test_frames_survive_any_cut(sent: list[tuple[bytes, bytes]], cut: int) -> None:
    stream = b"".join(frames.frame(kind, payload) for kind, payload in sent)
    decoder, got = frames.Decoder(), []
    for start in range(0, len(stream), cut):
        decoder.feed(stream[start : start + cut])
        while (one := decoder.next(50)) is not None:
            got.append(one)
    assert got == sent


def test_a_frame_that_announces_too_much_is_refused_at_once() -> None:
    decoder = frames.Decoder()
    decoder.feed(frames.HEAD.pack(frames.OUT, 1 << 31))
    with pytest.raises(frames.Malformed):
        decoder.next(1 << 16)


WORDS = st.dictionaries(
    st.sampled_from(["argv", "limit"]),
    st.lists(st.text(st.characters(exclude_categories=()))) | st.integers() | st.booleans(),
)


@given(WORDS)
def test_an_order_is_read_as_it_was_given(words: dict[str, object]) -> None:
    assert frames.read_order(frames.order(**words)) == words


@given(st.sampled_from(frames.ENDINGS), st.none() | st.integers(0, 255), st.booleans(), st.integers(0, 1 << 31))
def test_the_host_reads_how_a_command_ended(ending: str, code: int | None, truncated: bool, orphans: int) -> None:
    said = frames.ended(ending, code, truncated=truncated, seconds=1.5, orphans=orphans)
    assert _result(said, b"out") == RunResult(
        ending=Ending(ending), exit_code=code, output=b"out", truncated=truncated, seconds=1.5, orphans=orphans
    )


@given(st.binary(max_size=frames.END.size + 2) | st.binary(min_size=frames.END.size, max_size=frames.END.size))
def test_any_bytes_say_how_a_command_ended_or_are_malformed(said: bytes) -> None:
    with contextlib.suppress(frames.Malformed):
        assert isinstance(_result(said, b"").ending, Ending)


@given(st.binary(max_size=60))
def test_any_bytes_are_names_or_the_candidates_fault(said: bytes) -> None:
    with contextlib.suppress(CandidateFault):
        assert len(_names(said, 3)) <= 3


def test_names_come_as_they_were_sent() -> None:
    assert _names(b"a\0b c\nd\0\\xff\0", 2) == ("a", "b c\nd")
    assert _names(b"", 2) == ()
