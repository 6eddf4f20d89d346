"""The end of a campaign on one screen."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.text import clean_line, cut
from agent.base.types import Fate
from agent.review.summary import Summary
from agent.review.terminal.folding import folded

SHOWN_REJECTED = 12
MOST_IMPROVER = 100
"""Characters of the line that names the program which wrote the patches."""


def print_summary(
    summary: Summary, *, name: str, hint: Callable[[str], str], console: Console, git: str = "git"
) -> None:
    """Print the summary, 80 columns wide.

    `hint` completes a command to one that can be pasted; `git` starts those on the campaign's repository.
    """
    console.rule(f"campaign {name}: {clean_line(summary.ending)}")
    _print_scores(summary, console)
    _print_candidates(summary, hint, console)
    if (warning := summary.room.warning) is not None:
        console.print(Text(warning))
    if summary.improver is not None:
        console.print(Text(_improver(summary.improver)), soft_wrap=True)
    cost = f"${summary.dollars:.4f}" + (f" and {summary.unpriced} calls without a price" if summary.unpriced else "")
    console.print(
        f"{summary.trials} trials, {summary.fresh_calls} model calls, {summary.shared_calls} shared answers, "
        f"{summary.tokens:,} tokens, {cost}, {summary.seconds / 60:.1f} minutes",
        highlight=False,
    )
    console.print("\nNext:", style="bold")
    for command in _next(summary, name, hint, git):
        console.print(Text(f"  {command}"), soft_wrap=True)


def _improver(name: str) -> str:
    start, end = "patches were written by ", ", not by the scaffold itself"
    return f"{start}{cut(clean_line(name), MOST_IMPROVER - len(start + end))}{end}"


def _next(summary: Summary, name: str, hint: Callable[[str], str], git: str) -> list[str]:
    commands = [hint("log"), hint("report")]
    if summary.champion_id:  # there is no branch before the first commit
        of_branch = [f"{git} log ratchet/{name}", f"{git} diff HEAD ratchet/{name}"]
        commands = [*of_branch, *commands, hint(f"show {summary.champion_id}")]
    return commands


def _print_scores(summary: Summary, console: Console) -> None:
    # Held-out tasks are first measured for a commit.
    tasks = "held-out" if summary.champion_id else "search"
    table = Table(title=f"score on {tasks} tasks, fresh trials, 95 % interval", box=None, title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("score", no_wrap=True)
    table.add_row("baseline (seed)", str(summary.baseline or "not measured"))
    if summary.champion_id:
        table.add_row(f"champion (#{summary.champion_id})", str(summary.champion or "not measured"))
        table.add_row("champion - seed, paired", str(summary.gain or "not measured"))
    console.print(table, highlight=False)


def _print_candidates(summary: Summary, hint: Callable[[str], str], console: Console) -> None:
    made = summary.candidates[1:]
    accepted = [c for c in made if c.fate is Fate.CHAMPION]
    down = [c for c in made if c.fate in {Fate.REJECTED, Fate.REFUSED}]
    waiting = sum(c.fate is Fate.WAITING for c in made)
    counts = [f"{len(accepted)} accepted", f"{len(down)} rejected"]
    counts += [f"{waiting} waiting for approval"] if waiting else []
    undecided = [c for c in made if c.fate is Fate.OPEN]
    untried = sum(c.id in summary.untried for c in undecided)
    if undecided:
        counts.append(f"{len(undecided)} not at the gate" + (f" ({untried} without a trial)" if untried else ""))
    console.print(f"\n{len(made)} patches proposed: {', '.join(counts)}", style="bold", highlight=False)
    for candidate in accepted + down[-SHOWN_REJECTED:]:
        style = "green" if candidate.fate is Fate.CHAMPION else "dim"
        line = f"  #{candidate.id} {candidate.fate}: {clean_line(candidate.subject)}"
        for said in (line, *folded(f"     {clean_line(candidate.reason)}", console.width, 5)):
            console.print(Text(said, style=style))
    if len(down) > SHOWN_REJECTED:
        console.print(f"  ... and {len(down) - SHOWN_REJECTED} more: {hint('log --rejected')}", style="dim")
