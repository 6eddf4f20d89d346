"""What `ratchet log` prints: accepted patches with their evidence, the archive by lineage, every candidate's fate.

Every word that is printed may have been chosen by a model, so all of it goes through `agent.base.text`, and
into `Text`, where rich reads no markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from agent.base.text import visible, visible_lines
from agent.base.types import Candidate, Fate
from agent.kernel.decide.evidence import REVERTS_TRAILER
from agent.kernel.git.repository import Commit

WIDE = 110
"""Columns from which evidence and holdout get columns of their own."""

FATE_STYLES = {
    Fate.OPEN: "cyan",
    Fate.WAITING: "bold magenta",
    Fate.REFUSED: "yellow",
    Fate.REJECTED: "red",
    Fate.CHAMPION: "bold green",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """One commit of the campaign. The evidence is in the words of its trailers, "" where there is none.

    `reverts` is the commit that it takes back, `reverted_by` the one that took it back, "" for none.
    """

    commit: Commit
    candidate: int | None
    score: str
    evidence: str
    holdout: str
    reverts: str = ""
    reverted_by: str = ""


def accepted(commits: Sequence[Commit]) -> list[Accepted]:
    """Read the evidence of the campaign's commits out of their trailers, in the same order."""
    undone = {commit.trailers.get(REVERTS_TRAILER): commit.sha for commit in commits}
    return [_accepted(commit, undone.get(commit.sha, "")) for commit in commits]


def _accepted(commit: Commit, reverted_by: str) -> Accepted:
    candidate = commit.trailers.get("Ratchet-Candidate", "")
    return Accepted(
        commit=commit,
        candidate=int(candidate) if candidate.isascii() and candidate.isdigit() else None,
        score=commit.trailers.get("Ratchet-Score", ""),
        evidence=commit.trailers.get("Ratchet-Evidence", ""),
        holdout=commit.trailers.get("Ratchet-Holdout", ""),
        reverts=commit.trailers.get(REVERTS_TRAILER, ""),
        reverted_by=reverted_by,
    )


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


def log_facts(campaign: str, commits: Sequence[Commit], candidates: Sequence[Candidate]) -> dict[str, Any]:
    """The log for programs; texts are as they were written, escaped by JSON alone."""
    rows = [
        {
            "candidate": row.candidate, "sha": row.commit.sha, "parent": row.commit.parents[0],
            "time": row.commit.time, "subject": row.commit.subject, "score": row.score, "evidence": row.evidence,
            "holdout": row.holdout, "reverts": row.reverts or None, "reverted_by": row.reverted_by or None,
        }
        for row in accepted(commits)
    ]  # fmt: skip
    fates = [
        {"id": c.id, "parent": c.parent, "tree": c.tree, "subject": c.subject, "fate": c.fate, "reason": c.reason}
        for c in candidates
    ]
    return {"campaign": campaign, "commits": rows, "candidates": fates}


def render_graph(
    graph: Sequence[tuple[str, str]],
    commits: Mapping[str, int],
    candidates: Sequence[Candidate],
    champion: int,
    console: Console,
) -> None:
    """Print the archive by lineage as git draws it, newest first; `commits` tells whose each commit is."""
    known = {one.id: one for one in candidates}
    for drawn, sha in graph:
        line = _node(known[commits[sha]], champion) if sha in commits else Text(sha[:10])
        console.print(Text.assemble((drawn, "dim"), line), no_wrap=True, overflow="ellipsis")
    drawn_ids = set(commits.values())
    refused = [one for one in candidates if one.id not in drawn_ids]
    if refused:
        said = f"{len(refused)} more were refused before they could be tried: `ratchet log --rejected`"
        console.print(Text(said, style="dim"))


def _node(candidate: Candidate, champion: int) -> Text:
    fate = "seed" if candidate.parent is None else candidate.fate.value
    text = Text.assemble((f"#{candidate.id} ", "bold"), (fate, FATE_STYLES[candidate.fate]))
    if candidate.id == champion:
        text.append(" (champion)", "bold green")
    return text.append("  ").append(visible("" if candidate.parent is None else candidate.subject))


def _log_table(rows: Sequence[Accepted], *, wide: bool) -> Table:
    table = _table("#", "commit", "accepted", "patch", "score", *(("evidence", "holdout") if wide else ()))
    for row in rows:
        number = "" if row.candidate is None else str(row.candidate)
        score = "reverted" if row.reverted_by else row.score
        cells = [number, row.commit.sha[:9], when(row.commit.time), row.commit.subject, score]
        table.add_row(
            *map(cell, cells + ([row.evidence, row.holdout] if wide else [])), style="dim" if row.reverted_by else ""
        )
    return table


def _fate_table(candidates: Sequence[Candidate]) -> Table:
    table = _table("#", "from", "fate", "patch", "why")
    for one in candidates:
        parent = "" if one.parent is None else str(one.parent)
        fate = Text(one.fate.value, style=FATE_STYLES[one.fate])
        table.add_row(cell(str(one.id)), cell(parent), fate, cell(one.subject), cell(one.reason))
    return table


def render_diff(diff: str, console: Console) -> None:
    """Print a patch in colour; long lines are left to the terminal, so that a pipe gets them unbroken."""
    syntax = Syntax("", "diff", theme="ansi_dark", background_color="default")
    text = syntax.highlight("\n".join(visible_lines(diff)))
    text.rstrip()
    console.print(text, soft_wrap=True)


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for header in headers:
        prose = header in {"patch", "why", "score", "evidence", "holdout"}
        table.add_column(header, no_wrap=not prose, overflow="fold")
    return table


def cell(text: str) -> Text:
    """One safe cell of a table."""
    return Text(visible(text))


def when(seconds: int) -> str:
    """Local month, day, hour and minute."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%m-%d %H:%M")
