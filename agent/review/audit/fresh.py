"""Compare two trees in new pairs, with new answers."""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.base.errors import InfrastructureError
from agent.base.types import Purpose, Task, Trial
from agent.kernel.decide.bets import SMALLEST_FACTOR
from agent.kernel.decide.cheaper import Aim, Unit, costs, saved
from agent.kernel.decide.gate import GateSettings
from agent.review.summary import Estimate
from agent.trials.evaluator import seed_of
from agent.trials.executor import Executor, Job
from agent.trials.pairs import Void, both
from agent.trials.waiting import all_of

ERROR = 0.05
GRID = 801
TOLERATED_VOIDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Fresh pairs (before, after), and how many more were void for infrastructure errors.

    A patch that can void a pair could void those that it is about to lose, so the intervals hold whatever they hid.

    `savings` are what each pair saved, from -1 to 1, where the commit claims to be cheaper; `claim` is that claim.
    """

    pairs: tuple[tuple[float, float], ...]
    voids: int
    savings: tuple[float, ...] = ()
    claim: Aim | None = None

    @property
    def difference(self) -> Estimate:
        """After minus before, with an interval that holds at any number of pairs."""
        return _whatever_hidden([after - before for before, after in self.pairs], self.voids)

    @property
    def saving(self) -> Estimate:
        """What a pair saves, with an interval that holds at any number of pairs."""
        return _whatever_hidden(self.savings, self.voids)

    @property
    def means(self) -> tuple[float, float]:
        """The mean score of each side."""
        n = max(len(self.pairs), 1)
        return sum(a for a, _ in self.pairs) / n, sum(b for _, b in self.pairs) / n


async def compare(
    evaluator: Executor,
    tasks: Sequence[Task],
    trees: tuple[str, str],
    pairs: int,
    done: Callable[[], object],
    *,
    claim: Aim | None = None,
) -> Comparison:
    """New coupled pairs of two trees on tasks drawn by weight; nothing recorded is used.

    `claim`: the second tree is said to be as good and cheaper, so cost is compared too.

    Raises:
        InfrastructureError: too many pairs were void.
    """
    scope = secrets.token_hex(8)
    drawn = random.Random(scope).choices(tasks, weights=[t.weight for t in tasks], k=pairs)  # noqa: S311 (no secret)

    apart = claim is not None and claim.unit is Unit.SECONDS
    alone = asyncio.Semaphore(1 if apart else pairs)

    async def one(index: int, task: Task) -> tuple[Trial, Trial] | None:
        answer_scope, seed = f"fresh:{scope}:{index}", seed_of(scope, index)
        before, after = (
            Job(tree=tree, task=task, purpose=Purpose.EVAL, seed=seed, answer_scope=answer_scope) for tree in trees
        )
        async with alone:
            outcome = await both(evaluator, before, after, seed, together=not apart)
        done()
        return None if isinstance(outcome, Void) else outcome

    results = await all_of([one(index, task) for index, task in enumerate(drawn)])
    good = [pair for pair in results if pair is not None]
    voids = pairs - len(good)
    if voids > TOLERATED_VOIDS * pairs:
        raise InfrastructureError(f"{voids} of {pairs} fresh pairs had infrastructure errors, too many for a result")
    spent = [] if claim is None else [costs(before.usage, after.usage, claim.unit) for before, after in good]
    return Comparison(
        pairs=tuple((before.score, after.score) for before, after in good),
        voids=voids,
        savings=tuple(saved(*sides) for sides in spent),
        claim=claim,
    )


def _whatever_hidden(values: Sequence[float], voids: int) -> Estimate:
    """The mean of values in [-1, 1], with an interval that holds for every value that each void may hide."""
    known = betting_interval(values)
    worst, best = (betting_interval([*values, *[extreme] * voids]) for extreme in (-1.0, 1.0))
    return replace(known, low=min(known.low, worst.low), high=max(known.high, best.high))


def betting_interval(values: Sequence[float], error: float = ERROR) -> Estimate:
    """Confidence interval for the mean of values in [-1, 1], valid at any stopping time.

    Hedged capital of Waudby-Smith and Ramdas (2024), with the gate's fixed bets in place of adaptive ones: the
    means m for which neither a bet that the mean is above m nor one that it is below has won 2 / error.
    """
    x = np.asarray(values, dtype=float)
    if not x.size:
        return Estimate(mean=0.0, low=-1.0, high=1.0, n=0)
    bar = math.log(2.0 / error)
    grid = np.linspace(-1.0, 1.0, GRID)
    possible = (_wealth(x, grid) < bar) & (_wealth(-x, -grid) < bar)
    kept = grid[possible]
    mean = float(x.mean())
    return Estimate(mean=mean, low=float(min(kept.min(), mean)), high=float(max(kept.max(), mean)), n=x.size)


def _wealth(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Log of the mean over the bets of prod_j (1 + bet (x_j - m)), for every m of the grid."""
    bets = np.asarray(GateSettings().lambdas)[:, None]
    # A single value of -1, the worst, costs no more than the gate allows.
    bets = np.minimum(bets, (1.0 - SMALLEST_FACTOR) / np.maximum(1.0 + grid, 1e-9))
    logs = np.zeros(bets.shape)
    for value, times in zip(*np.unique(x, return_counts=True), strict=True):
        logs += times * np.log1p(bets * (value - grid))
    top = logs.max(axis=0)
    wealth: np.ndarray = top + np.log(np.exp(logs - top).mean(axis=0))
    return wealth
