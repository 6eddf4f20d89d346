"""Puts patches together: a patch whose champion moved, and candidates that hold the good patches of several others.

Every step is a three-way merge, by lines, and where that conflicts in Python by definitions (`decide.weaving`). What
does not merge is not thrown away: a candidate meets the champion as its own tree, or an improver brings it over, and a
set of patches is made of those that merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.base.errors import Refused
from agent.base.types import Candidate, Fate
from agent.kernel.decide.evidence import whole_subject
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.merges import Merges
from agent.kernel.loop.parts import Parts, Planned
from agent.kernel.loop.proposer import Proposal

_LOOKED_AT = 12
"""Candidates, by search score, of which it is known whether they merge onto a new champion."""


class Merger:
    """`later` queues a step of the campaign."""

    def __init__(self, parts: Parts, admission: Admission, later: Callable[[Planned], None]) -> None:
        self._parts, self._state, self._admission, self._later = parts, parts.state, admission, later
        self._merges = Merges(parts.repository)

    async def onto_champion(self, candidate: Candidate) -> Candidate | None:
        """The candidate itself if the champion is still its base; otherwise its patch is merged onto the champion.

        The merged tree is a new candidate, with no trials yet. If it conflicts, the candidate meets the champion as
        its own tree: the commit would be the difference of the two trees.
        """
        state = self._state
        base = state.base_of(candidate.id)
        if base == state.champion:
            return candidate
        champion = state.candidates[state.champion]
        try:
            sides = [one.tree or "" for one in (state.candidates[base], champion, candidate)]
            tree = await self._merges.merge(*sides)
            proposal = await self._proposal(tree, champion, candidate.subject, _merged_body(candidate, champion))
        except Refused as refusal:
            state.ledger.note("merge", f"#{candidate.id} meets champion #{champion.id} as its own tree: {refusal}")
            return candidate
        if state.champion != champion.id:  # it moved meanwhile
            return await self.onto_champion(candidate)
        archive = state.archive
        patches = (archive.patches(candidate.id) - archive.patches(base)) | archive.patches(champion.id)
        merged = await self._admission.admit(proposal, champion, patches)
        if merged.fate is Fate.OPEN:
            self._later(self._admission.first_trial(merged))
        return None

    async def conflicts(self, candidate: Candidate) -> bool:
        """Whether the patch of a candidate does not merge onto the champion; the archive knows it then."""
        state = self._state
        base, champion = state.base_of(candidate.id), state.champion
        if base == champion or candidate.tree is None:
            return False
        sides = [one.tree or "" for one in (state.candidates[base], state.candidates[champion], candidate)]
        try:
            await self._merges.merge(*sides)
        except Refused:
            state.archive.bringing.conflicts.add((candidate.id, champion))
            return True
        return False

    async def find_conflicts(self) -> None:
        """Let the archive know which of the best candidates do not merge onto the champion that there is now."""
        state, archive = self._state, self._state.archive
        held = archive.patches(state.champion)
        for node in state.best(_LOOKED_AT):
            if node in archive and archive.node(node).alive and not archive.patches(node) <= held:
                await self.conflicts(state.candidates[node])

    async def compose(self, patches: frozenset[int]) -> None:
        """Make a candidate of just these patches, as far as they merge; nothing if some candidate is that already.

        Raises:
            InfrastructureError: its first trial is void; it is queued again.
        """
        state = self._state
        tree, held = await self._put_together(patches)
        if held in state.archive.composed - {patches} or any(one.tree == tree for one in state.candidates.values()):
            return
        await self._make(tree, held)

    async def _make(self, tree: str, held: frozenset[int]) -> None:
        """A candidate of a tree that holds just these patches; nothing if it may not be admitted.

        Raises:
            InfrastructureError: its first trial is void; it is queued again.
        """
        state, champion = self._state, self._state.candidates[self._state.champion]
        parts = [state.candidates[patch] for patch in sorted(held)]
        try:
            proposal = await self._proposal(
                tree, champion, whole_subject([one.subject for one in parts]), _listed(parts)
            )
        except Refused as refusal:
            state.ledger.note("merge", f"{_numbers(held)} cannot be put together: {refusal}")
            return
        made = await self._admission.admit(proposal, champion, held)
        if made.fate is Fate.OPEN:
            await self._admission.smoke_or_queue(made)

    async def left_out(self, whole: Candidate, patch: int) -> str | None:
        """The tree of a candidate without one of its patches; None where the others build on it."""
        held = self._state.archive.patches(whole.id)
        tree, left = await self._step(whole.tree or "", held, patch, taken_out=True)
        return tree if left != held else None

    async def without(self, whole: Candidate, patches: frozenset[int]) -> Candidate | None:
        """The candidate of a whole's patches but these; None where they cannot be taken out together, or it is refused.

        Raises:
            InfrastructureError: its first trial is void; it is queued again.
        """
        state, tree, held = self._state, whole.tree or "", self._state.archive.patches(whole.id)
        wanted = held - patches
        for patch in sorted(patches, reverse=True):
            tree, held = await self._step(tree, held, patch, taken_out=True)
        if held != wanted:
            return None
        if not any(one.tree == tree for one in state.candidates.values()):
            await self._make(tree, held)
        return next((one for one in state.candidates.values() if one.tree == tree and one.id in state.archive), None)

    async def _put_together(self, wanted: frozenset[int]) -> tuple[str, frozenset[int]]:
        """(tree, the patches in it): from the candidate that is nearest, patches are taken out, then put in."""
        state, archive = self._state, self._state.archive
        nearest = min(archive.ids, key=lambda node: len(archive.patches(node) ^ wanted))
        tree, held = state.candidates[nearest].tree or "", archive.patches(nearest)
        for patch in sorted(held - wanted, reverse=True):
            tree, held = await self._step(tree, held, patch, taken_out=True)
        for patch in sorted(wanted - held):
            tree, held = await self._step(tree, held, patch, taken_out=False)
        return tree, held

    async def _step(
        self, tree: str, held: frozenset[int], patch: int, *, taken_out: bool
    ) -> tuple[str, frozenset[int]]:
        """A tree without one of its patches, or with one more; unchanged where that conflicts."""
        candidates = self._state.candidates
        before, after = candidates[candidates[patch].parent or 0].tree or "", candidates[patch].tree or ""
        base, theirs = (after, before) if taken_out else (before, after)
        try:
            return await self._merges.merge(base, tree, theirs), held ^ {patch}
        except Refused:
            return tree, held

    async def _proposal(self, tree: str, champion: Candidate, subject: str, body: str) -> Proposal:
        """The difference between the champion and a tree, as a proposal to the champion. Raises Refused."""
        trees = self._admission.mutable(champion.tree or ""), self._admission.mutable(tree)
        change, readings = await self._parts.proposer.admitted(*trees)
        return Proposal(change=change, readings=readings, subject=subject, body=body, refusal="", transcript="")


def _merged_body(candidate: Candidate, champion: Candidate) -> str:
    return f"{candidate.body}\n\nCandidate {candidate.id}, merged onto champion {champion.id}.".strip()


def _listed(parts: Iterable[Candidate]) -> str:
    """The patches of a composite, one a line."""
    return "Put together of:\n" + "\n".join(f"- #{one.id} {one.subject}" for one in parts)


def _numbers(patches: Iterable[int]) -> str:
    return ", ".join(f"#{patch}" for patch in sorted(patches))
