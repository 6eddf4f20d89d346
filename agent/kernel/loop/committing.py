"""Carries out what was decided about a patch that passed the gate: commit it, or reject it.

There is one path for everybody: the running campaign, for the gate and for people who left it a request, and
`ratchet approve` and `ratchet reject` while no campaign runs. The ledger is written before the branch moves.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.base.errors import UserError
from agent.base.types import Fate
from agent.kernel.git.messages import format_message
from agent.kernel.git.repository import Repository
from agent.kernel.loop.approval import Acceptance, Approvals, Request, refusal, rejected_by
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
        approved = {"Ratchet-Approved-By": by} if by else {}
        trailers = {**accepted.trailers, **approved, ANCHOR_TRAILER: ledger.anchor()}
        text = format_message(accepted.subject, accepted.body, trailers)
        sha = repository.prepare(ledger.tree_of(accepted.candidate), text, parent)
        ledger.add_commit(sha=sha, parent=parent, candidate=accepted.candidate, test=accepted.test)
        repository.advance(sha, parent)
        ledger.note("commit", f"#{accepted.candidate} is champion: {accepted.subject} ({sha[:10]})")
        self._settle(accepted.candidate, Fate.CHAMPION, accepted.sentence)
        return sha
