"""What `ratchet log` prints: accepted patches with their evidence, the archive by lineage, every candidate's fate.

A model may have chosen any word that is printed, so all of it goes through `agent.base.text`, and into `Text`, where
rich reads no markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.text import visible
from agent.base.types import Candidate, Fate
from agent.kernel.git.messages import Commit
from agent.review.commits import Accepted, accepted, patch_of
from agent.review.terminal.style import FATE_STYLES, cell, when

WIDE = 110
"""Columns from which evidence and holdout get columns of their own."""


def render_log(
    commits: Sequence[Commit], candidates: Sequence[Candidate], console: Console, *, rejected: bool = False
) -> None:
    """Print the accepted patches, newest first, and with `rejected` the fate of every other candidate."""
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
    """The log for programs; texts are as written, escaped by JSON alone."""
    rows = [
        {
            "candidate": row.candidate, "sha": row.commit.sha, "parent": row.parent,
            "time": row.commit.time, "subject": row.subject, "score": row.score, "evidence": row.evidence,
            "holdout": row.holdout, "reverts": row.reverts or None, "reverted_by": row.reverted_by or None,
            "series": [{"sha": one.sha, "patch": patch_of(one), "subject": one.subject}
                       for one in row.commits if row.earlier],
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
    """Print the archive by lineage as git draws it, newest first; `commits` maps a commit to its candidate."""
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
        cells = [number, row.commit.sha[:9], when(row.commit.time), row.subject, score]
        style = "dim" if row.reverted_by else ""
        table.add_row(*map(cell, cells + ([row.evidence, row.holdout] if wide else [])), style=style)
        for place, one in [*enumerate(row.commits, 1)][::-1] if row.earlier else ():
            part = f"- {place} of {len(row.commits)}, #{patch_of(one)}: {one.subject}"
            table.add_row(*map(cell, ["", one.sha[:9], "", part, "", *["", ""][: 2 * wide]]), style="dim")
    return table


def _fate_table(candidates: Sequence[Candidate]) -> Table:
    table = _table("#", "from", "fate", "patch", "why")
    for one in candidates:
        parent = "" if one.parent is None else str(one.parent)
        fate = Text(one.fate.value, style=FATE_STYLES[one.fate])
        table.add_row(cell(str(one.id)), cell(parent), fate, cell(one.subject), cell(one.reason))
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for header in headers:
        prose = header in {"patch", "why", "score", "evidence", "holdout"}
        table.add_column(header, no_wrap=not prose, overflow="fold")
    return table
