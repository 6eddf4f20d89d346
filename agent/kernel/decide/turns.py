"""At which index a candidate's next search trial is run: at one whose outcome is open. Pure, no I/O.

A trial that everybody passes, or nobody, says nothing of a patch, and after some proposals the first indices, at which
all candidates begin, are like that. What a trial tells grows with the variance of its outcome (Fisher information of a
chance), as far as what the index gives to everybody is known from others' trials.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from agent.kernel.decide.archive import Archive, Measure
from agent.kernel.decide.effects import Posterior, Trials
from agent.kernel.decide.statistics import Floats

RECENT: Final = 30
"""The newest trials at an index that say how open its outcome is: candidates get better."""
NEWEST: Final = 200
"""The newest trials of all, whose mean is expected of an index of which nothing is known, and counts twice."""


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
    return {
        *finished.tolist(),
        *(step.turn for step in archive.flying if isinstance(step, Measure) and step.node == node),
    }


def next_index(telling: Floats, known: Collection[int], rng: np.random.Generator) -> int:
    """An index that a candidate has not met, by chance, in proportion to what a trial there should tell."""
    weights = telling.copy()
    weights[[index for index in known if index < len(weights)]] = 0.0
    total = float(weights.sum())
    if total <= 0.0:
        return next(index for index in range(len(known) + 1) if index not in known)
    return int(rng.choice(len(weights), p=weights / total))
