"""What follows from checks, replays and fresh pairs: exit code, sentences, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from agent.kernel.git.messages import Commit
from agent.review.audit.fresh import Comparison
from agent.review.audit.replay import Replayed
from agent.review.audit.verify import SHOWN, Checked

TAMPERED, UNPROVEN = 3, 4
"""Exit codes: something does not match the record; fresh pairs do not confirm the claim."""


class Claim(StrEnum):
    """What fresh pairs say about the claim that a patch made the scaffold better."""

    CONFIRMED = "confirmed"
    UNSETTLED = "not settled"
    REFUTED = "refuted"


def claim_of(comparison: Comparison) -> Claim:
    """Whether the interval of the difference lies above 0, below it, or on both sides; cost counts where claimed."""
    difference = comparison.difference
    if comparison.claim is not None:
        margin, saving = comparison.claim.not_worse, comparison.saving
        if difference.low > -margin and saving.low > 0:
            return Claim.CONFIRMED
        return Claim.REFUTED if difference.high <= -margin or saving.high <= 0 else Claim.UNSETTLED
    if difference.low > 0:
        return Claim.CONFIRMED
    return Claim.REFUTED if difference.high <= 0 else Claim.UNSETTLED


def replay_check(replayed: Sequence[Replayed]) -> Checked:
    """What a replay showed. It names trials by id, never gate tasks."""
    wrong = [_difference(one) for one in replayed if not one.same]
    if not wrong:
        return Checked(what="replay", ok=True, said=f"all {len(replayed)} trials score as recorded")
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    said = f"{len(wrong)} of {len(replayed)} trials differ: " + "; ".join(wrong[:SHOWN]) + more
    return Checked(what="replay", ok=False, said=said)


def _difference(one: Replayed) -> str:
    now = f"{one.score:g}" if one.score is not None else "asks for an answer that was not recorded"
    return f"trial {one.trial.id} scored {one.trial.score:g}, now {now} ({one.reason})"


def fresh_sentence(comparison: Comparison, claimed: float | None) -> str:
    """The fresh comparison in one sentence; `claimed` is the difference that the commit states."""
    difference, (before, after) = comparison.difference, comparison.means
    text = f"{difference.n} fresh pairs: {before:.3f} before, {after:.3f} after, difference {difference.mean:+.3f} "
    text += f"[{difference.low:+.3f}, {difference.high:+.3f}] (95 %, at any number of pairs)"
    if comparison.voids:
        text += f", whatever {comparison.voids} more that were void would have shown"
    if comparison.claim is not None:
        saving = comparison.saving
        text += f"; a trial saves {saving.mean:+.0%} [{saving.low:+.0%}, {saving.high:+.0%}] in {comparison.claim.unit}"
    if claimed is not None:
        inside = difference.low <= claimed <= difference.high
        text += f"; the {claimed:+.3f} that the commit states is {'within' if inside else 'outside'} it"
    return text


def verdict(checks: Sequence[Checked], comparison: Comparison | None) -> int:
    """The exit code."""
    if any(one.ok is False for one in checks):
        return TAMPERED
    return UNPROVEN if comparison is not None and claim_of(comparison) is not Claim.CONFIRMED else 0


def facts(
    commit: Commit, checks: Sequence[Checked], comparison: Comparison | None, claimed: float | None
) -> dict[str, Any]:
    """Checks and comparison for programs."""
    found = [asdict(one) for one in checks]
    report: dict[str, Any] = {"commit": commit.sha, "ok": verdict(checks, None) == 0, "findings": found}
    if comparison is not None:
        report["fresh"] = {
            "claim": claim_of(comparison),
            "difference": asdict(comparison.difference),
            "claimed": claimed,
            "means": comparison.means,
            "voids": comparison.voids,
            "saving": None if comparison.claim is None else asdict(comparison.saving),
        }
    return report
