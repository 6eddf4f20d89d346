"""Does an improved scaffold improve better? What came of the proposals of each version of the improver.

The scaffold that makes a proposal is the parent's own, so the record of who made what is the tree of candidates. A
version is a champion together with all candidates that descend from it before the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from agent.base.types import Candidate, Fate, Purpose
from agent.kernel.decide.effects import Observations, Posterior, fit
from agent.kernel.decide.evidence import base_of
from agent.kernel.loop.state import patches_key
from agent.kernel.record.ledger import Ledger
from agent.review.summary import Estimate, wilson

_Z = 1.959964


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """The proposals that scaffolds made which descend from one champion (0: the seed).

    `admitted` is the share that was no refusal, `gain` the mean effect of an admitted patch on the search score with a
    95 % interval, None where nothing was measured. `committed` counts patches that a commit holds.
    """

    champion: int
    proposals: int
    admitted: Estimate
    gain: Estimate | None
    committed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """What the trials of all candidates say of each patch: its effect on the search score, with 95 % intervals."""

    effects: Mapping[int, Estimate]
    held: Mapping[int, frozenset[int]]


def worth_of(ledger: Ledger, candidates: Iterable[Candidate]) -> Worth:
    """Every patch's effect by the model that search uses; empty before the first search trial."""
    held, rows, seen = _patches(ledger, candidates), dict[int, int](), Observations()
    for candidate, index, score in ledger.indices(Purpose.SEARCH):
        if candidate in held:
            seen.add(rows.setdefault(candidate, len(rows)), index, score)
    if not rows:
        return Worth(effects={}, held=held)
    members = [held[candidate] for candidate in rows]
    posterior = fit(members, seen.trials)
    counts = np.bincount(seen.trials.rows, minlength=len(rows))
    effects = {
        patch: _estimate(posterior, at, int(sum(n for n, some in zip(counts, members, strict=True) if patch in some)))
        for at, patch in enumerate(posterior.patches, 1)
    }
    return Worth(effects=effects, held=held)


def versions(
    ledger: Ledger, candidates: Mapping[int, Candidate], champions: Collection[int], worth: Worth
) -> list[Version]:
    """Every version of the improver that made a proposal, oldest first."""
    made: dict[int, list[Candidate]] = {}
    reverted = ledger.reverts()
    for one in candidates.values():
        if one.parent is not None and one.id not in reverted and ledger.recollect(patches_key(one.id)) is None:
            made.setdefault(base_of(candidates, champions, one.parent), []).append(one)
    inside = frozenset[int]().union(*(worth.held.get(champion, frozenset()) for champion in champions))
    return [_version(champion, made[champion], worth, inside) for champion in sorted(made)]


def _version(champion: int, made: list[Candidate], worth: Worth, inside: frozenset[int]) -> Version:
    admitted = wilson([float(one.fate is not Fate.REFUSED) for one in made])
    if admitted is None:
        raise ValueError(f"no proposal of version {champion}")
    found = [worth.effects[one.id] for one in made if one.id in worth.effects]
    return Version(
        champion=champion,
        proposals=len(made),
        admitted=admitted,
        gain=_mean(found),
        committed=sum(one.id in inside for one in made),
    )


def _patches(ledger: Ledger, candidates: Iterable[Candidate]) -> dict[int, frozenset[int]]:
    """The patches of every admitted candidate; a parent comes before its children."""
    held: dict[int, frozenset[int]] = {}
    for one in candidates:
        known = ledger.recollect(patches_key(one.id))
        if one.parent is None:
            held[one.id] = frozenset()
        elif known is not None:
            held[one.id] = frozenset(known)
        elif one.parent in held and one.fate is not Fate.REFUSED:
            held[one.id] = held[one.parent] | {one.id}
    return held


def _estimate(posterior: Posterior, column: int, trials: int) -> Estimate:
    mean = float(posterior.coefficients[column])
    half = _Z * float(np.sqrt((posterior.root[:, column] ** 2).sum()))
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=trials)


def _mean(found: list[Estimate]) -> Estimate | None:
    """The mean of effects, as if each were measured apart from the others."""
    if not found:
        return None
    mean = float(np.mean([one.mean for one in found]))
    half = float(np.sqrt(np.sum([(one.high - one.mean) ** 2 for one in found]))) / len(found)
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=len(found))
