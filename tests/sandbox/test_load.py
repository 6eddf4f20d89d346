"""Load is seen, it is nobody's in a box, and what a box does adds nothing to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import Starved
from agent.base.types import BoxSpec, RunResult
from agent.trials.grading import STARVED_SHARE, refuse_starved
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.fake import FakeSandbox, ran
from sandbox.load import Monitor, Ticks, _Window, host_load, ticks
from sandbox.others import Others

CORES = os.cpu_count() or 1


class Blamed(Others):
    """Others whose time is dictated."""

    def __init__(self, *seconds: float) -> None:
        super().__init__(lambda _user: False)
        self.script = list(seconds)

    def seconds(self) -> float:
        return self.script.pop(0)


async def figures(share: str, blamed: list[float], passed: Ticks, count: int) -> list[float | None]:
    async with FakeSandbox({"python3": lambda _: share}) as sandbox:
        monitor = Monitor(lambda: sandbox.open(BoxSpec(image="i", gateway=False)), Blamed(*blamed))
        found = []
        for _ in range(count):
            found.append(await monitor._measure(passed))
            await asyncio.sleep(0)
        await monitor.stop()
        assert not sandbox.open_boxes
    return found


async def test_the_figure_is_what_is_missing_to_a_box_times_the_part_of_others() -> None:
    assert await figures("0.25", [0, 1.5, 3], Ticks(2, 0, 0), 3) == [None, None, pytest.approx(0.75 * 0.75)]


async def test_without_other_programs_nothing_is_withheld_however_little_a_box_gets() -> None:
    assert await figures("0.01", [5, 5], Ticks(2, 0, 0), 2) == [None, 0.0]


async def test_while_others_do_little_no_probe_is_made() -> None:
    async with FakeSandbox({}) as sandbox:
        monitor = Monitor(lambda: sandbox.open(BoxSpec(image="i", gateway=False)), Blamed(0, 0.3, 0.6))
        assert [await monitor._measure(Ticks(2, 0, 0)) for _ in range(3)] == [None, 0.0, 0.0]
        assert sandbox.opened == []


async def test_what_the_hypervisor_takes_counts_as_others() -> None:
    assert await figures("0.4", [0, 0, 0], Ticks(1, 1, 0), 3) == [None, None, pytest.approx(0.6 * 0.5)]


async def test_a_probe_that_fails_gives_no_figure_and_another_one_is_made() -> None:
    async with FakeSandbox({"python3": lambda _: ran("no number", 1)}) as sandbox:
        monitor = Monitor(lambda: sandbox.open(BoxSpec(image="i", gateway=False)), Blamed(0, 1, 2, 3, 4, 5))
        for _ in range(6):
            assert await monitor._measure(Ticks(2, 0, 0)) is None
            await asyncio.sleep(0)
        assert len(sandbox.opened) >= 2
        await monitor.stop()


async def test_a_defect_of_the_watch_is_told_at_its_end() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monitor = Monitor(broken, Blamed())  # type: ignore[arg-type]
    monitor._watch = broken_watch  # type: ignore[method-assign]
    monitor.start()
    await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError):
        await monitor.stop()


async def broken_watch() -> None:
    raise ZeroDivisionError


def watched(*windows: tuple[float, float, float | None], seen: float) -> Monitor:
    monitor = Monitor(lambda: asyncio.sleep(0), Blamed())  # type: ignore[arg-type,return-value]
    monitor._windows.extend(_Window(*window) for window in windows)
    monitor._seen = seen
    return monitor


def test_windows_count_by_what_of_them_lies_in_the_run() -> None:
    monitor = watched((0, 1, 0.5), (1, 2, 1.0), (5, 6, 0.2), seen=7)
    assert monitor.withheld(0.5, 5.5) == pytest.approx(0.25 + 1.0 + 0.1)
    assert monitor.withheld(2, 5) == 0
    assert monitor.withheld(6, 100) == 0


def test_a_window_without_a_figure_counts_as_the_next_one_that_has_one() -> None:
    assert watched((0, 1, None), (1, 2, 0.5), seen=9).withheld(0, 2) == pytest.approx(1.0)
    assert watched((0, 1, 0.5), (1, 2, None), seen=9).withheld(0, 2) == pytest.approx(1.0)
    assert watched((0, 1, None), seen=9).withheld(0, 2) == 0


def test_what_is_not_measured_yet_counts_as_the_last_window_but_not_for_long() -> None:
    monitor = watched((0, 1, 0.5), seen=1)
    assert monitor.withheld(0, 2) == pytest.approx(1.0)
    assert monitor.withheld(0, 100) == pytest.approx(3.0)


@given(st.lists(st.floats(0, 1) | st.none(), max_size=20), st.floats(0, 20), st.floats(0, 20))
def test_never_more_than_the_time_itself_is_withheld(found: list[float | None], start: float, length: float) -> None:
    windows = [(n, n + 1, figure) for n, figure in enumerate(found)]
    assert 0 <= watched(*windows, seen=len(found)).withheld(start, start + length) <= length + 1e-9


def test_processor_time_is_read_as_the_kernel_prints_it() -> None:
    tick = os.sysconf("SC_CLK_TCK")
    assert ticks("cpu  100 100 100 600 100 7 7 200 0 0\ncpu0 1") == Ticks(300 / tick, 200 / tick, 700 / tick)
    assert ticks().busy > 0
    assert Ticks(9, 0, 1).contended
    assert not Ticks(8, 0, 2).contended


def test_the_hosts_load_is_one_line() -> None:
    now = host_load()
    assert now.cores >= 1
    assert str(now.cores) in now.line
    assert "\n" not in now.line


# ------------------------------------------------------------------ real boxes


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        yield Path(folder)


@pytest.fixture
def heavy_load() -> Iterator[None]:
    """Eight busy programs a core, each in a session of its own, so that the scheduler does not group them."""
    spin = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(spin, start_new_session=True) for _ in range(8 * CORES)]
    yield
    for program in programs:
        program.kill()
        program.wait()


SPIN_AND_FORK = "import os\nfor _ in range(6): os.fork()\nwhile True: pass"
HIDE = (
    "import ctypes, signal\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\nsignal.signal(17, signal.SIG_IGN)\n" + SPIN_AND_FORK
)
FLOOD = "import os\nwhile True: os.write(1, b'x' * 65536)"
ENGINES = ("dockerd", "containerd", "containerd-shim", "podman", "conmon")


async def measured(box: DockerBox, *argv: str, seconds: float) -> RunResult:
    return await box.run(argv, env={}, timeout=seconds, output_limit=1000)


@pytest.mark.docker
@pytest.mark.slow  # it starves whatever runs beside it
@pytest.mark.usefixtures("heavy_load")
async def test_a_run_beside_heavy_load_is_starved_though_the_box_sleeps(home: Path, image: str) -> None:
    async with DockerSandbox("r", "load", home, ready=0) as sandbox:
        box = await sandbox.open(BoxSpec(image=image, gateway=False))
        result = await measured(box, "sleep", "12", seconds=60)
        await box.close()
    assert result.pressure > STARVED_SHARE * result.seconds
    with pytest.raises(Starved, match="other programs took the processors"):
        refuse_starved(result)


def causes(boxes: list[DockerBox]) -> set[int]:
    """The processes that work because of these boxes: in them, the engine, and our own."""
    found = {os.getpid()}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            groups, name = (entry / "cgroup").read_text(), (entry / "comm").read_text().strip()
            if name in ENGINES or any(box.container in groups for box in boxes):
                found.add(int(entry.name))
    return found


@pytest.mark.docker
@pytest.mark.parametrize("source", [SPIN_AND_FORK, HIDE, FLOOD], ids=["spin", "hide", "flood"])
async def test_nothing_that_a_box_makes_busy_is_blamed(home: Path, image: str, source: str) -> None:
    async with DockerSandbox("r", "busy", home, ready=0) as sandbox:
        boxes = [await sandbox.open(BoxSpec(image=image, gateway=False)) for _ in range(CORES)]
        boxes.append(await sandbox.open(BoxSpec(image=image, gateway=False, user=1234)))
        runs = [asyncio.create_task(measured(box, "python3", "-c", source, seconds=6)) for box in boxes]
        await asyncio.sleep(3)
        assert sandbox._monitor is not None
        others = sandbox._monitor._others
        busy = causes(boxes)
        await asyncio.to_thread(others.seconds)
        judged = {pid: counts for (pid, _), counts in others._known.items() if pid in busy}
        await asyncio.gather(*runs)
        for box in boxes:
            await box.close()
    assert len(judged) > 2 * CORES
    assert not any(judged.values())


NO_DESCRIPTOR = """
import asyncio, resource
from sandbox.load import Monitor
from sandbox.others import Others
async def main():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    monitor = Monitor(None, Others(lambda user: False))
    monitor.start()
    await asyncio.sleep(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    await asyncio.sleep(1.3)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    print(monitor._task.done())
    await monitor.stop()
asyncio.run(main())
"""


def test_a_moment_without_a_free_descriptor_does_not_end_the_watch() -> None:
    done = subprocess.run([sys.executable, "-c", NO_DESCRIPTOR], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
