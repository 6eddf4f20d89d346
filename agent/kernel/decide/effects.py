"""What each patch is worth, by the search trials of all candidates together. Pure, no I/O.

A score is modelled as

    level + effects of the candidate's patches + what the index gives to everybody + noise,

with indices ~ N(0, .), and effects of which a few are large and most next to nothing. All candidates meet the same
task with the same answers at the same index, so the third part takes out what they share; what is left is noise of
the two that differ. A patch is measured by every candidate that holds it, not by its own few trials alone. The spread
of effects is the one of `SPREADS` under which the scores are likeliest, so that a campaign's own proposals say how
large effects are. Search decides nothing, so a model that is wrong costs trials and no error: the gate measures again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.kernel.decide.statistics import EVERY, Floats, Ints, Rows

SPREADS: Final = (0.02, 0.04, 0.07, 0.12, 0.2, 0.35)
"""Standard deviations of effects, in score, that are tried."""
FEW: Final = 0.2
"""The share of patches that are taken to do something."""
NOTHING: Final = 0.2
"""The variance of the effects of the others, as a part of that of all."""
ROUNDS: Final = 3
"""How often it is asked again which patches do something."""
RIDGE: Final = 0.05
"""Trials by which an index's part of a score is shrunk, so that there is one answer where nobody met two indices."""
LATER: Final = 1.02
"""The parts of indices are fitted again once there are so many times as many trials: a fit of many takes long."""
_CAREFUL: Final = 4.0
"""Average trials that each candidate's mean is shrunk by while the parts of the noise are told apart."""
_LEAST_NOISE: Final = 0.03
_LEVEL: Final = 1e3
"""The prior variance of the level, which is free."""
_MOST_SHARED: Final = 0.97


@dataclass(frozen=True, slots=True)
class Trials:
    """Finished search trials: who (a row), at which index, with which score; equally long."""

    rows: Ints
    indices: Ints
    scores: Floats


class Observations:
    """Search trials as they finish; room grows by doubling."""

    def __init__(self) -> None:
        self._ints, self._scores, self._count = np.zeros((2, 64), dtype=np.int64), np.zeros(64), 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: int, index: int, score: float) -> None:
        """Keep one trial."""
        if self._count == len(self._scores):
            self._ints = np.concatenate([self._ints, np.zeros_like(self._ints)], axis=1)
            self._scores = np.concatenate([self._scores, np.zeros_like(self._scores)])
        self._ints[:, self._count] = row, index
        self._scores[self._count] = score
        self._count += 1

    @property
    def trials(self) -> Trials:
        """All of them. Not to be written to."""
        rows, indices = self._ints[:, : self._count]
        return Trials(rows, indices, self._scores[: self._count])


@dataclass(frozen=True, kw_only=True, slots=True)
class Posterior:
    """What the trials say of every patch and candidate.

    `coefficients` are the mean level and the mean effect of each of `patches`, `root` a matrix R with R^T R their
    covariance, `design` has a row for each candidate and a column for each coefficient. `shared` is the variance of
    what an index gives to everybody, `noise` that of a trial beside it.
    """

    patches: tuple[int, ...]
    coefficients: Floats
    root: Floats
    design: Floats
    noise: float
    shared: float
    spread: float

    @property
    def values(self) -> Floats:
        """The expected score of each candidate."""
        values: Floats = self.design @ self.coefficients
        return values

    @property
    def effects(self) -> dict[int, float]:
        """Patch -> its expected effect on the score."""
        return dict(zip(self.patches, self.coefficients[1:].tolist(), strict=True))

    def draw(self, rng: np.random.Generator) -> Floats:
        """The scores of all candidates in one draw."""
        values: Floats = self.design @ self.sample(rng)
        return values

    def sample(self, rng: np.random.Generator) -> Floats:
        """The coefficients of one draw."""
        sample: Floats = self.coefficients + self.root.T @ rng.standard_normal(len(self.coefficients))
        return sample

    def lead(self, champion: int, rows: Rows = EVERY) -> tuple[Floats, Floats]:
        """(lead, its standard error) of some rows over the row `champion`."""
        contrast = self.design[rows] - self.design[champion]
        errors: Floats = np.sqrt(((self.root @ contrast.T) ** 2).sum(axis=0))
        return contrast @ self.coefficients, errors


def fit(members: Sequence[frozenset[int]], trials: Trials, spreads: Sequence[float] = SPREADS) -> Posterior:
    """The posterior, given the patches of each candidate; there is at least one trial."""
    active, rows = np.unique(trials.rows, return_inverse=True)
    seen, sums = _tables(len(active), Trials(rows, trials.indices, trials.scores))
    shared, noise = _variances(seen, sums)
    patches = tuple(sorted(set().union(*members)))
    design = _design(members, patches)
    weights = 1.0 / (noise / max(shared, 1e-9) + seen.sum(axis=0))
    precision = (np.diag(seen.sum(axis=1)) - (seen * weights) @ seen.T) / noise
    pull = (sums.sum(axis=1) - seen @ (weights * sums.sum(axis=0))) / noise
    measured = design[active]
    matrix, vector = measured.T @ precision @ measured, measured.T @ pull
    fits = [_solve(matrix, vector, np.full(len(patches), spread**2)) for spread in spreads]
    likeliest = max(range(len(fits)), key=lambda at: fits[at][0])
    _, coefficients, root = fits[likeliest]
    coefficients, root = _sparse(matrix, vector, spreads[likeliest] ** 2, coefficients, root)
    return Posterior(
        patches=patches,
        coefficients=coefficients,
        root=root,
        design=design,
        noise=noise,
        shared=shared,
        spread=spreads[likeliest],
    )


