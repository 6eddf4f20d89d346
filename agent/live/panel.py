"""What a running campaign shows: a panel that redraws itself on a terminal, plain lines elsewhere.

Everything that a model wrote passes through `clean_line` and is drawn as text, never as markup.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.base.text import clean_line
from agent.kernel.decide.archive import SIZE
from agent.kernel.loop.campaign import Campaign
from agent.live.status import Now, publish, snapshot

SHOWN_EVENTS = 8
SHOWN_NODES = 6
REDRAW_SECONDS = 0.5
PLAIN_SECONDS = 15.0


async def watch(campaign: Campaign, console: Console) -> None:
    """Show a campaign until cancelled: here, and to other processes."""
    async with asyncio.TaskGroup() as views:
        views.create_task(publish(campaign, campaign.state.ledger.path.parent))
        views.create_task(_panel(campaign, console) if console.is_terminal else _lines(campaign, console))


async def _panel(campaign: Campaign, console: Console) -> None:
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            live.update(render(campaign))
            await asyncio.sleep(REDRAW_SECONDS)


async def _lines(campaign: Campaign, console: Console) -> None:
    """For a log: a line for each event, unbroken, so that `grep` finds it whole."""
    ledger = campaign.state.ledger
    latest = ledger.latest()
    seen = latest[0] if latest else 0
    due = time.monotonic() + PLAIN_SECONDS
    try:
        while True:
            seen = _print_events(campaign, console, seen)
            if time.monotonic() >= due:
                console.print(Text(status_line(campaign, snapshot(campaign))), soft_wrap=True)
                due = time.monotonic() + PLAIN_SECONDS
            await asyncio.sleep(REDRAW_SECONDS)
    finally:
        _print_events(campaign, console, seen)


def _print_events(campaign: Campaign, console: Console, seen: int) -> int:
    for number, at, kind, text in campaign.state.ledger.events(after=seen):
        console.print(Text(_event_line(at, kind, text)), soft_wrap=True)
        seen = number
    return seen


def _event_line(at: float, kind: str, text: str) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))} {kind:<9} {clean_line(text)}"


def status_line(campaign: Campaign, now: Now) -> str:
    """What was used, and what the gate is at, in one line."""
    state, spent = campaign.state, campaign.parts.budget.spent
    parts = [
        f"{spent.seconds / 60:.1f} min",
        f"{state.trials} trials",
        f"{spent.tokens:,} tokens",
        f"{len(state.candidates) - 1} proposals",
        f"champion #{state.champion}",
        *([now.test.sentence] if now.test else []),
    ]
    return "  ".join(parts)


def render(campaign: Campaign) -> RenderableType:
    """The whole panel, 80 columns wide."""
    now = snapshot(campaign)
    doing, why = now.doing
    parts: list[RenderableType] = [_budget_bar(campaign), Text(status_line(campaign, now), overflow="fold")]
    if why:
        parts.append(Text(f"{doing.upper()}: {clean_line(why)}", style="bold yellow"))
    parts += [_nodes(campaign), Text("")]
    for _, at, kind, text in campaign.state.ledger.events(last=SHOWN_EVENTS):
        style = "green" if kind == "commit" else ""
        parts.append(Text(_event_line(at, kind, text), overflow="ellipsis", no_wrap=True, style=style))
    title = f"ratchet/{campaign.config.name}"
    return Panel(Group(*parts), title=title, subtitle="Ctrl-C stops after the work in flight")


def _budget_bar(campaign: Campaign) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(width=8)
    row.add_column(ratio=1)
    row.add_row("budget", ProgressBar(total=1.0, completed=campaign.parts.budget.fraction()))
    return row


def _nodes(campaign: Campaign) -> RenderableType:
    """The champion and the best candidates by search score."""
    state, archive = campaign.state, campaign.state.archive
    best = np.lexsort((archive.column(SIZE), -archive.means))[:SHOWN_NODES]
    others = [archive.ids[row] for row in best if archive.ids[row] != state.champion]
    nodes = [archive.node(number) for number in (state.champion, *others) if number in archive]
    table = Table(box=None, padding=(0, 1), expand=True)
    for name in ("id", "search", "trials"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("patch", ratio=1, no_wrap=True, overflow="ellipsis")
    for node in nodes[:SHOWN_NODES]:
        mark = "* " if node.id == state.champion else ""
        subject = mark + clean_line(state.candidates[node.id].subject)
        table.add_row(f"#{node.id}", f"{node.mean:.2f}", f"{node.trials:.0f}", Text(subject))
    return table
