"""The search line: the archive of candidates and where the next proposal or trial goes. Pure, no I/O.

Lenient on purpose: nothing here decides what is committed. Steps are chosen before their outcomes are
seen; whoever carries one out calls `Archive.begin`, then `record` or `add`, then `end` in any case.
"""

from __future__ import annotations

import ast
import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Files

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = Ints | slice
EVERY: Final = slice(None)

SIZE, ALIVE, EXPANDABLE, TRIALS, PENDING, PROPOSALS, CHILDREN, FAILED, START, END, ABOVE = COLUMNS = range(11)
PRIOR: Final = 2.0
"""Trials that a node's prior is worth, as in Beta(1, 1)."""
FRESH: Final = 256
"""Rows that are drawn anew for one decision, so that its time does not grow with the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings:
    """Every number of the search line.

    `growth`: the archive may hold trials^growth nodes. A failed proposal weighs `failure_weight` of a node,
    so that an improver that only fails does not starve the trials. `margin`, `slack`: score differences.
    `sureness`: standard errors by which a node must lead the champion before a test is worth its trials.
    """

    growth: float = 0.6
    failure_weight: float = 0.25
    task_count: int = 20
    min_trials: int = 40
    margin: float = 0.04
    slack: float = 0.10
    quantile: float = 0.05
    sureness: float = 2.5
    max_gate_share: float = 0.5

    @property
    def enough(self) -> int:
        """Search trials that a node needs before it may go to the gate."""
        return min(self.min_trials, 2 * self.task_count)


@dataclass(frozen=True, slots=True)
class Expand:
    """Ask the scaffold of `parent` for a patch."""

    parent: int


@dataclass(frozen=True, slots=True)
class Measure:
    """Run one search trial of `node`, its `turn`-th from 0: the turn names the task, in one order for all."""

    node: int
    turn: int


Step = Expand | Measure


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One candidate now: `trials` are finished, `pending` trials and `proposals` are in flight."""

    id: int
    parent: int | None
    size: int
    successes: float
    failures: float
    trials: int
    pending: int
    proposals: int
    children: int
    failed_proposals: int
    alive: bool
    expandable: bool

    @property
    def mean(self) -> float:
        """Mean search score; 0 before the first trial."""
        return self.successes / self.trials if self.trials else 0.0


