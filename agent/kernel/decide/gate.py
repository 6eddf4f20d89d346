"""The commit gate: pure decisions on fresh paired trials, with controlled error. No I/O.

x_j = D + W (b_j - a_j): a, b the scores of champion and candidate on one freshly drawn task, W the weight
of the sampled tasks, D the weighted difference on the deterministic ones. Under H: E[x_j | past] <= 0 the
process E_n = mean over lambda of prod_j (1 + lambda x_j) is a nonnegative supermartingale that starts at
1, so P(sup E_n >= 1/a) <= a (Ville): looking after every pair is free. Levels follow e-LOND. A voided pair counts
as the worst one that it can hide, so a candidate gains nothing by causing voids (`voids` has the argument).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from agent.kernel.decide.bets import BETS, CAUTIOUS_BET, clipped
from agent.kernel.decide.statistics import log_mean_exp, sign_flip
from agent.kernel.decide.voids import VoidCount, VoidLimit, VoidPair, VoidRule, reached_before

_ROUNDING: Final = 1e-12


class Verdict(StrEnum):
    """How a test ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FUTILE = "futile"
    OUT_OF_BUDGET = "out of budget"
    VOID = "void"


class Control(StrEnum):
    """What `alpha` bounds: the false share of a campaign's commits, or the chance of any false commit."""

    FDR = "fdr"
    FAMILYWISE = "familywise"


Costs = tuple[float, float]
"""What a pair's sides cost, champion and candidate, as `cheaper` counts it."""

NOTHING: Final[Costs] = (0.0, 0.0)

