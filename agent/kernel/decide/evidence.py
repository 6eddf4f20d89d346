"""The words of a commit's evidence: the campaign writes them, `ratchet verify` writes them again and compares."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from agent.base.text import cut
from agent.base.types import Candidate
from agent.kernel.decide.boundary import SUBJECT_CHARS
from agent.kernel.decide.cheaper import CostDecision, Gain, cost_words, evidence_words
from agent.kernel.decide.gate import Decision

REVERTS_TRAILER = "Ratchet-Reverts"
NOT_MEASURED = "not measured"
PATCH_TRAILER, SERIES_TRAILER = "Ratchet-Patch", "Ratchet-Series"
"""Trailers of a commit of a series: the patch that it holds, and its number in what was proven as a whole."""


def evidence_trailers(
    campaign: str, candidate: Candidate, earlier: Sequence[Candidate], decision: Decision, holdout: str
) -> dict[str, str]:
    """The trailers that follow from the ledger alone; `earlier` are the patches below it since the champion."""
    return {
        "Ratchet-Campaign": campaign,
        "Ratchet-Candidate": str(candidate.id),
        "Ratchet-Derived-From": ", ".join(f"#{c.id}" for c in earlier) or "champion",
        "Ratchet-Score": f"{decision.champion_mean:.3f} -> {decision.candidate_mean:.3f} ({decision.pairs} pairs)",
        "Ratchet-Evidence": _evidence(decision),
        **claim_trailers(decision),
        "Ratchet-Holdout": holdout,
    }


def claim_trailers(decision: Decision) -> dict[str, str]:
    """Which of several claims a commit makes; none where only one can be made: that the score is better."""
    if not isinstance(decision, CostDecision) or decision.gain is None:
        return {}
    claim, margin = str(decision.gain), decision.not_worse
    costs = cost_words(decision.champion_cost, decision.candidate_cost, decision.unit)
    proven = f"{claim}: not worse by {margin:g} or more, and" if decision.gain is Gain.CHEAPER else f"{claim};"
    return {"Ratchet-Claim": f"{proven} {costs}"}


def commit_body(candidate: Candidate, earlier: Sequence[Candidate]) -> str:
    """What the author says, and which patches came with it."""
    story = "Together with:\n" + "\n".join(f"- {c.subject}" for c in earlier) if earlier else ""
    return "\n\n".join(part for part in (candidate.body, story) if part)


def whole_subject(subjects: Sequence[str]) -> str:
    """One subject for several patches: all of them if they fit, else how many there are and what they begin with."""
    whole = "; ".join(dict.fromkeys(subjects))
    if len(whole) > SUBJECT_CHARS:
        whole = cut(f"{len(subjects)} patches: {whole}", SUBJECT_CHARS)
    return whole


def series_trailers(patch: int, number: int, count: int, whole: int) -> dict[str, str]:
    """The trailers of the `number`-th of `count` commits that an accepted candidate becomes, one a patch."""
    proven = f"only #{whole} as a whole is proven, its evidence is in commit {count} of {count}"
    return {PATCH_TRAILER: str(patch), SERIES_TRAILER: f"{number} of {count} of #{whole}; {proven}"}


def holdout_words(scores: Sequence[float]) -> str:
    """The mean of the holdout trials of one candidate."""
    if not scores:
        return NOT_MEASURED
    return f"{sum(scores) / len(scores):.3f} ({len(scores)} trials, used for no decision)"


def base_of(candidates: Mapping[int, Candidate], champions: Collection[int], candidate: int) -> int:
    """The champion (or seed) that a candidate descends from most closely, itself included."""
    while candidate not in champions:
        parent = candidates[candidate].parent
        if parent is None:
            return candidate
        candidate = parent
    return candidate


def lineage(candidates: Mapping[int, Candidate], champions: Collection[int], candidate: int) -> list[Candidate]:
    """The patches between the nearest champion below a candidate and itself, oldest first."""
    base, steps = base_of(candidates, champions, candidates[candidate].parent or 0), []
    at: int | None = candidate
    while at is not None and at != base:
        steps.append(candidates[at])
        at = candidates[at].parent
    return steps[::-1]


def _evidence(decision: Decision) -> str:
    if decision.log_e is None or decision.log_threshold is None:
        return decision.sentence
    if isinstance(decision, CostDecision):
        return evidence_words(decision)
    return f"e-value {math.exp(min(decision.log_e, 700)):.4g}, threshold {math.exp(decision.log_threshold):.4g}"
