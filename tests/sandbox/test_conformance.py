"""One list, every sandbox: what every implementation of the Sandbox Protocol promises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.base.errors import CandidateFault
from agent.base.executable import Executable
from agent.base.types import Box, BoxSpec, Ending, Sandbox
from sandbox.engine_sandbox import EngineSandbox
from sandbox.fake import FakeRun, FakeSandbox, Said, ran

pytestmark = pytest.mark.asyncio(loop_scope="session")


def copy_task(run: FakeRun) -> None:
    run.workspace["out/copy.txt"] = run.task["instruction.md"] + run.workspace["in.txt"]


async def sleep(run: FakeRun) -> Said:
    await asyncio.sleep(float(run.argv[1]))
    return None


def linked(run: FakeRun) -> None:
    run.workspace["line\nbreak.py"] = b""


PROGRAMS = {
    "echo": lambda run: " ".join(run.argv[1:]) + "\n",
    "sh -c exit 3": lambda _: ran(exit_code=3),
    "sh -c mkdir out; cat": copy_task,
    "sh -c echo $COLOUR": lambda run: run.env["COLOUR"] + "\n",
    "sleep": sleep,
    "sh -c head": lambda _: "a" * 5000 + "b" * 5000,
    "no-such-program": lambda _: ran("cannot start 'no-such-program'", 127),
    "touch": linked,
    "sh -c cp": lambda run: run.workspace.update({"all.txt": run.scaffold["a.txt"] + run.areas["/tests"]["b.txt"]}),
}


REAL = [pytest.param(name, marks=pytest.mark.docker) for name in ("docker_sandbox", "streamed_sandbox", "oci_sandbox")]


@pytest.fixture(params=["fake", *REAL])
def any_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "fake":
        return FakeSandbox(PROGRAMS)
    real: EngineSandbox = request.getfixturevalue(request.param)
    return real


@pytest_asyncio.fixture(loop_scope="session")
async def any_box(any_sandbox: Sandbox, spec: BoxSpec) -> AsyncIterator[Box]:
    opened = await any_sandbox.open(spec)
    yield opened
    await opened.close()


async def test_a_command_ends_with_its_output_and_exit_code(any_box: Box) -> None:
    result = await any_box.run(["echo", "hello", "box"], env={}, timeout=10)
    assert (result.ending, result.exit_code, result.output) == (Ending.EXITED, 0, b"hello box\n")
    assert (result.truncated, result.orphans) == (False, 0)
    assert (await any_box.run(["sh", "-c", "exit 3"], env={}, timeout=10)).exit_code == 3


async def test_files_go_in_and_what_matches_comes_out(any_box: Box) -> None:
    await any_box.put({"in.txt": b"work", "deep/er/x.txt": b"\0\xff"}, "/workspace")
    await any_box.put({"instruction.md": b"do "}, "/task")
    command = "mkdir out; cat /task/instruction.md in.txt > out/copy.txt"
    await any_box.run(["sh", "-c", command], env={}, timeout=10)
    assert await any_box.take(["out/*"]) == {"out/copy.txt": b"do work"}
    assert await any_box.take(["**/*.txt"]) == {
        "in.txt": b"work",
        "deep/er/x.txt": b"\0\xff",
        "out/copy.txt": b"do work",
    }
    assert await any_box.take(["nothing"]) == {}


async def test_the_read_only_areas_are_seen_by_the_command(any_box: Box) -> None:
    await any_box.put({"a.txt": b"A"}, "/scaffold")
    await any_box.put({"b.txt": b"B"}, "/tests")
    await any_box.run(["sh", "-c", "cp /scaffold/a.txt x; cat x /tests/b.txt > all.txt"], env={}, timeout=10)
    assert await any_box.take(["all.txt"]) == {"all.txt": b"AB"}


async def test_what_is_left_out_is_not_taken_but_can_be_named(any_box: Box) -> None:
    await any_box.put({"a.py": b"1", "deep/node_modules/x/y.py": b"2", "node_modules/z.py": b"3"}, "/workspace")
    assert await any_box.take(["**"], without=["**/node_modules"], max_files=1) == {"a.py": b"1"}
    assert set(await any_box.names()) == {"a.py", "deep/node_modules/x/y.py", "node_modules/z.py"}
    assert set(await any_box.names(without=["deep/*"])) == {"a.py", "deep/node_modules/", "node_modules/z.py"}
    assert len(await any_box.names(most=2)) == 2


async def test_a_file_that_may_be_executed_keeps_that_on_its_way(any_box: Box) -> None:
    await any_box.put({"run.sh": Executable(b"exit 5"), "plain.sh": b""}, "/workspace")
    taken = await any_box.take(["*.sh"])
    assert {path: isinstance(body, Executable) for path, body in taken.items()} == {
        "run.sh": True,
        "plain.sh": False,
    }


async def test_the_environment_is_what_was_given(any_box: Box) -> None:
    result = await any_box.run(["sh", "-c", "echo $COLOUR"], env={"COLOUR": "grün"}, timeout=10)
    assert result.output.decode() == "grün\n"


async def test_a_command_that_takes_too_long_is_a_timeout(any_box: Box) -> None:
    result = await any_box.run(["sleep", "60"], env={}, timeout=0.3)
    assert (result.ending, result.exit_code) == (Ending.TIMEOUT, None)


async def test_a_command_may_run_as_much_longer_as_it_is_granted(any_box: Box) -> None:
    start = time.monotonic()

    def more() -> float:
        """All time is granted until 0.6 s have passed; then the command has 0.3 s of its own left."""
        return min(time.monotonic() - start, 0.6)

    result = await any_box.run(["sleep", "60"], env={}, timeout=0.3, more=more)
    assert (result.ending, result.exit_code) == (Ending.TIMEOUT, None)
    assert 0.85 < result.seconds < 30
    assert (await any_box.run(["sleep", "0.7"], env={}, timeout=0.3, more=lambda: 9.0)).ending is Ending.EXITED


async def test_a_command_that_is_granted_nothing_ends_in_time_and_the_box_stays_usable(any_box: Box) -> None:
    result = await any_box.run(["sleep", "60"], env={}, timeout=0.2, more=lambda: 0.0)
    assert (result.ending, result.seconds < 30) == (Ending.TIMEOUT, True)
    assert (await any_box.run(["echo", "hello", "box"], env={}, timeout=10)).output == b"hello box\n"


async def test_long_output_keeps_its_two_ends(any_box: Box) -> None:
    script = "head -c 5000 /dev/zero | tr '\\0' a; head -c 5000 /dev/zero | tr '\\0' b"
    result = await any_box.run(["sh", "-c", script], env={}, timeout=10, output_limit=100)
    assert result.truncated
    assert result.output == b"a" * 50 + b"\n[... 9900 bytes left out ...]\n" + b"b" * 50


async def test_what_is_heard_is_the_output(any_box: Box) -> None:
    heard: list[bytes] = []
    script = "head -c 5000 /dev/zero | tr '\\0' a; head -c 5000 /dev/zero | tr '\\0' b"
    result = await any_box.run(["sh", "-c", script], env={}, timeout=10, output_limit=100, heard=heard.append)
    assert b"".join(heard) == result.output


@pytest.mark.docker
async def test_output_is_heard_while_the_command_runs(docker_sandbox: Sandbox, spec: BoxSpec) -> None:
    box, first = await docker_sandbox.open(spec), asyncio.Event()
    script = "echo now; while [ ! -e seen ]; do sleep 0.05; done"
    running = asyncio.create_task(
        box.run(["sh", "-c", script], env={}, timeout=2, heard=lambda piece: first.set() if b"now" in piece else None)
    )
    await asyncio.wait_for(first.wait(), 30)
    assert not running.done()
    assert (await running).ending is Ending.TIMEOUT
    await box.close()


async def test_a_command_that_does_not_exist_is_a_result(any_box: Box) -> None:
    result = await any_box.run(["no-such-program"], env={}, timeout=10)
    assert (result.ending, result.exit_code) == (Ending.EXITED, 127)
    assert b"no-such-program" in result.output


async def test_too_many_files_or_bytes_are_the_candidates_fault(any_box: Box) -> None:
    await any_box.put({f"f{i}": b"12345" for i in range(5)}, "/workspace")
    with pytest.raises(CandidateFault, match="more than 4 files"):
        await any_box.take(["f*"], max_files=4)
    with pytest.raises(CandidateFault, match="24 bytes"):
        await any_box.take(["f*"], max_bytes=24)
    assert len(await any_box.take(["f*"], max_files=5, max_bytes=25)) == 5


async def test_an_unusable_name_is_the_candidates_fault(any_box: Box) -> None:
    await any_box.run(["touch", "line\nbreak.py"], env={}, timeout=10)
    with pytest.raises(CandidateFault, match="control character"):
        await any_box.take(["*.py"])
    assert await any_box.take(["*.txt"]) == {}


async def test_no_path_leaves_its_root(any_box: Box) -> None:
    for path in ("../up", "/abs", "a//b", "a/./b", "", "new\nline", "nul\0", "bad\udcff"):
        for root in ("/workspace", "/scaffold", "/task", "/tests"):
            with pytest.raises(CandidateFault):
                await any_box.put({path: b""}, root)


async def test_an_unknown_root_is_a_defect_of_the_caller(any_box: Box) -> None:
    with pytest.raises(ValueError, match="/etc"):
        await any_box.put({"passwd": b""}, "/etc")


async def test_only_a_box_with_a_gateway_has_a_socket(any_sandbox: Sandbox, spec: BoxSpec) -> None:
    closed = await any_sandbox.open(spec)
    opened = await any_sandbox.open(BoxSpec(image=spec.image, gateway=True))
    assert closed.socket is None
    assert opened.socket is not None
    assert closed.id != opened.id
    await closed.close()
    await opened.close()


async def test_a_box_can_be_closed_twice_and_serves_no_more(any_sandbox: Sandbox, spec: BoxSpec) -> None:
    opened = await any_sandbox.open(spec)
    await opened.close()
    await opened.close()
    with pytest.raises(ValueError, match="closed"):
        await opened.run(["echo"], env={}, timeout=1)