PairOutcome = tuple[float, float] | tuple[float, float, Costs] | VoidPair
"""One pair as the ledger keeps it: (champion's score, candidate's score[, costs]), or what is known of a voided one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateSettings:
    """Every number of the gate; `alpha` None is .10 for the false share and .05 for any false commit.

    `bets` are those of one test, chosen before its first pair by what search expects; none: it mixes `lambdas`.
    A test ends void when voids are more than `tolerated_voids` and bets against blind voids of at most
    `max_void_share` have won 1 / `void_error`. `lopsided_chance` belongs to `VoidRule.DISCARDED` alone.
    """

    control: Control = Control.FDR
    alpha: float | None = None
    lambdas: tuple[float, ...] = BETS
    bets: tuple[float, ...] = ()
    spending: int = 30
    smallest_effect: float = 0.05
    futility_lambda_max: float = CAUTIOUS_BET
    futility_beta: float = 0.2
    futility_min_pairs: int = 20
    max_pairs: int = 1500
    max_void_share: float = 0.05
    tolerated_voids: int = 4
    lopsided_chance: float = 0.01
    voids: VoidRule = VoidRule.WORST_CASE
    void_error: float = 0.01

    @property
    def level(self) -> float:
        """The campaign-wide error."""
        if self.alpha is not None:
            return self.alpha
        return 0.10 if self.control is Control.FDR else 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixed:
    """The deterministic tasks, run once a side: weighted score sums, and their share of the weight."""

    champion: float = 0.0
    candidate: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A verdict with its figures. Means are of the whole suite, deterministic part included.

    `log_e` and `log_threshold` are None where no evidence was weighed (all tasks deterministic, policy
    `better`). Policy `better` alone sets `null_passes`, the chance that a patch without effect passes the
    rule, and `luck`, the chance that it looks at least as good as this one did.
    """

    verdict: Verdict
    sentence: str
    pairs: int
    champion_voids: int
    candidate_voids: int
    champion_mean: float
    candidate_mean: float
    delta: float
    log_e: float | None = None
    log_threshold: float | None = None
    null_passes: float | None = None
    luck: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the candidate becomes champion."""
        return self.verdict is Verdict.ACCEPTED


def threshold(index: int, commits: int, settings: GateSettings) -> float:
    """ln(1 / alpha_i) of the `index`-th candidate (from 1) that reached the gate, after `commits` commits.

    alpha_i = alpha gamma_i (R + 1), gamma_i = K / ((i + K - 1)(i + K)), which sums to 1 (e-LOND, Xu and
    Ramdas 2023); familywise leaves the (R + 1) out. FDR control needs only R + 1 <= final number of
    commits on acceptance, so tests may overlap as long as R counts commits made before this test began.

    Raises:
        ValueError: `index` is below 1, or more commits than candidates before this one.
    """
    if index < 1 or not 0 <= commits < index:
        raise ValueError(f"candidate {index} cannot follow {commits} commits")
    k = settings.spending
    gamma = k / ((index + k - 1) * (index + k))
    reward = commits + 1 if settings.control is Control.FDR else 1
    return -math.log(settings.level * gamma * reward)


def pairs_to_prove(settings: GateSettings) -> int:
    """The fewest pairs after which the first candidate can be accepted: it wins every one of them."""
    bets = np.log1p(clipped(np.asarray(settings.bets or settings.lambdas), 1.0))
    bar, pairs = threshold(1, 0, settings), 1
    while log_mean_exp(pairs * bets) < bar:
        pairs += 1
    return pairs


class GateTest(ABC):
    """What all tests share: counting pairs and voids, ending once, and saying so."""

    def __init__(self, settings: GateSettings, fixed: Fixed) -> None:
        self._settings = settings
        self._fixed = fixed
        self._offset = fixed.candidate - fixed.champion
        self._weight = 1.0 - fixed.share
        self._pairs = 0
        self._sums = [0.0, 0.0]
        self._voids = VoidCount()
        self._decision: Decision | None = None
        if fixed.share >= 1.0:
            self._end_deterministic()

    @property
    def pairs(self) -> int:
        """Scored pairs that were counted."""
        return self._pairs

    def decide(self) -> Decision | None:
        """The decision, once there is one."""
        return self._decision

    def add(self, champion: float, candidate: float, costs: Costs = NOTHING) -> Decision | None:  # noqa: ARG002
        """Count one pair of scores; ignored after the decision. Costs count in a `cheaper.CostTest` alone.

        Raises:
            ValueError: a score is outside [0, 1].
        """
        if not (0.0 <= champion <= 1.0 and 0.0 <= candidate <= 1.0):
            raise ValueError(f"scores {champion}, {candidate} are outside [0, 1]")
        if self._decision is None:
            self._pairs += 1
            self._sums[0] += champion
            self._sums[1] += candidate
            self._weigh(champion, candidate)
        return self._decision

    def void(self, pair: VoidPair) -> Decision | None:
        """Count one pair that was voided."""
        if self._decision is None:
            self._voids.add(pair.side)
            if self._settings.voids is VoidRule.WORST_CASE:
                self._charge(pair)
            if self._too_many_voids():
                self._end(Verdict.VOID, "infrastructure errors voided too many pairs to compare the sides")
        return self._decision

    def feed(self, history: Iterable[PairOutcome]) -> Decision | None:
        """Replay recorded pairs and voids in their order."""
        for outcome in history:
            if isinstance(outcome, VoidPair):
                self.void(outcome)
            else:
                self.add(*outcome)
        return self._decision

    def close(self, verdict: Verdict, why: str) -> Decision:
        """End the test from outside, without acceptance; an earlier decision stands.

        Raises:
            ValueError: `verdict` is not for the caller to give.
        """
        if verdict not in {Verdict.OUT_OF_BUDGET, Verdict.VOID}:
            raise ValueError(f"only the evidence can make a test end as {verdict}")
        return self._decision or self._end(verdict, why)

    def _decide(self, verdict: Verdict, sentence: str, **figures: float) -> Decision:
        champion, candidate = self._means
        self._decision = Decision(
            verdict=verdict,
            sentence=f"{verdict}: {sentence}",
            pairs=self._pairs,
            champion_voids=self._voids.champion,
            candidate_voids=self._voids.candidate,
            champion_mean=champion,
            candidate_mean=candidate,
            delta=candidate - champion,
            **figures,
        )
        return self._decision

    def _end_deterministic(self) -> None:
        """Every task is deterministic, checked by repeated runs: they decide alone, and no error is spent."""
        champion, candidate = self._means
        verdict = Verdict.ACCEPTED if candidate > champion else Verdict.REJECTED
        why = "the candidate is better" if candidate > champion else "the candidate is not better"
        figures = f"champion {champion:.3f}, candidate {candidate:.3f} ({candidate - champion:+.3f})"
        self._decide(verdict, f"{why} on tasks that are all deterministic; {figures}")

    @abstractmethod
    def _weigh(self, champion: float, candidate: float) -> None:
        """Take one pair into account, and end the test if it is decided."""

    @abstractmethod
    def _end(self, verdict: Verdict, why: str) -> Decision:
        """Fix the decision."""

    @abstractmethod
    def _charge(self, pair: VoidPair) -> None:
        """Count a void as its worst case, without ending the test; it never counts in the candidate's favour."""

    def _too_many_voids(self) -> bool:
        numbers = self._settings
        share, tolerated = numbers.max_void_share, numbers.tolerated_voids
        if numbers.voids is VoidRule.DISCARDED:
            chance = numbers.lopsided_chance
            return reached_before(self._voids, self._pairs, share=share, tolerated=tolerated, chance=chance)
        limit = VoidLimit(share=share, tolerated=tolerated, error=numbers.void_error)
        return limit.reached(self._voids, self._pairs)

    def _difference(self, champion: float, candidate: float) -> float:
        """x_j, in [D - W, D + W]."""
        return self._offset + self._weight * (candidate - champion)

    @property
    def _means(self) -> tuple[float, float]:
        share = self._weight / max(self._pairs, 1)
        return self._fixed.champion + share * self._sums[0], self._fixed.candidate + share * self._sums[1]

    def _figures(self) -> str:
        champion, candidate = self._means
        text = (
            f"{_count(self._pairs, 'fresh pair')}: champion {champion:.3f}, "
            f"candidate {candidate:.3f} ({candidate - champion:+.3f})"
        )
        if voids := self._voids.pairs:
            text += f", {voids} void ({self._voids.champion} champion, {self._voids.candidate} candidate)"
            text += ", counted as lost" if self._settings.voids is VoidRule.WORST_CASE else ""
        return text


