"""Which node of the archive should meet the champion at the gate. Pure, no I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from agent.kernel.decide.archive import ALIVE, SIZE, TRIALS, Archive
from agent.kernel.decide.bets import Terms
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.pooled import Spend
from agent.kernel.decide.statistics import beta_cdf, lead_in_errors


@runtime_checkable
class Promoter(Protocol):
    """A strategy with a rule of its own for who meets the champion, and when."""

    def contender(self, archive: Archive, spend: Spend) -> int | None:
        """The node that should meet the champion now, or None."""
        ...

    def terms(self, archive: Archive, node: int, spend: Spend) -> Terms | None:
        """On what terms that node should meet the champion; None: on the gate's own."""
        ...

    def brings(self, archive: Archive, node: int, spend: Spend) -> bool:
        """Whether an improver should first bring a contender over that does not merge onto the champion."""
        ...


def within(settings: GateSettings, terms: Terms | None) -> GateSettings:
    """The gate's numbers for a test on such terms; None changes nothing.

    No bet is smaller than the smallest one that the gate mixes for the effects that it looks for.
    """
    if terms is None:
        return settings
    bets = tuple(max(bet, min(settings.lambdas)) for bet in terms.bets)
    return replace(settings, max_pairs=min(settings.max_pairs, terms.pairs), bets=bets)


def promising(archive: Archive, gate_share: float = 0.0) -> int | None:
    """The node that should meet the champion at the gate now, or None.

    It has enough finished trials, so has the champion, its mean is more than `margin` above the champion's,
    its Beta quantile is above the champion's mean minus `slack`, it leads by `min_z` standard errors of
    the difference of the two Beta posteriors, and it never met this champion. The best mean wins, then the
    smaller tree.

    Args:
        archive: every candidate.
        gate_share: the share of the campaign's trials that the gate has used so far.
    """
    settings, champion = archive.settings, archive.row(archive.champion)
    finished = archive.column(TRIALS)
    if gate_share > settings.max_gate_share or finished[champion] < settings.enough:
        return None
    scores, means = archive.scores, archive.means
    ready = (finished >= settings.enough) & (means > means[champion] + settings.margin)
    rows = np.flatnonzero(ready & (archive.column(ALIVE) > 0))
    reached = means[rows]
    best = rows[reached == reached.max(initial=0.0)]
    bar = float(means[champion]) - settings.slack
    for some in (best, rows):  # the best will mostly do
        sure = some[lead_in_errors(scores[:, some], scores[:, champion]) > settings.min_z]
        for row in sure[np.lexsort((archive.column(SIZE)[sure], -means[sure]))]:
            node = archive.ids[int(row)]
            won, lost = scores[:, row]
            untried = (node, archive.champion) not in archive.tried
            if untried and beta_cdf(bar, 1.0 + float(won), 1.0 + float(lost)) < settings.quantile:
                return node
    return None
