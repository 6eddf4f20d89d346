"""A process that was stopped voids what was in flight; one that was busy does not."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from agent.base.types import Purpose, Side
from agent.trials.executor import Job
from agent.trials.heartbeat import BEAT_SECONDS, LATE_SECONDS, Heartbeat, Stopped, unstopped
from agent.trials.pairs import Void, both
from sandbox.fake import FakeRun
from tests.kernel.lab import MakeLab, solve

CHILD = """
import asyncio, sys
from pathlib import Path
from agent.base.types import Purpose
from agent.trials.executor import Job
from agent.trials.pairs import both
from tests.kernel.lab import Lab, solve

started = asyncio.Event()

async def slowly(scene):
    if started.is_set():  # the second side, which is in flight while the process is stopped
        print("go", flush=True)
        await asyncio.sleep(float(sys.argv[2]))
    started.set()
    return solve(scene)

async def main():
    lab = Lab(Path(sys.argv[1]), lambda scene: None, solve=slowly)
    async with lab.campaign() as campaign:
        task = campaign.parts.suite.tasks[0]
        tree = campaign.parts.repository.tree_of("main")
        job = Job(tree=tree, task=task, purpose=Purpose.GATE, seed=1, answer_scope=None)
        print("outcome", await both(campaign.parts.evaluator, job, job, 0), flush=True)

asyncio.run(main())
"""


def ticking(*moments: tuple[float, float]) -> Heartbeat:
    """A heart that beat at these moments: (clock, CPU seconds used), from (0, 0) on."""
    clock, busy = iter([0.0, *(at for at, _ in moments)]), iter([0.0, *(used for _, used in moments)])
    heart = Heartbeat(clock=lambda: next(clock), busy=lambda: next(busy))
    for _ in moments:
        heart.beat()
    return heart


def test_beats_in_time_are_no_gap() -> None:
    assert ticking((0.5, 0.0), (1.0, 0.0), (1.6, 0.1)).idle < 0.2


def test_a_gap_without_work_is_how_long_the_process_was_stopped() -> None:
    assert ticking((0.5, 0.0), (20.5 + BEAT_SECONDS, 0.1), (21.5, 0.1)).idle == pytest.approx(20.0)


def test_a_process_that_computed_meanwhile_was_busy_and_not_stopped() -> None:
    assert ticking((0.5, 0.0), (20.5, 15.0)).idle == 0.0


async def test_a_loop_that_was_busy_voids_nothing() -> None:
    async with unstopped(late=0.2):
        end = time.process_time() + 1.5
        while time.process_time() < end:
            pass


async def test_what_ran_undisturbed_is_not_void() -> None:
    async with unstopped():
        await asyncio.sleep(0)


def test_a_real_stop_voids_the_pair_on_both_sides_although_one_side_had_ended(tmp_path: object) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        child.send_signal(signal.SIGSTOP)
        time.sleep(LATE_SECONDS + 2)
        child.send_signal(signal.SIGCONT)
        outcome = child.stdout.readline()
        assert child.wait(60) == 0
    assert "Void(side=<Side.BOTH: 'both'>" in outcome
    assert "was stopped for" in outcome


async def test_a_stop_during_one_side_is_charged_to_both(make_lab: MakeLab) -> None:
    calls: list[int] = []

    def stopped_once(scene: FakeRun) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise Stopped("this process was stopped for 9 s while a trial ran")
        return solve(scene)

    lab = make_lab(lambda _: None, solve=stopped_once)
    async with lab.campaign() as campaign:
        task, tree = campaign.parts.suite.tasks[0], campaign.parts.repository.tree_of("main")
        job = Job(tree=tree, task=task, purpose=Purpose.GATE, seed=1, answer_scope=None)
        outcome = await both(campaign.parts.evaluator, job, job, 0)
    assert isinstance(outcome, Void)
    assert outcome.side is Side.BOTH