class Archive:
    """Every candidate of a campaign with its search trials. Rows of one table, in preorder intervals.

    The clade of a row (itself and all descendants) is an interval of `_order`, so sums over clades are two
    looks at one running total; they are computed at each look, never kept.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.champion = 0
        self.tried: set[tuple[int, int]] = set()
        self._rows: dict[int, int] = {}
        self._parents: list[int | None] = []
        self._ids: list[int] = []
        self._int = np.zeros((len(COLUMNS), 16), dtype=np.int64)
        self._float = np.zeros((2, 16))
        self._order = np.zeros(0, dtype=np.int64)
        self._trials = 0
        self._nodes = 0.0

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, node: int) -> bool:
        return node in self._rows

    def add(self, node: int, parent: int | None, *, size: int = 0, alive: bool = True, expandable: bool = True) -> None:
        """Add a candidate under its id; the first one is the seed and the champion.

        A node that is not `alive` (its smoke trial failed) is kept, but never measured, expanded or gated,
        and its parent is charged with a failed proposal.

        Raises:
            ValueError: the id is taken, the parent is unknown, or there would be a second root.
        """
        if node in self._rows or (parent is None) != (not self._ids):
            raise ValueError(f"candidate {node} cannot be added below {parent}")
        if parent is not None and parent not in self._rows:
            raise ValueError(f"candidate {parent} is not in the archive")
        row = len(self._ids)
        if row == self._int.shape[1]:
            self._int = np.concatenate([self._int, np.zeros_like(self._int)], axis=1)
            self._float = np.concatenate([self._float, np.zeros_like(self._float)], axis=1)
        self._rows[node] = row
        self._ids.append(node)
        self._parents.append(parent)
        self._int[SIZE, row], self._int[ALIVE, row] = size, alive
        self._int[EXPANDABLE, row] = alive and expandable
        self._nodes += alive
        self._place(row, parent)
        if parent is None:
            self.champion = node
        elif not alive:
            self.fail(parent)

    def _place(self, row: int, parent: int | None) -> None:
        """Open a place for `row` at the end of its parent's interval."""
        start, end = self._int[START, :row], self._int[END, :row]
        place = 0
        self._int[ABOVE, row] = -1
        if parent is not None:
            above = self._rows[parent]
            self._int[ABOVE, row] = above
            place = int(end[above])
            self._int[CHILDREN, above] += 1
            holds = (start <= start[above]) & (end >= place)
            end[holds | (start >= place)] += 1
            start[start >= place] += 1
        self._order = np.insert(self._order, place, row)
        self._int[START, row], self._int[END, row] = place, place + 1

    def record(self, node: int, score: float) -> None:
        """Count one finished search trial, score in [0, 1]."""
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"score {score} is outside [0, 1]")
        row = self._rows[node]
        self._float[0, row] += score
        self._float[1, row] += 1.0 - score
        self._int[TRIALS, row] += 1
        self._trials += 1

    def record_all(self, node: int, trials: int, total: float) -> None:
        """Count finished search trials by the sum of their scores, as a resumed campaign knows them."""
        if not 0.0 <= total <= trials:
            raise ValueError(f"{trials} trials cannot have the score {total} in sum")
        row = self._rows[node]
        self._float[0, row] += total
        self._float[1, row] += trials - total
        self._int[TRIALS, row] += trials
        self._trials += trials

    def fail(self, parent: int) -> None:
        """Count one proposal of `parent` that came to nothing: no change, refused, duplicate."""
        self._int[FAILED, self._rows[parent]] += 1
        self._nodes += self.settings.failure_weight

    def retire(self, node: int) -> None:
        """Expand `node` no more (it is pruned, or its patch conflicts with the champion)."""
        self._int[EXPANDABLE, self._rows[node]] = 0

    def begin(self, step: Step) -> None:
        """Note that a step is in flight."""
        self._flight(step, 1)

    def end(self, step: Step) -> None:
        """Note that a step is over, whether it was recorded, void or cancelled."""
        self._flight(step, -1)

    def _flight(self, step: Step, change: int) -> None:
        if isinstance(step, Measure):
            self._int[PENDING, self._rows[step.node]] += change
            self._trials += change
        else:
            self._int[PROPOSALS, self._rows[step.parent]] += change
            self._nodes += change

    def crown(self, node: int) -> None:
        """Make `node` the champion."""
        if node not in self._rows:
            raise ValueError(f"candidate {node} is not in the archive")
        self.champion = node

    def node(self, node: int) -> Node:
        """What is known of one candidate."""
        row = self._rows[node]
        number = [int(value) for value in self._int[:, row]]
        return Node(
            id=node,
            parent=self._parents[row],
            size=number[SIZE],
            successes=float(self._float[0, row]),
            failures=float(self._float[1, row]),
            trials=number[TRIALS],
            pending=number[PENDING],
            proposals=number[PROPOSALS],
            children=number[CHILDREN],
            failed_proposals=number[FAILED],
            alive=bool(number[ALIVE]),
            expandable=bool(number[EXPANDABLE]),
        )

    @property
    def trials(self) -> int:
        """Search trials of all candidates, those in flight included."""
        return self._trials

    @property
    def width(self) -> float:
        """Nodes that count against the growth of the archive, proposals in flight included."""
        return self._nodes

    @property
    def means(self) -> Floats:
        """Mean search score of each row; 0 before the first trial."""
        means: Floats = self._float[0, : len(self)] / np.maximum(self.column(TRIALS), 1)
        return means

    @property
    def scores(self) -> Floats:
        """(successes, failures) x rows of finished trials. Not to be written to."""
        scores: Floats = self._float[:, : len(self)]
        return scores

    @property
    def ids(self) -> Sequence[int]:
        """The candidate of each row, oldest first."""
        return self._ids

    def row(self, node: int) -> int:
        """The row of a candidate."""
        return self._rows[node]

    def column(self, name: int) -> Ints:
        """One column over all rows, such as ALIVE or SIZE. Not to be written to."""
        column: Ints = self._int[name, : len(self)]
        return column

    def own(self, priors: Floats | None = None, rows: Rows = EVERY) -> Floats:
        """(successes, failures) x rows; a trial in flight counts as its node's expected score.

        Args:
            priors: (a, b) x rows that the expected scores begin with; None are those of `priors`.
            rows: those that are asked for.
        """
        scores, pending = self.scores[:, rows], self.column(PENDING)[rows]
        if pending.any():
            a, b = hoped = scores + (self.priors(rows) if priors is None else priors)
            scores = scores + pending * hoped / (a + b)
        return scores

    def clades(self, priors: Floats | None = None) -> Floats:
        """(successes, failures) x rows as of `own`, each summed over the row and all its descendants."""
        totals = np.zeros((2, len(self) + 1))
        self.own(priors)[:, self._order].cumsum(axis=1, out=totals[:, 1:])
        sums: Floats = np.maximum(totals[:, self.column(END)] - totals[:, self.column(START)], 0.0)
        return sums

    def priors(self, rows: Rows = EVERY) -> Floats:
        """(a, b) x rows of Beta priors worth `PRIOR` trials: a node is expected to score what its parent does.

        The parent's expected score is its posterior mean, its own prior the champion's. The seed's is Beta(1, 1).
        """
        champion = self._rows[self.champion]
        center = (1.0 + self.scores[0, champion]) / (2.0 + self.scores[:, champion].sum())
        above = self.column(ABOVE)[rows]
        won, lost = self.scores[:, above]
        means = (PRIOR * center + won) / (PRIOR + won + lost)
        means[above < 0] = 0.5
        return PRIOR * np.stack([means, 1.0 - means])


class Strategy(Protocol):
    """Where the next proposal or trial goes."""

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:
        """The next step, given everything recorded and everything in flight."""
        ...