class Levels:
    """The mean score of each candidate as if all had met the same indices.

    Indices that tell much are harder than others for a good candidate, so plain means do not compare. A score is taken
    for a candidate's part plus an index's part, which is hardly shrunk (ridge regression). Parts are fitted seldom
    (`LATER`); until then a new index counts as an average one.
    """

    def __init__(self) -> None:
        self._parts, self._due = np.zeros(0), 0.0
        self._known = (0, 0), np.zeros(0)

    def of(self, trials: Trials, count: int) -> Floats:
        """The level of each of `count` candidates; NaN without a trial."""
        seen = len(trials.rows), count
        if seen[0] >= self._due:
            self._parts, self._due = _parts(trials, count), seen[0] * LATER
        if self._known[0] != seen:
            self._known = seen, self._level(trials, count)
        return self._known[1]

    def _level(self, trials: Trials, count: int) -> Floats:
        new = np.zeros(int(trials.indices.max()) + 1 - len(self._parts))
        above = np.concatenate([self._parts, new])[trials.indices]
        met = np.bincount(trials.rows, minlength=count)
        with np.errstate(invalid="ignore"):
            level = np.bincount(trials.rows, trials.scores - above, minlength=count) / met
        return np.asarray(level.clip(0.0, 1.0), dtype=float)


def _parts(trials: Trials, count: int) -> Floats:
    """By how much the scores at each index from 0 on are above those at the average index; they sum to 0."""
    met, seen = np.bincount(trials.rows, minlength=count), np.bincount(trials.indices)
    table = np.zeros((count, len(seen)))
    np.add.at(table, (trials.rows, trials.indices), 1.0)
    means = np.bincount(trials.rows, trials.scores, minlength=count) / np.maximum(met, 1)
    shares = table / np.maximum(met, 1)[:, None]
    above = np.bincount(trials.indices, trials.scores - means[trials.rows])
    return np.asarray(np.linalg.solve(np.diag(seen + RIDGE) - table.T @ shares, above), dtype=float)


def _tables(count: int, trials: Trials) -> tuple[Floats, Floats]:
    """(how often each row was run at each index, the sum of those scores)."""
    _, index = np.unique(trials.indices, return_inverse=True)
    seen, sums = np.zeros((2, count, int(index.max()) + 1))
    np.add.at(seen, (trials.rows, index), 1.0)
    np.add.at(sums, (trials.rows, index), trials.scores)
    return seen, sums


def _variances(seen: Floats, sums: Floats) -> tuple[float, float]:
    """(variance of what an index gives to everybody, variance of the rest), by products of two rows' residuals."""
    count = seen.sum()
    centre = sums.sum() / count
    means = (sums.sum(axis=1) + _CAREFUL * centre) / (seen.sum(axis=1) + _CAREFUL)
    residuals = sums - seen * means[:, None]
    total = max(float((residuals**2).sum() / count), _LEAST_NOISE)
    together = seen.sum(axis=0)
    pairs = float((together * (together - 1.0)).sum())
    products = float((residuals.sum(axis=0) ** 2 - (residuals**2).sum(axis=0)).sum())
    shared = min(max(products / pairs, 0.0), _MOST_SHARED * total) if pairs else 0.0
    return shared, max(total - shared, _LEAST_NOISE)


def _design(members: Sequence[frozenset[int]], patches: Sequence[int]) -> Floats:
    column = {patch: at for at, patch in enumerate(patches, 1)}
    design = np.zeros((len(members), len(patches) + 1))
    design[:, 0] = 1.0
    for row, held in enumerate(members):
        design[row, [column[patch] for patch in held]] = 1.0
    return design


def _solve(matrix: Floats, vector: Floats, variances: Floats) -> tuple[float, Floats, Floats]:
    """(log likelihood up to a constant, coefficients, R) under effects of these prior variances; the level is free."""
    lower = np.linalg.cholesky(matrix + np.diag(1.0 / np.concatenate([[_LEVEL], variances])))
    root = np.linalg.inv(lower)
    half = root @ vector
    likelihood = float(half @ half) / 2 - float(np.log(np.diag(lower)).sum()) - float(np.log(variances).sum()) / 2
    return likelihood, root.T @ half, root


def _sparse(
    matrix: Floats, vector: Floats, variance: float, coefficients: Floats, root: Floats
) -> tuple[Floats, Floats]:
    """(coefficients, R) where few effects are large and the others next to nothing, each normal around 0.

    That is the mixture of George and McCulloch (1993). Each effect has the prior variance that is expected of it, by
    how likely it is to be one of the few; which is asked of what the trials alone say of it: its posterior without
    its prior, as in expectation propagation. `coefficients` and R are those of one `variance` for all.
    """
    large, small = variance / FEW, variance * NOTHING
    variances = np.full(len(vector) - 1, variance)
    for _ in range(ROUNDS):
        errors = (root**2).sum(axis=0)[1:]
        alone = 1.0 / np.maximum(1.0 / errors - 1.0 / variances, 1e-9)
        means = coefficients[1:] / errors * alone
        tall, low = large + alone, small + alone
        odds = math.log(FEW / (1.0 - FEW)) + (np.log(low / tall) + means**2 * (1.0 / low - 1.0 / tall)) / 2.0
        variances = small + (large - small) / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0)))
        _, coefficients, root = _solve(matrix, vector, variances)
    return coefficients, root
