"""What happens before the first step: ledger and git are reconciled, and what was open is picked up again."""

from __future__ import annotations

from collections.abc import Callable

from agent.base.types import Candidate, Fate
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.gatekeeping import Gatekeeper
from agent.kernel.loop.parts import Parts, Planned
from agent.kernel.loop.same import SameCheck
from agent.kernel.loop.shown import SHARE
from agent.kernel.loop.warm import warm_start


async def resume(
    parts: Parts, admission: Admission, gate: Gatekeeper, same: SameCheck, later: Callable[[Planned], None]
) -> None:
    """Begin a campaign, or pick it up where it ended. `later` queues a step.

    Raises:
        UserError: the seed's Python cannot be read, or the archive holds candidates that the ledger does not have.
        BranchMoved: somebody moved the campaign's branch.
    """
    state, repository = parts.state, parts.repository
    if not state.candidates:
        await _add_seed(parts, admission)
    repository.reconcile([row.move for row in state.ledger.commits()], len(state.candidates))
    await warm_start(parts, admission)
    for waiting in state.restore():
        later(admission.first_trial(waiting))
    same.queue(later)
    await gate.resume()


async def _add_seed(parts: Parts, admission: Admission) -> None:
    tree = parts.repository.tree_of(parts.repository.base)
    files = admission.mutable(tree)
    seed = Candidate(
        id=0, parent=None, tree=tree, subject="seed", body="", fate=Fate.OPEN, reason="the scaffold as it was",
        size=sum(map(len, files.values())),
    )  # fmt: skip
    parts.state.ledger.remember(SHARE, parts.config.search.shown)
    parts.state.add(seed, fingerprint=await admission.fingerprint_of_seed(files), diff="", transcript="")
