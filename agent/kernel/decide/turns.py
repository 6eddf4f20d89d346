"""At which index a candidate's next search trial is run: at one whose outcome is open. Pure, no I/O.

A trial that everybody passes, or nobody, says nothing of a patch, and after some proposals the first indices, at which
all candidates begin, are like that. What a trial tells grows with the variance of its outcome (Fisher information of a
chance), as far as what the index gives to everybody is known from others' trials.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from agent.kernel.decide.archive import Archive
from agent.kernel.decide.effects import Posterior, Trials
from agent.kernel.decide.statistics import Floats

RECENT: Final = 30
"""The newest trials at an index that say how open its outcome is: candidates get better."""
NEWEST: Final = 200
"""The newest trials of all, whose mean is expected of an index of which nothing is known, and counts twice."""

RIDGE: Final = 0.05
"""Trials by which an index's part of a score is shrunk, so that there is one answer where nobody met two indices."""


def openness(trials: Trials, posterior: Posterior) -> Floats:
    """How much a trial should tell at each index from 0 on; the last one is new. There is at least one trial."""
    count = int(trials.indices.max()) + 2
    order = np.argsort(trials.indices, kind="stable")
    totals = np.concatenate([[0.0], trials.scores[order].cumsum()])
    ends = np.searchsorted(trials.indices[order], np.arange(count), side="right")
    starts = np.maximum(np.concatenate([[0], ends[:-1]]), ends - RECENT)
    seen = ends - starts
    chances = (totals[ends] - totals[starts] + 2.0 * trials.scores[-NEWEST:].mean()) / (seen + 2.0)
    unknown = posterior.shared * posterior.noise / (posterior.noise + seen * posterior.shared)
    chances = np.clip(chances, 0.0, 1.0)  # a difference of running sums may be a little above
    telling: Floats = chances * (1.0 - chances) * posterior.noise / (posterior.noise + unknown)
    return telling


def met(archive: Archive, node: int) -> set[int]:
    """The indices of a candidate's search trials, finished and in flight."""
    trials = archive.observations.trials
    finished = trials.indices[trials.rows == archive.row(node)]
    return {*finished.tolist(), *(step.turn for step in archive.flying if step.node == node)}


def next_index(telling: Floats, known: Collection[int], rng: np.random.Generator) -> int:
    """An index that a candidate has not met, by chance, in proportion to what a trial there should tell."""
    weights = telling.copy()
    weights[[index for index in known if index < len(weights)]] = 0.0
    total = float(weights.sum())
    if total <= 0.0:
        return next(index for index in range(len(known) + 1) if index not in known)
    return int(rng.choice(len(weights), p=weights / total))


def levelled(trials: Trials, count: int) -> Floats:
    """The mean score of each of `count` candidates as if all had met the same indices; NaN without a trial.

    Indices that tell much are harder than others for a good candidate, so plain means do not compare. A score is taken
    for a candidate's part plus an index's part, which is hardly shrunk (ridge regression).
    """
    met, seen = np.bincount(trials.rows, minlength=count), np.bincount(trials.indices)
    table = np.zeros((count, len(seen)))
    np.add.at(table, (trials.rows, trials.indices), 1.0)
    with np.errstate(invalid="ignore"):
        means = np.bincount(trials.rows, trials.scores, minlength=count) / met
        shares = np.nan_to_num(table / met[:, None])
    above = np.bincount(trials.indices, trials.scores - means[trials.rows])
    parts = np.linalg.solve(np.diag(seen + RIDGE) - table.T @ shares, above)
    level: Floats = np.clip(means + parts[seen > 0].mean() - shares @ parts, 0.0, 1.0)
    return level
