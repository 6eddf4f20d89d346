"""The archive of candidates: every node with its search trials, sums over clades, what is in flight. Pure, no I/O.

Steps are chosen before their outcomes are seen. The caller that carries one out calls `Archive.begin`, then
`record` or `add`, then `end` in any case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.kernel.decide.bringing import Bringing
from agent.kernel.decide.effects import Observations
from agent.kernel.decide.statistics import EVERY, Floats, Ints, Rows

SIZE, ALIVE, EXPANDABLE, TRIALS, PENDING, PROPOSALS, CHILDREN, FAILED, START, END, ABOVE = COLUMNS = range(11)
PRIOR: Final = 2.0
"""Trials that a node's prior is worth, as in Beta(1, 1)."""

BASELINE: Final = 12
"""Trials of the seed that are waited for: enough to learn from; the rest is run beside the first proposals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings:
    """Every number of the search line.

    `growth`: the archive may hold trials^growth nodes. A failed proposal weighs `failure_weight` of a node,
    so that an improver that only fails does not starve the trials. `margin`, `slack`: score differences.
    `parent_trials`: finished trials that a node needs before a proposal may build on it.
    `min_z`: standard errors by which a node must lead the champion before a test is worth its trials.
    `foreseen`: the campaign's trials, where they are limited.
    """

    growth: float = 0.6
    failure_weight: float = 0.25
    task_count: int = 20
    min_trials: int = 40
    parent_trials: int = 1
    margin: float = 0.04
    slack: float = 0.10
    quantile: float = 0.05
    min_z: float = 2.5
    max_gate_share: float = 0.5
    foreseen: float = math.inf

    @property
    def baseline(self) -> int:
        """Search trials that the seed needs before the first proposal."""
        return min(self.enough, BASELINE)

    @property
    def enough(self) -> int:
        """Search trials that a node needs before it may go to the gate."""
        return min(self.min_trials, 2 * self.task_count)

    @property
    def half(self) -> int:
        """Search trials that strategy `pooled` asks for: it learns of a node from others' trials as well."""
        return (self.enough + 1) // 2


@dataclass(frozen=True, slots=True)
class Expand:
    """Ask the scaffold of `parent` for a patch; with `bring`, to bring that candidate's patch over onto it."""

    parent: int
    bring: int | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """Run a search trial of `node` at the index `turn`, from 0: it names the task, in one order for all."""

    node: int
    turn: int


@dataclass(frozen=True, slots=True)
class Compose:
    """Make a candidate that holds just these patches of others, without asking an improver."""

    patches: frozenset[int]


Step = Expand | Measure | Compose


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


Costs = dict[int, dict[int, tuple[float, float]]]
"""Candidate -> index -> score and cost of its search trials, where cost counts (`thrift`)."""


