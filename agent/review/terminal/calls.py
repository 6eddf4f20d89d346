"""Recorded model calls, and what models can do, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.refusal import Refusal
from agent.base.text import visible, visible_lines
from agent.base.types import Call
from agent.models.dialects import show
from agent.models.gateway.features import Tried

COLUMNS = ("trial", "role", "status", "source", "tokens", "cost", "seconds", "answer")


def print_calls(calls: Sequence[Call], console: Console, *, full: bool) -> None:
    """Print calls in the order given; everything in them was written by strangers and is shown as text."""
    if not calls:
        console.print("No call is recorded there.")
        return
    if full:
        for call in calls:
            console.rule(Text(visible(f"{call.role} {call.model} {call.status}")))
            console.print(Text("\n".join(visible_lines(show.conversation(call)))), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for call in calls:
        row = show.row(call)
        table.add_row(*(Text(visible(row[name])) for name in COLUMNS))
    console.print(table)


def print_refusals(refusals: Sequence[Refusal], console: Console) -> None:
    """Print the calls that the gateway refused without asking a model; nothing where there are none."""
    if refusals:
        console.print("Refused without asking a model:")
    for one in refusals:
        times = f"{one.times} x " if one.times > 1 else ""
        console.print(Text(visible(f"  {one.trial}  {times}{one.path} {one.status} {one.code}: {one.reason}")))


def print_tried(tried: Sequence[Tried], console: Console) -> bool:
    """Print what `ratchet models test` found; True if every model answered."""
    for one in tried:
        head = f"{one.role:<10} {one.model}"
        if one.error is not None:
            console.print(Text(visible(f"FAIL {head}: {one.error}"), style="red"))
            continue
        price = "no price known" if one.dollars is None else f"${one.dollars:.6f}"
        can = ", ".join(f"{name} {'yes' if works else 'no'}" for name, works in one.features.items())
        seconds = one.seconds or 0.0
        line = f"ok   {head}: {seconds:.2f} s, {one.tokens_in}+{one.tokens_out} tokens, {price}; {can}, streaming yes"
        console.print(Text(visible(line)))
        for note in one.notes:
            console.print(Text(visible(f"     {note}")))
    return all(one.error is None for one in tried)
