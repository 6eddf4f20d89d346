"""Where the next proposal or trial goes: the strategies of the search line. Pure, no I/O.

Lenient on purpose: nothing here decides what is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from agent.kernel.decide.archive import (
    ALIVE,
    CHILDREN,
    EXPANDABLE,
    FAILED,
    PENDING,
    PROPOSALS,
    SIZE,
    TRIALS,
    Archive,
    Expand,
    Measure,
    Step,
)
from agent.kernel.decide.pooled import Pooled
from agent.kernel.decide.statistics import EVERY, Draws, Floats, Rows


class Strategy(Protocol):
    """Where the next proposal or trial goes."""

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:
        """The next step, given everything recorded and everything in flight."""
        ...


class Thompson:
    """Clade Thompson sampling as in the Huxley-Goedel machine (Wang et al. 2025).

    A proposal when trials^growth >= nodes, from the best draw of Beta(a + s, b + f) over clades; else one
    more trial of the best draw over own outcomes. A failed proposal counts as a failure of its parent.
    A parent that has had fewer than `parent_trials` is measured first.
    The champion is measured first, since everyone is compared with it.

    Args:
        inherit: centre a node's prior (a, b) at its parent's score. False is Beta(1, 1) for all, as published:
            with many nodes and few trials, the offspring of failures outbid whatever works.
    """

    def __init__(self, *, inherit: bool = True) -> None:
        self._inherit = inherit
        self._proposals, self._trials = Draws(), Draws()

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:
        """The next step."""
        room = archive.trials**archive.settings.growth >= archive.width
        if room and archive.column(EXPANDABLE).any():
            clades = self._priors(archive)
            clades = clades + archive.clades(clades)
            clades[1] += archive.column(FAILED)
            parent = self._proposals.best(lambda rows: clades[:, rows], archive.column(EXPANDABLE), rng)
            if (step := _expand(archive, parent)) is not None:
                return step
        champion = archive.row(archive.champion)
        if _begun(archive, champion) < archive.settings.enough:
            return _measure(archive, champion)

        def own(rows: Rows) -> Floats:
            priors = self._priors(archive, rows)
            return priors + archive.own(priors, rows)

        return _measure(archive, self._trials.best(own, archive.column(ALIVE), rng))

    def _priors(self, archive: Archive, rows: Rows = EVERY) -> Floats:
        return archive.priors(rows) if self._inherit else np.ones_like(archive.scores[:, rows])


class Greedy:
    """Every node gets the same number of trials; the best mean proposes, the smaller tree on a tie."""

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:  # noqa: ARG002  (same seam)
        """The next step."""
        waiting = _first_short(archive)
        if waiting is not None:
            return waiting
        able = np.flatnonzero(archive.column(EXPANDABLE))
        order = np.lexsort((archive.column(SIZE)[able], -archive.means[able]))
        return Expand(archive.ids[able[order[0]]])


class Dgm:
    """Parent choice of the Darwin-Goedel machine (Zhang et al. 2025): score and novelty, no posterior.

    Every node gets the same number of trials; the parent is drawn with weight
    sigmoid(10 (mean - 1/2)) / (1 + children).
    """

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:
        """The next step."""
        waiting = _first_short(archive)
        if waiting is not None:
            return waiting
        able = np.flatnonzero(archive.column(EXPANDABLE))
        offspring = archive.column(CHILDREN)[able] + archive.column(PROPOSALS)[able]
        weight = 1.0 / (1.0 + np.exp(-10.0 * (archive.means[able] - 0.5))) / (1.0 + offspring)
        return Expand(archive.ids[rng.choice(able, p=weight / weight.sum())])


STRATEGIES: Final[Mapping[str, Callable[[], Strategy]]] = MappingProxyType(
    {"pooled": Pooled, "thompson": Thompson, "hgm": partial(Thompson, inherit=False), "greedy": Greedy, "dgm": Dgm}
)
"""Every strategy by the name that campaign.yaml gives it."""


def _expand(archive: Archive, row: int) -> Step | None:
    """A proposal, or a trial that a parent lacks before anything is built on it; None while those are in flight."""
    wanted = min(archive.settings.parent_trials, archive.settings.enough)
    if archive.column(TRIALS)[row] >= wanted:
        return Expand(archive.ids[row])
    return _measure(archive, row) if _begun(archive, row) < wanted else None


def _measure(archive: Archive, row: int) -> Measure:
    return Measure(archive.ids[row], _begun(archive, row))


def _begun(archive: Archive, row: int) -> int:
    return int(archive.column(TRIALS)[row] + archive.column(PENDING)[row])


def _first_short(archive: Archive) -> Measure | None:
    """A trial of the oldest living node that has not had its full number yet, those in flight counted."""
    begun = archive.column(TRIALS) + archive.column(PENDING)
    short = np.flatnonzero((archive.column(ALIVE) > 0) & (begun < archive.settings.enough))
    return _measure(archive, int(short[0])) if short.size else None
