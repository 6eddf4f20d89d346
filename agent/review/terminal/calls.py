"""Recorded model calls, and what models can do, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from agent.base.refusal import Refusal
from agent.base.text import visible, visible_lines
from agent.base.types import Call
from agent.models.dialects import show
from agent.models.gateway.features import Tried
from agent.review.terminal.folding import folded

COLUMNS = ("trial", "role", "status", "source", "tokens", "cost", "seconds")
_GAP = "  "


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
    rows = [{name: visible(text) for name, text in show.row(call).items()} for call in calls]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in COLUMNS}
    console.print(_line({name: name for name in COLUMNS}, widths, "dim"))
    for row in rows:
        console.print(_line(row, widths, ""))
        console.print(Text(f"{_GAP}{row['answer'] or '(no text)'}", "dim", no_wrap=True, overflow="ellipsis"))


def _line(row: Mapping[str, str], widths: Mapping[str, int], style: str) -> Text:
    """One call's figures; the answer has a line of its own, so that both fit into 80 columns."""
    line = _GAP.join(f"{row[name]:<{widths[name]}}" for name in COLUMNS).rstrip()
    return Text(line, style, no_wrap=True, overflow="ellipsis")


def print_refusals(refusals: Sequence[Refusal], console: Console) -> None:
    """Print the calls that the gateway refused without asking a model; nothing where there are none."""
    if refusals:
        console.print("Refused without asking a model:")
    for one in refusals:
        times = f"{one.times} x " if one.times > 1 else ""
        console.print(Text(visible(f"  {one.trial}  {times}{one.path} {one.status} {one.code}: {one.reason}")))


def print_tried(one: Tried, console: Console) -> bool:
    """Print what `ratchet models test` found of one model; True if it answered."""
    head = f"{one.role:<10} {one.model}"
    if one.error is not None:
        _print_folded(f"FAIL {head}: {one.error}", console, "red")
        return False
    price = "no price known" if one.dollars is None else f"${one.dollars:.6f}"
    can = ", ".join(f"{name} {'yes' if works else 'no'}" for name, works in one.features.items())
    seconds = one.seconds or 0.0
    line = f"ok   {head}: {seconds:.2f} s, {one.tokens_in}+{one.tokens_out} tokens, {price}; {can}, streaming yes"
    for said in (line, *(f"     {note}" for note in one.notes)):
        _print_folded(said, console, "")
    return True


def _print_folded(text: str, console: Console, style: str) -> None:
    for line in folded(visible(text), console.width, 5):
        console.print(Text(line, style=style), soft_wrap=True)
