"""What `ratchet log` and `ratchet show` print: accepted patches with their evidence, and every candidate's fate.

Every word that is printed may have been chosen by a model, so all of it goes through `agent.review.safe`, and
into `Text`, where rich reads no markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from agent.kernel.repository import Commit
from agent.kernel.types import Candidate, Fate, Trial
from agent.review.safe import visible, visible_lines

WIDE = 110
"""Columns from which evidence and holdout get columns of their own."""

_FATE_STYLES = {
    Fate.OPEN: "cyan",
    Fate.WAITING: "bold magenta",
    Fate.REFUSED: "yellow",
    Fate.REJECTED: "red",
    Fate.CHAMPION: "bold green",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """One accepted patch. The evidence is in the words of its trailers, "" where there is none."""

    commit: Commit
    candidate: int | None
    score: str
    evidence: str
    holdout: str


def accepted(commits: Sequence[Commit]) -> list[Accepted]:
    """Read the evidence of accepted commits out of their trailers, in the same order."""
    return [_accepted(commit) for commit in commits]


def _accepted(commit: Commit) -> Accepted:
    candidate = commit.trailers.get("Ratchet-Candidate", "")
    return Accepted(
        commit=commit,
        candidate=int(candidate) if candidate.isascii() and candidate.isdigit() else None,
        score=commit.trailers.get("Ratchet-Score", ""),
        evidence=commit.trailers.get("Ratchet-Evidence", ""),
        holdout=commit.trailers.get("Ratchet-Holdout", ""),
    )


# ------------------------------------------------------------------------------------ log


def render_log(
    commits: Sequence[Commit], candidates: Sequence[Candidate], console: Console, *, rejected: bool = False
) -> None:
    """Print the accepted patches, newest first and, if asked, what became of every other candidate."""
    if commits:
        console.print(_log_table(accepted(commits), wide=console.width >= WIDE))
    else:
        console.print(Text("No patch was accepted yet."))
    if not rejected:
        return
    others = [one for one in candidates if one.id != 0 and one.fate is not Fate.CHAMPION]
    console.print()
    if others:
        console.print(_fate_table(others))
    else:
        console.print(Text("Nothing else was proposed."))


def _log_table(rows: Sequence[Accepted], *, wide: bool) -> Table:
    table = _table("#", "commit", "accepted", "patch", "score", *(("evidence", "holdout") if wide else ()))
    for row in rows:
        number = "" if row.candidate is None else str(row.candidate)
        cells = [number, row.commit.sha[:9], _when(row.commit.time), row.commit.subject, row.score]
        table.add_row(*map(_cell, cells + ([row.evidence, row.holdout] if wide else [])))
    return table


def _fate_table(candidates: Sequence[Candidate]) -> Table:
    table = _table("#", "from", "fate", "patch", "why")
    for one in candidates:
        parent = "" if one.parent is None else str(one.parent)
        fate = Text(one.fate.value, style=_FATE_STYLES[one.fate])
        table.add_row(_cell(str(one.id)), _cell(parent), fate, _cell(one.subject), _cell(one.reason))
    return table


# ------------------------------------------------------------------------------------ show


def render_show(
    candidate: Candidate,
    diff: str,
    trials: Sequence[Trial],
    console: Console,
    *,
    transcript: str | None = None,
    commit: Commit | None = None,
    flags: Sequence[str] = (),
) -> None:
    """Print one candidate: its fate and why, flags, what its author says, its evidence and trials, and the patch."""
    console.print(Text.assemble((f"#{candidate.id} ", "bold"), (visible(candidate.subject), "bold")))
    origin = "the scaffold as it was" if candidate.parent is None else f"made from #{candidate.parent}"
    fate = (candidate.fate.value, _FATE_STYLES[candidate.fate])
    console.print(Text.assemble(fate, f", {origin}", f": {visible(candidate.reason)}" if candidate.reason else ""))
    if flags:
        _section(console, "look at first (added by this patch; docs/unattended.md)", [visible(flag) for flag in flags])
    if candidate.body:
        _section(console, "in its author's words", visible_lines(candidate.body))
    if commit is not None:
        _section(console, f"commit {commit.sha}, {_when(commit.time)}", [])
        console.print(_trailer_table(commit))
    if trials:
        _section(console, f"{len(trials)} search trials, mean {sum(t.score for t in trials) / len(trials):.3f}", [])
        console.print(_trial_table(trials))
    if diff:
        _section(console, "patch", [])
        render_diff(diff, console)
    if transcript is not None:
        _section(console, "what its proposer printed", visible_lines(transcript))


def render_diff(diff: str, console: Console) -> None:
    """Print a patch in colour; long lines are left to the terminal, so that a pipe gets them unbroken."""
    syntax = Syntax("", "diff", theme="ansi_dark", background_color="default")
    text = syntax.highlight("\n".join(visible_lines(diff)))
    text.rstrip()
    console.print(text, soft_wrap=True)


def _section(console: Console, title: str, lines: Sequence[str]) -> None:
    console.print()
    console.print(Text(title, style="dim"))
    if lines:
        console.print(Text("\n".join(f"  {line}".rstrip() for line in lines)), soft_wrap=True)


def _trailer_table(commit: Commit) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in commit.trailers.items():
        table.add_row(_cell(f"  {key.removeprefix('Ratchet-')}"), _cell(value))
    return table


def _trial_table(trials: Sequence[Trial]) -> Table:
    """One row a task: how often it was tried, its mean, and why it last fell short."""
    table = _table("  task", "trials", "mean", "why")
    by_task: dict[str, list[Trial]] = {}
    for trial in trials:
        by_task.setdefault(trial.task, []).append(trial)
    for task, tried in sorted(by_task.items()):
        mean = sum(trial.score for trial in tried) / len(tried)
        short = [trial.reason for trial in tried if trial.score < 1]
        cells = (f"  {task}", str(len(tried)), f"{mean:.2f}", short[-1] if short else "")
        table.add_row(*map(_cell, cells))
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for header in headers:
        prose = header in {"patch", "why", "score", "evidence", "holdout"}
        table.add_column(header, no_wrap=not prose, overflow="fold")
    return table


def _cell(text: str) -> Text:
    return Text(visible(text))


def _when(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%m-%d %H:%M")
