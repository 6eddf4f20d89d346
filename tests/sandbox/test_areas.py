"""The read-only areas of a box: what is put there arrives, and a candidate cannot change it, whichever way it came."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import CandidateFault, SandboxDown
from agent.base.types import BoxSpec
from sandbox.areas import READ_ONLY, Areas, SentAreas, SharedAreas
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine_sandbox import EngineSandbox


class Engine:
    """Keeps what it was sent."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.archives = error, []

    async def __call__(self, archive: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.archives.append(tarfile.open(fileobj=io.BytesIO(archive)))  # noqa: SIM115 - in memory


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PUTS = st.lists(st.tuples(st.sampled_from(READ_ONLY), st.dictionaries(PATHS, st.binary(max_size=3), max_size=3)))


async def kept(areas: Areas, root: str, files: dict[str, bytes]) -> dict[str, bytes] | None:
    """What was put, or None if it was refused."""
    try:
        await areas.put(files, root)
    except CandidateFault:
        return None
    return files


@given(PUTS)
def test_both_ways_refuse_the_same_files(puts: list[tuple[str, dict[str, bytes]]]) -> None:
    async def compare(folder: Path) -> None:
        for root in READ_ONLY:
            (folder / root[1:]).mkdir()
        shared, sent = SharedAreas(folder), SentAreas(Engine())
        for root, files in puts:
            for path, content in files.items():
                one = {path: content}
                assert await kept(shared, root, one) == await kept(sent, root, one)

    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(Path(folder)))


async def test_what_is_sent_is_roots_and_nobody_elses_to_write() -> None:
    engine = Engine()
    areas = SentAreas(engine)
    await areas.put({"deep/er/a.py": b"a", "é" * 90 + "/" + "x" * 200: b"long"}, "/scaffold")
    await areas.put({"t.py": b"t"}, "/tests")
    await areas.arrive()
    (archive,) = engine.archives
    members = {member.name: member for member in archive}
    assert {"scaffold", "task", "tests", "scaffold/deep", "scaffold/deep/er"} == {
        name for name, member in members.items() if member.isdir() and "é" not in name
    }
    assert all((member.uid, member.gid, member.mode & 0o022) == (0, 0, 0) for member in members.values())
    assert archive.extractfile("scaffold/deep/er/a.py").read() == b"a"


async def test_files_are_sent_once_and_together() -> None:
    engine = Engine()
    areas = SentAreas(engine)
    for _ in range(2):
        await areas.arrive()
    await areas.put({"a": b"1"}, "/task")
    await areas.put({"a": b"2", "b": b"3"}, "/task")
    for _ in range(2):
        await areas.arrive()
    empty, full = engine.archives
    assert all(member.isdir() for member in empty)
    assert {m.name: full.extractfile(m).read() for m in full if m.isfile()} == {"task/a": b"2", "task/b": b"3"}


@pytest.mark.parametrize("error", [docker.errors.NotFound("no such container"), APIError("no space left"), OSError()])
async def test_an_engine_that_takes_no_files_is_an_infrastructure_error(error: Exception) -> None:
    areas = SentAreas(Engine(error))
    await areas.put({"a": b""}, "/task")
    with pytest.raises(SandboxDown):
        await areas.arrive()


ATTACK = """
import os, shutil
areas = ("/scaffold", "/task", "/tests", "/run/ratchet")
def tries(what, act):
    try: act(); print("DID", what)
    except OSError: pass
for area in areas:
    real = os.path.realpath(area)
    for top, folders, files in os.walk(real):
        tries(("create", top), lambda: open(top + "/new", "w"))
        tries(("mkdir", top), lambda: os.mkdir(top + "/newdir"))
        tries(("chmod", top), lambda: os.chmod(top, 0o777))
        tries(("link", top), lambda: os.symlink("/tmp", top + "/link"))
        for name in files:
            path = top + "/" + name
            if name == "gateway.sock": continue
            tries(("write", path), lambda: open(path, "a"))
            tries(("truncate", path), lambda: os.truncate(path, 0))
            tries(("chmod", path), lambda: os.chmod(path, 0o666))
            tries(("chown", path), lambda: os.chown(path, os.getuid(), -1))
            tries(("utime", path), lambda: os.utime(path, (1, 1)))
            tries(("remove", path), lambda: os.remove(path))
            tries(("rename", path), lambda: os.rename(path, "/tmp/x"))
            tries(("replace", path), lambda: os.rename("/tmp/mine", path))
            tries(("xattr", path), lambda: os.setxattr(path, "user.x", b"1"))
            tries(("fd", path), lambda: open(f"/proc/self/fd/{os.open(path, os.O_RDONLY)}", "w"))
open("/tmp/mine", "w").close()
print(open("/scaffold/deep/a.py").read(), open("/tests/t.py").read())
"""


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_a_candidate_cannot_change_a_read_only_area(either_sandbox: EngineSandbox, image: str) -> None:
    box = await either_sandbox.open(BoxSpec(image=image, gateway=False))
    await box.put({"deep/a.py": b"mine"}, "/scaffold")
    await box.put({"t.py": b"hidden"}, "/tests")
    result = await box.run(["python3", "-c", ATTACK], env={}, timeout=30)
    assert result.output == b"mine hidden\n"
    await box.put({"deep/a.py": b"newer"}, "/scaffold")
    assert (await box.run(["cat", "/scaffold/deep/a.py"], env={}, timeout=30)).output == b"newer"
    await box.close()


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="session")
async def test_the_volume_of_a_box_goes_with_it(
    streamed_sandbox: DockerSandbox, image: str, engine: docker.APIClient
) -> None:
    box = await streamed_sandbox.open(BoxSpec(image=image, gateway=False))
    (mount,) = engine.inspect_container(box.container)["Mounts"]
    await box.close()
    await streamed_sandbox.settle()
    with pytest.raises(docker.errors.NotFound):
        engine.inspect_volume(mount["Name"])
