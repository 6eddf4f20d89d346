"""What `ratchet verify` and `ratchet revert` say: findings, replays and fresh comparisons, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.text import visible
from agent.kernel.git.repository import Commit
from agent.review.audit.again import Comparison, Replayed
from agent.review.audit.verify import SHOWN, Finding
from agent.review.history import cell

TAMPERED, UNPROVEN = 3, 4
"""Exit codes: something does not match the record; the fresh comparison does not bear the claim out."""


class Claim(StrEnum):
    """What fresh pairs say of the claim that a patch made the scaffold better."""

    STANDS = "stands"
    UNSETTLED = "not settled"
    FALLS = "does not stand"


def claim_of(comparison: Comparison) -> Claim:
    """Whether the interval of the difference lies above 0, below it, or on both sides."""
    difference = comparison.difference
    if difference.low > 0:
        return Claim.STANDS
    return Claim.FALLS if difference.high <= 0 else Claim.UNSETTLED


def replay_finding(replayed: Sequence[Replayed]) -> Finding:
    """What a replay showed. Gate tasks are not named: a trial is known by its id."""
    wrong = [
        f"trial {one.trial.id} scored {one.trial.score:g}, now "
        + (f"{one.score:g} ({one.reason})" if one.score is not None else f"asks what is in no record ({one.reason})")
        for one in replayed
        if not one.same
    ]
    if not wrong:
        return Finding(what="replay", ok=True, said=f"all {len(replayed)} trials score as recorded")
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    said = f"{len(wrong)} of {len(replayed)} trials differ: " + "; ".join(wrong[:SHOWN]) + more
    return Finding(what="replay", ok=False, said=said)


def fresh_sentence(comparison: Comparison, claimed: float | None) -> str:
    """The fresh comparison in a sentence; `claimed` is the difference that the commit states."""
    difference, (before, after) = comparison.difference, comparison.means
    text = f"{difference.n} fresh pairs: {before:.3f} before, {after:.3f} after, difference {difference.mean:+.3f} "
    text += f"[{difference.low:+.3f}, {difference.high:+.3f}] (95 %, at any number of pairs)"
    if comparison.voids:
        text += f", {comparison.voids} more were void"
    if claimed is not None:
        inside = difference.low <= claimed <= difference.high
        text += f"; the {claimed:+.3f} that the commit states is {'within' if inside else 'outside'} it"
    return text


def verdict(findings: Sequence[Finding], comparison: Comparison | None) -> int:
    """The exit code."""
    if any(finding.ok is False for finding in findings):
        return TAMPERED
    return UNPROVEN if comparison is not None and claim_of(comparison) is not Claim.STANDS else 0


def facts(
    commit: Commit, findings: Sequence[Finding], comparison: Comparison | None, claimed: float | None
) -> dict[str, Any]:
    """The judgement for programs."""
    found = [asdict(finding) for finding in findings]
    report: dict[str, Any] = {"commit": commit.sha, "ok": verdict(findings, None) == 0, "findings": found}
    if comparison is not None:
        report["fresh"] = {
            "claim": claim_of(comparison),
            "difference": asdict(comparison.difference),
            "claimed": claimed,
            "means": comparison.means,
            "voids": comparison.voids,
        }
    return report


def render_findings(commit: Commit, findings: Sequence[Finding], console: Console) -> None:
    """Print the findings, faults in red."""
    console.print(Text(visible(f"{commit.sha[:12]} {commit.subject}"), style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    marks = {True: ("ok", "green"), False: ("FAIL", "bold red"), None: ("note", "yellow")}
    for finding in findings:
        what = cell(finding.what.removeprefix("Ratchet-"))
        table.add_row(Text(*marks[finding.ok]), what, Text(visible(finding.said, 1000)))
    console.print(table)
    bad = [finding.what for finding in findings if finding.ok is False]
    if bad:
        console.print(Text(f"does NOT match the record: {', '.join(map(visible, bad))}", style="bold red"))
    else:
        console.print(Text(f"matches the record: {len(findings)} checks", style="bold green"))


def render_fresh(comparison: Comparison, claimed: float | None, console: Console) -> None:
    """Print a fresh comparison and what it says of the claim; a revert claims nothing."""
    claim = claim_of(comparison)
    console.print(Text(fresh_sentence(comparison, claimed)))
    if claimed is None:
        return
    words = {
        Claim.STANDS: ("the claim stands: it is better", "bold green"),
        Claim.FALLS: ("the claim does not stand: it is no better", "bold red"),
        Claim.UNSETTLED: ("not settled: so few pairs cannot tell; ask for more", "bold yellow"),
    }
    console.print(Text(*words[claim]))
