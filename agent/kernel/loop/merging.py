"""Brings a patch onto the champion when the champion moved since the patch branched off."""

from __future__ import annotations

from collections.abc import Callable

from agent.base.errors import Refused
from agent.base.types import Candidate, Fate
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.parts import Parts, Planned
from agent.kernel.loop.proposer import Proposal
from agent.kernel.loop.state import UNMERGED


class Merger:
    """`later` queues a step of the campaign."""

    def __init__(self, parts: Parts, admission: Admission, later: Callable[[Planned], None]) -> None:
        self._parts, self._state, self._admission, self._later = parts, parts.state, admission, later

    async def onto_champion(self, candidate: Candidate) -> Candidate | None:
        """The candidate itself if the champion is still its base; otherwise its patch is merged onto the champion.

        The merged tree is a new candidate, with no trials yet; a conflict is a recorded refusal.
        """
        state = self._state
        base = state.base_of(candidate.id)
        if base == state.champion:
            return candidate
        champion = state.candidates[state.champion]
        try:
            proposal = await self._merged(state.candidates[base], champion, candidate)
        except Refused as refusal:
            state.settle(candidate.id, Fate.REJECTED, f"{UNMERGED} #{champion.id}: {refusal}")
            state.archive.retire(candidate.id)
            return None
        if state.champion != champion.id:  # it moved meanwhile
            return await self.onto_champion(candidate)
        merged = await self._admission.admit(proposal, champion)
        if merged.fate is Fate.OPEN:
            self._later(self._admission.first_trial(merged))
        return None

    async def _merged(self, base: Candidate, champion: Candidate, candidate: Candidate) -> Proposal:
        """The patch between base and candidate, as a proposal to the champion. Raises Refused."""
        tree = self._parts.repository.merge(base.tree or "", champion.tree or "", candidate.tree or "")
        trees = self._admission.mutable(champion.tree or ""), self._admission.mutable(tree)
        change, readings = await self._parts.proposer.admitted(*trees)
        body = f"{candidate.body}\n\nCandidate {candidate.id}, merged onto champion {champion.id}.".strip()
        return Proposal(
            change=change, readings=readings, subject=candidate.subject, body=body, refusal="", transcript=""
        )