class Thompson:
    """Clade Thompson sampling as in the Huxley-Goedel machine (Wang et al. 2025): the default.

    A proposal when trials^growth >= nodes, from the best draw of Beta(a + s, b + f) over clades; else one
    more trial of the best draw over own outcomes. A failed proposal counts as a failure of its parent.
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
            return Expand(archive.ids[parent])
        champion = archive.row(archive.champion)
        if _begun(archive, champion) < archive.settings.enough:
            return _measure(archive, champion)

        def own(rows: Rows) -> Floats:
            priors = self._priors(archive, rows)
            return priors + archive.own(priors, rows)

        return _measure(archive, self._trials.best(own, archive.column(ALIVE), rng))

    def _priors(self, archive: Archive, rows: Rows = EVERY) -> Floats:
        return archive.priors(rows) if self._inherit else np.ones_like(archive.scores[:, rows])


class Draws:
    """One draw a row from its Beta posterior.

    Up to `FRESH` rows, all are drawn anew for every decision. In a larger archive it is `FRESH` of them in turn,
    the new ones, and the one chosen last; the others keep their draws, which lag behind by a few decisions.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0)
        self._turn, self._chosen = 0, 0

    def best(self, posterior: Callable[[Rows], Floats], allowed: Ints, rng: np.random.Generator) -> int:
        """The row with the best draw among those allowed; `posterior` gives (a, b) x the rows that it is asked for."""
        rows = self._due(len(allowed))
        self._held[rows] = rng.beta(*posterior(rows))
        self._chosen = int(np.where(allowed > 0, self._held, -1.0).argmax())
        return self._chosen

    def _due(self, many: int) -> Rows:
        known = len(self._held)
        if many <= FRESH or not known:
            self._held = np.zeros(many)
            return EVERY
        if many > known:
            self._held = np.append(self._held, np.zeros(many - known))
        due = np.arange(self._turn, self._turn + FRESH) % many
        self._turn = (self._turn + FRESH) % many
        return np.concatenate([due, np.arange(known, many), [self._chosen]])


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
    {"thompson": Thompson, "hgm": partial(Thompson, inherit=False), "greedy": Greedy, "dgm": Dgm}
)
"""Every strategy by the name that campaign.yaml gives it."""


def promising(archive: Archive, gate_share: float = 0.0) -> int | None:
    """The node that should meet the champion at the gate now, or None.

    It has enough finished trials, so has the champion, its mean is more than `margin` above the champion's,
    its Beta quantile is above the champion's mean minus `slack`, it leads by `sureness` standard errors of
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
        sure = some[_lead(scores[:, some], scores[:, champion]) > settings.sureness]
        for row in sure[np.lexsort((archive.column(SIZE)[sure], -means[sure]))]:
            node = archive.ids[int(row)]
            won, lost = scores[:, row]
            untried = (node, archive.champion) not in archive.tried
            if untried and beta_cdf(bar, 1.0 + float(won), 1.0 + float(lost)) < settings.quantile:
                return node
    return None


def _lead(scores: Floats, champion: Floats) -> Floats:
    """By how many standard errors the posterior mean of each (successes, failures) exceeds the champion's."""
    won, lost = np.column_stack([scores, champion]) + 1.0
    mean = won / (won + lost)
    variance = mean * (1.0 - mean) / (won + lost + 1.0)
    lead: Floats = (mean[:-1] - mean[-1]) / np.sqrt(variance[:-1] + variance[-1])
    return lead


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(Beta(a, b) <= x), by the continued fraction of DLMF 8.17.22 with the modified Lentz method.

    The q-quantile is above x exactly when this is below q, so no quantile is ever solved for.
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny, c, d, value, m = 1e-300, 1.0, 0.0, 1.0, 0
    while True:
        half = m // 2
        if m == 0:
            step = 1.0
        elif m % 2:
            step = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            step = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1.0 / (1.0 + step * d or tiny)
        c = 1.0 + step / c or tiny
        value *= c * d
        if abs(c * d - 1.0) < 1e-14:  # noqa: PLR2004  (double precision)
            return math.exp(log) * (value - 1.0) / a
        m += 1


def fingerprint(files: Files) -> str:
    """A hash that is equal for trees that differ only in comments and layout of Python files.

    Docstrings count: a program can read them. Python that does not parse is taken byte by byte.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        content = _essence(files[path]) if path.endswith(".py") else files[path]
        for part in (path.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _essence(source: bytes) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return b"\0" + ast.dump(ast.parse(source)).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source


def _measure(archive: Archive, row: int) -> Measure:
    return Measure(archive.ids[row], _begun(archive, row))


def _begun(archive: Archive, row: int) -> int:
    return int(archive.column(TRIALS)[row] + archive.column(PENDING)[row])


def _first_short(archive: Archive) -> Measure | None:
    """A trial of the oldest living node that has not had its full number yet, those in flight counted."""
    begun = archive.column(TRIALS) + archive.column(PENDING)
    short = np.flatnonzero((archive.column(ALIVE) > 0) & (begun < archive.settings.enough))
    return _measure(archive, int(short[0])) if short.size else None
