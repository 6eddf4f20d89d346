"""One answer to what a campaign is doing: in the panel, in `ratchet status` and in the dashboard."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from agent.kernel.loop.campaign import Campaign
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.lock import held
from agent.live.panel import render
from agent.live.status import FILE, Now, OpenTest, activity, publish, recorded, snapshot
from agent.review.dashboard.pages import render_page
from agent.review.dashboard.watch import Record
from agent.review.terminal.status import print_status, status
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, solve

ANOTHER = 999_999


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as made:
        yield made


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n"


@pytest.mark.parametrize(
    ("running", "now", "events", "said"),
    [
        (False, None, [], ("stopped", "")),
        (False, None, [("begin", "b"), ("end", "no time left")], ("stopped", "no time left")),
        (False, Now(pid=os.getpid(), paused="p"), [("begin", "b")], ("stopped", "did not end in order")),
        (True, Now(pid=os.getpid()), [("begin", "b"), ("paused", "old")], ("running", "")),
        (True, Now(pid=os.getpid(), paused="disk full"), [("begin", "b")], ("paused", "disk full")),
        (True, Now(pid=os.getpid(), paused="p", stopping="Ctrl-C"), [], ("stopping", "Ctrl-C")),
        (True, Now(pid=ANOTHER, paused="p", running=("x",)), [("begin", "b")], ("running", "")),
        (True, None, [("begin", "b"), ("paused", "disk full")], ("paused", "disk full")),
        (True, None, [("begin", "b"), ("paused", "disk full"), ("resumed", "r")], ("running", "")),
        (True, None, [("begin", "b"), ("stopping", "Ctrl-C"), ("say", "x")], ("stopping", "Ctrl-C")),
    ],
)
def test_the_file_is_believed_while_its_writer_lives_and_else_the_ledger(
    tmp_path: Path,
    ledger: Ledger,
    *,
    running: bool,
    now: Now | None,
    events: list[tuple[str, str]],
    said: tuple[str, str],
) -> None:
    for kind, text in events:
        ledger.note(kind, text)
    if now is not None:
        (tmp_path / FILE).write_text(now.model_dump_json())
    with held(tmp_path) if running else nullcontext():
        found = activity(tmp_path, recorded(ledger))
    assert found.doing == said[0]
    assert said[1] in found.why
    assert bool(found.why) == bool(said[1])
    assert found.pid == (os.getpid() if running else None)
    if now is not None and not (running and now.pid == os.getpid()):
        assert found.now is not None
        assert found.now.running == ()


def test_steps_that_are_alike_are_counted() -> None:
    assert Now(pid=1, running=("pair 3", "trial of #2", "trial of #2")).in_flight == ["pair 3", "2 x trial of #2"]


def test_a_test_shows_its_evidence_until_its_verdict() -> None:
    test = OpenTest(id=1, candidate=4, champion=2, pairs=12, log_e=1.0, log_threshold=3.0)
    assert test.sentence == "gate: #4 against #2, 12 pairs, e-value 2.72 of 20.1"
    assert OpenTest(id=1, candidate=4, champion=0, pairs=1).sentence == "gate: #4 against the seed, 1 pair"
    assert test.model_copy(update={"verdict": "futile"}).sentence == "gate: #4 against #2, 12 pairs: futile"
    passed = test.model_copy(update={"verdict": "accepted"})
    assert passed.sentence == "holdout: #4 passed the gate after 12 pairs"
    assert passed.model_copy(update={"stage": "parts"}).sentence == "parts: #4 passed the gate after 12 pairs"


class Holdout:
    """A solver that stops at the first held-out task until it is let go."""

    def __init__(self) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def solve(self, scene: FakeRun) -> object:
        if b"of holdout" in scene.task["instruction.md"]:
            self.reached.set()
            await self.go.wait()
        return solve(scene)


def printed(campaign: Campaign) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(render(campaign))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def status_printed(campaign: Campaign, ledger: Ledger) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_status(campaign.config, ledger, console, as_json=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_during_the_holdout_all_three_say_holdout_and_none_says_gate(make_lab: MakeLab) -> None:
    holdout = Holdout()
    lab: Lab = make_lab(better, solve=holdout.solve)
    (lab.folder / "runs").mkdir()
    (lab.folder / "runs" / lab.name).symlink_to(lab.folder)  # as `ratchet run` has it: one folder for all
    async with lab.campaign() as campaign:
        folder = campaign.config.folder
        with held(folder):
            running = asyncio.create_task(campaign.run())
            await holdout.reached.wait()
            publishing = asyncio.create_task(publish(campaign, folder))
            while not (folder / FILE).exists():  # noqa: ASYNC110 (another process would poll, too)
                await asyncio.sleep(0.005)
            sentence = snapshot(campaign).test.sentence  # type: ignore[union-attr]
            assert sentence.startswith("holdout: #")
            assert sentence in " ".join(printed(campaign).replace("│", " ").split())
            with lab.ledger() as ledger:
                facts = status(campaign.config, ledger)
                assert (facts["state"], facts["at"], facts["pid"]) == ("running", sentence, os.getpid())
                assert sentence in status_printed(campaign, ledger)
            view = Record(folder).view()
            page = render_page("now.html", view=view, login=None, mine=False)
            assert "<h3>Holdout</h3>" in page
            assert "At the gate" not in page
            assert all("gate:" not in text for text in (printed(campaign), str(facts["at"])))
            publishing.cancel()
            holdout.go.set()
            await running
            await asyncio.gather(publishing, return_exceptions=True)
        assert snapshot(campaign).test is None
