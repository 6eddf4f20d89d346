"""The panel: it fits, and nothing that a model wrote gets out of its place."""

from __future__ import annotations

import asyncio
import io
import unicodedata

from rich.console import Console

from agent.kernel.loop.campaign import Campaign
from agent.live.panel import render, watch
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp [bold red]x[/] :smile: " + "long " * 60


def hostile(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = f"SKILL = {int(scene.env['RATCHET_SEED']) % 60}\n".encode()
    scene.workspace["PATCH.md"] = f"{HOSTILE}\n".encode()


def printed(campaign: Campaign, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(campaign))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_hostile_subjects_stay_text_in_a_panel_of_80_columns(make_lab: MakeLab) -> None:
    lab = make_lab(hostile, trials=80)
    async with lab.campaign() as campaign:
        await campaign.run()
        campaign.pauses.trouble = "disk full"
        text = printed(campaign, 80)
    assert "gnp [bold red]x[/] :smile:" in text
    assert "PAUSED: disk full" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs"}]


async def test_off_a_terminal_every_event_is_one_line(make_lab: MakeLab) -> None:
    lab = make_lab(hostile, trials=40)
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    async with lab.campaign() as campaign:
        view = asyncio.create_task(watch(campaign, console))
        await asyncio.sleep(0)
        await campaign.run()
        view.cancel()
        await asyncio.gather(view, return_exceptions=True)
        events = campaign.state.ledger.events()
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.split()[1] for line in lines if line] == [event.kind for event in events]
