"""What a running campaign shows: a panel that redraws itself on a terminal, plain lines elsewhere.

Everything that a model wrote passes through `clean_line` and is drawn as text, never as markup.
"""

from __future__ import annotations

import asyncio
import math
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
from agent.kernel.decide.gate import PairedTest
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.match import Match
from agent.live.status import tell

SHOWN_EVENTS = 8
SHOWN_NODES = 6
REDRAW_SECONDS = 0.5
PLAIN_SECONDS = 15.0


async def watch(campaign: Campaign, console: Console) -> None:
    """Show a campaign until cancelled: here, and to readers in other processes."""
    async with asyncio.TaskGroup() as views:
        views.create_task(tell(campaign, campaign.state.ledger.path.parent))
        views.create_task(_panel(campaign, console) if console.is_terminal else _lines(campaign, console))


async def _panel(campaign: Campaign, console: Console) -> None:
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            live.update(render(campaign))
            await asyncio.sleep(REDRAW_SECONDS)


async def _lines(campaign: Campaign, console: Console) -> None:
    ledger = campaign.state.ledger
    latest = ledger.latest()
    seen = latest[0] if latest else 0
    due = time.monotonic() + PLAIN_SECONDS
    try:
        while True:
            seen = _print_events(campaign, console, seen)
            if time.monotonic() >= due:
                console.print(Text(_status(campaign)))
                due = time.monotonic() + PLAIN_SECONDS
            await asyncio.sleep(REDRAW_SECONDS)
    finally:
        _print_events(campaign, console, seen)


def _print_events(campaign: Campaign, console: Console, seen: int) -> int:
    for number, at, kind, text in campaign.state.ledger.events(after=seen):
        console.print(Text(f"{time.strftime('%H:%M:%S', time.localtime(at))} {kind:<9} {clean_line(text)}"))
        seen = number
    return seen


def _status(campaign: Campaign) -> str:
    state, spent = campaign.state, campaign.parts.budget.spent
    parts = [
        f"{spent.seconds / 60:.1f} min",
        f"{state.trials} trials",
        f"{spent.tokens:,} tokens",
        f"{len(state.candidates) - 1} proposals",
        f"champion #{state.champion}",
    ]
    if campaign.match is not None:
        parts.append(_match_line(campaign.match))
    return "  ".join(parts)


def _match_line(match: Match) -> str:
    text = f"gate: #{match.candidate.id} against #{match.champion.id}, {match.pairs} pairs"
    if isinstance(match.test, PairedTest):
        text += f", e-value {_odds(match.test.log_e)} of {_odds(match.test.log_threshold)}"
    return text


def _odds(log: float) -> str:
    return f"{math.exp(min(log, 300.0)):.3g}"


def render(campaign: Campaign) -> RenderableType:
    """The whole panel, fit for 80 columns."""
    config = campaign.config
    state = "PAUSED: " + campaign.trouble if campaign.trouble else campaign.stopping or ""
    title = f"ratchet/{config.name}"
    parts: list[RenderableType] = [_budget_bar(campaign), Text(_status(campaign), overflow="fold")]
    if state:
        parts.append(Text(clean_line(state), style="bold yellow"))
    parts += [_nodes(campaign), Text("")]
    for _, at, kind, text in campaign.state.ledger.events(last=SHOWN_EVENTS):
        line = f"{time.strftime('%H:%M:%S', time.localtime(at))} {kind:<9} {clean_line(text)}"
        parts.append(Text(line, overflow="ellipsis", no_wrap=True, style="green" if kind == "commit" else ""))
    return Panel(Group(*parts), title=title, subtitle="Ctrl-C finishes what is in flight and stops")


def _budget_bar(campaign: Campaign) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(width=8)
    row.add_column(ratio=1)
    row.add_row("budget", ProgressBar(total=1.0, completed=campaign.parts.budget.fraction()))
    return row


def _nodes(campaign: Campaign) -> RenderableType:
    """The best candidates by search score."""
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