class PairedTest(GateTest):
    """The sequential test of one candidate against the champion (policy `proven`); O(1) a pair.

    Args:
        settings: the numbers of the gate.
        index: this candidate's number, from 1, among all that reached the gate; recorded before its first pair.
        commits: commits of the campaign when the test began.
        fixed: the deterministic part; its share 1 decides at once, and no error is spent.
        history: pairs and voids recorded before a restart.
    """

    def __init__(
        self,
        settings: GateSettings,
        index: int,
        commits: int,
        fixed: Fixed | None = None,
        history: Iterable[PairOutcome] = (),
    ) -> None:
        super().__init__(settings, fixed or Fixed())
        self._threshold = threshold(index, commits, settings)
        low, high = self._offset - self._weight, self._offset + self._weight - settings.smallest_effect
        self._bets = clipped(np.asarray(settings.bets or settings.lambdas), -low)
        small = np.asarray([bet for bet in settings.lambdas if bet <= settings.futility_lambda_max])
        self._doubts = clipped(small, high)
        self._wealth = np.zeros_like(self._bets)
        self._doubt = np.zeros_like(self._doubts)
        self.feed(history)

    @property
    def log_e(self) -> float:
        """Ln E_n."""
        return log_mean_exp(self._wealth)

    @property
    def log_threshold(self) -> float:
        """ln(1 / alpha_i)."""
        return self._threshold

    def _weigh(self, champion: float, candidate: float) -> None:
        settings = self._settings
        x = self._difference(champion, candidate)
        self._wealth += np.log1p(self._bets * x)
        self._doubt += np.log1p(-self._doubts * (x - settings.smallest_effect))
        if self.log_e >= self._threshold:
            self._end(Verdict.ACCEPTED, "the candidate is better")
        elif self._pairs >= settings.futility_min_pairs and self._hopeless():
            effect = settings.smallest_effect
            self._end(Verdict.FUTILE, f"an improvement of {effect:.2f} or more is out of sight")
        elif self._pairs >= settings.max_pairs:
            self._end(Verdict.REJECTED, "no evidence of an improvement after all pairs allowed")

    def _charge(self, pair: VoidPair) -> None:
        # Futility is judged by scored pairs alone: an outage says nothing about what the patch is worth.
        self._wealth += np.log1p(self._bets * self._worst(pair))

    def _worst(self, pair: VoidPair) -> float:
        # Without any score, a repeated run of a deterministic task may have been voided, which is worth up to 1.
        return min(self._difference(*pair.worst_case), 0.0) if pair.is_known else -1.0

    def _hopeless(self) -> bool:
        return self._doubt.size > 0 and log_mean_exp(self._doubt) >= -math.log(self._settings.futility_beta)

    def _end(self, verdict: Verdict, why: str) -> Decision:
        log_e, bar = self.log_e, self._threshold
        evidence = f"e-value {_odds(log_e)}, {_odds(bar)} needed"
        sentence = f"{why}; {self._figures()}; {evidence}"
        return self._decide(verdict, sentence, log_e=log_e, log_threshold=bar)


class BetterTest(GateTest):
    """Policy `better`: `k` fresh pairs, accepted if the mean is higher. Proves nothing, and says so."""

    def __init__(
        self, settings: GateSettings, k: int, fixed: Fixed | None = None, history: Iterable[PairOutcome] = ()
    ) -> None:
        super().__init__(settings, fixed or Fixed())
        if k < 1:
            raise ValueError(f"{k} pairs cannot be compared")
        self._k = k
        self._differences: list[float] = []
        self._charged = 0.0
        self.feed(history)

    def _weigh(self, champion: float, candidate: float) -> None:
        self._differences.append(self._weight * (candidate - champion))
        if self._pairs == self._k:
            before, after = self._means
            better = after > before and after - before + self._charged / self._k > _ROUNDING
            why = "the candidate did better" if better else "the candidate did not do better"
            self._end(Verdict.ACCEPTED if better else Verdict.REJECTED, why)

    def _charge(self, pair: VoidPair) -> None:
        champion, candidate = pair.worst_case
        lost = min(self._weight * (candidate - champion), 0.0)
        self._differences.append(lost)
        self._charged += lost

    def _end(self, verdict: Verdict, why: str) -> Decision:
        passes, luck = sign_flip(self._differences, self._pairs * self._offset)
        sentence = f"{why}; {self._figures()}"
        if verdict is Verdict.ACCEPTED:
            sentence += (
                f"; not proven: a patch without effect would have passed with chance {passes:.2f}, "
                f"and would have done at least as well with chance {luck:.2f}"
            )
        return self._decide(verdict, sentence, null_passes=passes, luck=luck)


def _odds(log: float) -> str:
    value = math.exp(min(log, 700.0))
    return f"{value:.3g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"
