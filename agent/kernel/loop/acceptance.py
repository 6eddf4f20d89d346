"""The commit of an accepted candidate, as it will be: subject, body, and the evidence in its trailers."""

from __future__ import annotations

from collections.abc import Mapping

from agent.kernel.decide.evidence import commit_body, evidence_trailers, whole_subject
from agent.kernel.decide.gate import Decision
from agent.kernel.loop.approval import Acceptance
from agent.kernel.loop.match import Match
from agent.kernel.loop.parts import Parts


def acceptance_of(parts: Parts, match: Match, decision: Decision, noted: Mapping[str, str], holdout: str) -> Acceptance:
    """Everything that the commit says. `noted` has what not every commit has: `flags` and `parts`, "" for none."""
    state, candidate = parts.state, match.candidate
    earlier = state.lineage(candidate.id)[:-1]
    trailers = {
        **evidence_trailers(parts.config.name, candidate, earlier, decision, holdout),
        **{f"Ratchet-{name.capitalize()}": text for name, text in noted.items() if text},
        **parts.provenance,
        "Ratchet-Cost": _cost(parts),
    }
    return Acceptance(
        candidate=candidate.id,
        champion=match.row.champion,
        test=match.row.id,
        subject=whole_subject([one.subject for one in (*earlier, candidate)]),
        body=commit_body(candidate, earlier),
        trailers=trailers,
        sentence=decision.sentence,
        patches=_apart(parts, match) if parts.config.commit.patches == "each" else (),
    )


def _apart(parts: Parts, match: Match) -> list[int]:
    """The patches that a candidate adds to the champion that it met; none where it is not the champion with more."""
    archive = parts.state.archive
    whole, below = archive.patches(match.candidate.id), archive.patches(match.champion.id)
    return sorted(whole - below) if below <= whole else []


def _cost(parts: Parts) -> str:
    spent, trials = parts.budget.spent, parts.state.trials
    return f"${spent.dollars:.4f}, {spent.tokens} tokens, {trials} trials, {spent.seconds / 60:.1f} min so far"
