"""Carries out what was decided about a patch that passed the gate: commit it, or reject it.

Several patches that were accepted together may become a series of commits. The branch then moves once, from the former
champion to the last of them: no tree that the gate did not accept is ever champion, and a run that is killed between
two of the commits leaves nothing but objects that no ref names.

There is one path for everybody: the running campaign, for the gate and for people who left it a request, and
`ratchet approve` and `ratchet reject` while no campaign runs. The ledger is written before the branch moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.base.errors import UserError
from agent.base.types import Fate
from agent.kernel.decide.evidence import series_trailers
from agent.kernel.git.messages import CAMPAIGN_TRAILER, format_message
from agent.kernel.git.repository import Repository
from agent.kernel.loop.approval import Acceptance, Approvals, Request, refusal, rejected_by
from agent.kernel.loop.series import in_series
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.store import ANCHOR_TRAILER

Settle = Callable[[int, Fate, str], None]
"""Writes down the fate of a candidate, and why."""


class Committer:
    """Its user holds the campaign's lock. `settle` is `Ledger.set_fate`, or tells a running campaign as well."""

    def __init__(self, ledger: Ledger, repository: Repository, approvals: Approvals, settle: Settle) -> None:
        self._ledger, self._repository, self._approvals, self._settle = ledger, repository, approvals, settle

    def decide(self, request: Request) -> None:
        """Carry out what a person decided.

        Raises:
            UserError: the candidate does not wait for it, or not any more.
            BranchMoved: the branch is checked out somewhere, or is not where the campaign left it.
        """
        entry = self._approvals.get(request.candidate)
        problem = refusal(entry, request, self._ledger.champion())
        if problem is not None or entry is None:
            raise UserError("candidate", str(problem), "`ratchet status` lists what waits.")
        if request.approve:
            self.commit(entry, request.by)
        else:
            self._settle(request.candidate, Fate.REJECTED, rejected_by(request))
        self._approvals.decided(request)

    def commit(self, accepted: Acceptance, by: str | None = None) -> str:
        """Commit an accepted patch onto the champion that the ledger knows; returns the commit.

        Raises:
            BranchMoved: the branch is checked out somewhere, or is not where the campaign left it.
        """
        ledger, repository = self._ledger, self._repository
        last = ledger.last_commit()
        parent = last.sha if last is not None else repository.base
        after = {**({"Ratchet-Approved-By": by} if by else {}), ANCHOR_TRAILER: ledger.anchor()}
        series = self._series(accepted, parent, after)
        sha = series[-1][0] if series else self._whole(accepted, parent, after)
        known = {"candidate": accepted.candidate, "test": accepted.test}
        ledger.add_commit(sha=sha, parent=parent, **known, reason=accepted.sentence, series=series)
        repository.advance(sha, parent)
        many = f" and {len(series) - 1} before it" if series else ""
        ledger.note("commit", f"#{accepted.candidate} is champion: {accepted.subject} ({sha[:10]}{many})")
        self._settle(accepted.candidate, Fate.CHAMPION, accepted.sentence)
        return sha

    def _whole(self, accepted: Acceptance, parent: str, after: Mapping[str, str]) -> str:
        """One commit for all, which no ref names yet."""
        text = format_message(accepted.subject, accepted.body, {**accepted.trailers, **after})
        return self._repository.prepare(self._ledger.tree_of(accepted.candidate), text, parent)

    def _series(self, accepted: Acceptance, parent: str, after: Mapping[str, str]) -> list[tuple[str, int]]:
        """(commit, patch) of one commit a patch, oldest first, which no ref names yet; none for one commit for all."""
        known = {one.id: one for one in self._ledger.candidates()}
        series = in_series(self._repository, known, accepted.patches, accepted.candidate, parent)
        if len(accepted.patches) > 1 and not series:
            text = f"the patches of #{accepted.candidate} build on each other: one commit for all"
            self._ledger.note("series", text)
        tip, made = parent, list[tuple[str, int]]()
        for number, part in enumerate(series, 1):
            said = accepted.trailers if number == len(series) else {CAMPAIGN_TRAILER: self._repository.campaign}
            place = series_trailers(part.patch, number, len(series), accepted.candidate)
            text = format_message(known[part.patch].subject, known[part.patch].body, {**said, **place, **after})
            tip = self._repository.prepare(part.tree, text, parent, tip)
            made.append((tip, part.patch))
        return made