class Archive:
    """Every candidate of a campaign with its search trials. Rows of one table, in preorder intervals.

    The clade of a row (itself and all descendants) is an interval of `_order`, so sums over clades are two
    looks at one running total; they are computed at each look, never kept.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.champion = 0
        self.measure_only = False
        """Whether strategies are asked for trials alone."""
        self.tried: set[tuple[int, int]] = set()
        """Candidates and the champions that they may not meet any more: they did, or were merged onto it."""
        self.tested: set[tuple[int, int]] = set()
        """Candidates and champions whose test began."""
        self.composed: set[frozenset[int]] = set()
        """Sets of patches that some candidate holds, or that could not be put together."""
        self.flying: list[Measure | Compose] = []
        """Search trials, and sets of patches that are put together, in flight."""
        self.observations = Observations()
        self.costs: Costs = {}
        self.bringing = Bringing()
        self._patches: list[frozenset[int]] = []
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

    def add(
        self,
        node: int,
        parent: int | None,
        *,
        size: int = 0,
        alive: bool = True,
        expandable: bool = True,
        patches: frozenset[int] | None = None,
    ) -> None:
        """Add a candidate under its id; the first one is the seed and the champion.

        A node that is not `alive` (its smoke trial failed) is kept, but never measured, expanded or gated,
        and its parent is charged with a failed proposal. `patches` are those of a candidate that was put together of
        others, which does not count against the growth of the archive; None: the parent's and its own.

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
        self._nodes += alive and patches is None
        above = -1 if parent is None else self._rows[parent]
        self._order = np.insert(self._order, _preorder(self._int, row, above), row)
        own = frozenset() if parent is None else self.patches(parent) | {node}
        self._patches.append(own if patches is None else patches)
        self.composed.add(self._patches[row])
        if parent is None:
            self.champion = node
        elif not alive:
            self.fail(parent)

    def record(self, node: int, score: float, index: int | None = None) -> None:
        """Count one finished search trial, score in [0, 1]; `index` None is the next one of the node."""
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"score {score} is outside [0, 1]")
        row = self._rows[node]
        self.observations.add(row, int(self._int[TRIALS, row]) if index is None else index, score)
        self._float[0, row] += score
        self._float[1, row] += 1.0 - score
        self._int[TRIALS, row] += 1
        self._trials += 1

    def record_all(self, node: int, scores: Mapping[int, float]) -> None:
        """Count finished search trials, index -> score, as a resumed campaign knows them."""
        for index, score in scores.items():
            self.record(node, score, index)

    def fail(self, parent: int) -> None:
        """Count one proposal of `parent` that came to nothing: no change, refused, duplicate."""
        self._int[FAILED, self._rows[parent]] += 1
        self._nodes += self.settings.failure_weight

    def retire(self, node: int) -> None:
        """Neither measure nor expand `node` any more, and keep it from the gate: it was rejected or reverted."""
        self._int[[ALIVE, EXPANDABLE], self._rows[node]] = 0

    def begin(self, step: Step) -> None:
        """Note that a step is in flight."""
        self._flight(step, 1)

    def end(self, step: Step) -> None:
        """Note that a step is over, whether it was recorded, void or cancelled."""
        self._flight(step, -1)

    def _flight(self, step: Step, change: int) -> None:
        if not isinstance(step, Expand):
            (self.flying.append if change > 0 else self.flying.remove)(step)
        if isinstance(step, Compose):
            self.composed.add(step.patches)
        elif isinstance(step, Measure):
            self._int[PENDING, self._rows[step.node]] += change
            self._trials += change
        else:
            self._int[PROPOSALS, self._rows[step.parent]] += change
            self._nodes += change
            if step.bring is not None:
                self.bringing.flight(step.bring, step.parent, change)

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

    def patches(self, node: int) -> frozenset[int]:
        """The patches that a candidate holds, by the candidates that they were proposed as."""
        return self._patches[self._rows[node]]

    @property
    def members(self) -> Sequence[frozenset[int]]:
        """The patches of each row."""
        return self._patches

    def unmade(self, patches: frozenset[int]) -> bool:
        """Whether a set of patches could not be put together, or its candidate may not be measured any more.

        Also while its first trial, which was void, waits for its retry.
        """
        known = patches in self.composed and Compose(patches) not in self.flying
        return known and not any(self._int[ALIVE, row] for row, held in enumerate(self._patches) if held == patches)

    def row(self, node: int) -> int:
        """The row of a candidate."""
        return self._rows[node]

    def column(self, name: int) -> Ints:
        """One column over all rows, such as ALIVE or SIZE. Not to be written to."""
        column: Ints = self._int[name, : len(self)]
        return column

    @property
    def able(self) -> Ints:
        """1 for each row that a proposal may build on: alive, not retired, and measured well enough to learn from.

        None while `measure_only`.
        """
        measured = self.column(TRIALS) >= min(self.settings.parent_trials, self.settings.enough)
        able: Ints = self.column(EXPANDABLE) * measured * (not self.measure_only)
        return able

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


def _preorder(table: Ints, row: int, above: int) -> int:
    """Where a new row of a table goes in preorder: the end of its parent's interval, which grows; above -1: a root."""
    start, end = table[START, :row], table[END, :row]
    at = 0
    table[ABOVE, row] = above
    if above >= 0:
        at = int(end[above])
        table[CHILDREN, above] += 1
        holds = (start <= start[above]) & (end >= at)
        end[holds | (start >= at)] += 1
        start[start >= at] += 1
    table[START, row], table[END, row] = at, at + 1
    return at
