"""Whether the commits of an accepted candidate that became a series are as a campaign makes them.

Covered: their order, parents, trees, subjects, bodies, and the trailers that say what they belong to. That the whole is
proven is for `verify`: the last commit of the series has its tree and its evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agent.base.errors import RecordBroken, UserError
from agent.base.types import Candidate
from agent.kernel.decide.evidence import series_trailers
from agent.kernel.git.messages import CAMPAIGN_TRAILER, Commit
from agent.kernel.git.plumbing import IDENTITY
from agent.kernel.git.repository import Repository
from agent.kernel.loop.series import in_series
from agent.kernel.record.store import ANCHOR_TRAILER

Series = Sequence[tuple[str, int]]
"""(commit, patch) as the ledger has them, oldest first."""

_SOMETIMES = {ANCHOR_TRAILER, "Ratchet-Approved-By"}


def series_faults(
    series: Series, candidate: Candidate, parent: str, known: Mapping[int, Candidate], repository: Repository
) -> Iterator[str]:
    """What is wrong with the commits of a series that was put onto the commit `parent`."""
    below = parent
    for number, (sha, patch) in enumerate(series, 1):
        try:
            commit = repository.commit(sha, "COMMIT")
        except UserError:
            yield f"commit {number}, {sha[:12]}, is gone"
            return
        due = series_trailers(patch, number, len(series), candidate.id)
        for what in _unlike(commit, known.get(patch), below, {CAMPAIGN_TRAILER: repository.campaign, **due}):
            yield f"commit {number}, {sha[:12]}: {what}"
        if number < len(series) and (strange := sorted(commit.trailers.keys() - due.keys() - _ALLOWED)):
            yield f"commit {number}, {sha[:12]}: trailers not written by a campaign: {', '.join(strange[:3])}"
        below = sha


_ALLOWED = {CAMPAIGN_TRAILER, *_SOMETIMES}


def _unlike(commit: Commit, patch: Candidate | None, below: str, due: Mapping[str, str]) -> Iterator[str]:
    """What of a commit is not as it was made."""
    if commit.parents != (below,):
        yield f"its parent is not {below[:12]}"
    if commit.email != IDENTITY[1]:
        yield f"its committer is not {IDENTITY[1]}"
    if patch is None or (commit.subject, commit.body) != (patch.subject, patch.body):
        yield "its message is not the patch's"
    yield from (f"{key} is not {value!r}" for key, value in due.items() if commit.trailers.get(key) != value)


def trees_fault(
    series: Series, candidate: Candidate, parent: str, known: Mapping[int, Candidate], repository: Repository
) -> str | None:
    """Why the trees of a series are not its patches put on one by one; "" if they are, None if they are not here."""
    patches = [patch for _, patch in series]
    try:
        due = [(one.patch, one.tree) for one in in_series(repository, known, patches, candidate.id, parent)]
    except RecordBroken:
        return None
    found = [(patch, repository.tree_of(sha)) for sha, patch in series]
    return "" if found == due else "the trees are not those patches put on one by one"
