"""The gate's second objective: a candidate that is as good as the champion, and cheaper. Pure, no I/O.

Two things are bet on in the same fresh pairs, each by a process of its own:

- *not worse*: y_j = (b_j - a_j) + m, with m the margin that the configuration states. Under "the candidate is worse by
  m or more" E[y_j | past] <= 0.
- *cheaper*: r_j = (c_a - c_b) / max(c_a, c_b), in [-1, 1], with c_a and c_b what champion and candidate cost: the part
  of the dearer side's cost that the candidate saves. Under "it saves nothing on average" E[r_j | past] <= 0.

The claim is both at once, so its null is that one of the two is false; whichever it is, its process is a nonnegative
supermartingale from 1, and P(both reach 1 / alpha_i) <= P(that one does) <= alpha_i (Ville). Nothing is split between
them. Under `both`, a candidate may also be accepted as better, by the process of `gate`; then each of the two claims
has half of alpha_i, so that P(any false claim) <= alpha_i. In e-LOND a commit is one discovery, false if its claim is:

    E[false commits / commits] <= sum over i and claims of E[(alpha_i / claims) E_i / (R_i + 1)] <= alpha sum gamma_i.

A mean of ratios is not the ratio of means: a candidate that saves a little on most tasks and costs a lot more on a few
may have E[r] > 0. So the evidence counts as at most 1 while the candidate has not cost less in sum over the test's own
pairs; a smaller number takes nothing from the above.

What a side costs must not be for the candidate to forge. A trial's record has two figures (`Usage`): what is sure
(calls answered at the first attempt) and the most that it can have cost (every attempt; calls left under way when the
box ended, at their bound). The champion counts at what is sure, the candidate at the most: whatever a candidate does to
provoke retries or to hide calls by hanging up, r_j as counted is at most r_j as it is. A shared answer counts on both
sides for what it is worth, without the provider's prompt cache. A void counts as r_j = -1 and the worst
score that it can hide (`voids`). Seconds are those that the solving command ran, without time in our queues; a
candidate that leaves calls under way could slow what runs next, so its pair counts as r_j = -1. Sides whose seconds
are compared run one after the other, in random order, with no other pair beside them (`trials.pairs`,
`loop.scheduling`).

All tasks are sampled in pairs, those declared deterministic too: an equal score says nothing about equal cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from agent.base.usage import Usage
from agent.kernel.decide.bets import BETS, clipped
from agent.kernel.decide.gate import (
    NOTHING,
    Costs,
    Decision,
    Fixed,
    GateSettings,
    GateTest,
    PairOutcome,
    Verdict,
    threshold,
)
from agent.kernel.decide.statistics import log_mean_exp
from agent.kernel.decide.voids import VoidPair


class Objective(StrEnum):
    """What a candidate may be accepted for: a better score, a lower cost at the same score, or either."""

    SCORE = "score"
    COST = "cost"
    BOTH = "both"


class Unit(StrEnum):
    """What cost is counted in."""

    TOKENS = "tokens"
    DOLLARS = "dollars"
    SECONDS = "seconds"


class Gain(StrEnum):
    """What an accepted candidate was proven to be."""

    BETTER = "better"
    CHEAPER = "as good and cheaper"


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """What a test is about. `not_worse` and `saving` are parts of 1: of the score, and of the dearer side's cost.

    `saving` is the smallest one worth finding; it decides when a test gives up, and nothing else.
    """

    objective: Objective = Objective.SCORE
    unit: Unit = Unit.TOKENS
    not_worse: float = 0.05
    saving: float = 0.1


SCORE: Final = Aim()
"""The first objective alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostDecision(Decision):
    """A verdict about score and cost. Costs are means of a trial, in `unit`; `saved` is the mean of r.

    `log_e` is the evidence for the claim that came closest, the weakest of its parts; `log_e_better`, `log_e_not_worse`
    and `log_e_cheaper` are the processes themselves. `gain` is None unless it was accepted.
    """

    unit: Unit
    not_worse: float
    gain: Gain | None
    champion_cost: float
    candidate_cost: float
    saved: float
    log_e_better: float
    log_e_not_worse: float
    log_e_cheaper: float


def saved(champion: float, candidate: float) -> float:
    """One pair's r, in [-1, 1]: the part of the dearer side's cost that the candidate saves.

    Raises:
        ValueError: a cost is negative.
    """
    if min(champion, candidate) < 0.0:
        raise ValueError(f"costs {champion}, {candidate} are below 0")
    dearer = max(champion, candidate)
    return (champion - candidate) / dearer if dearer else 0.0


def costs(champion: Usage, candidate: Usage, unit: Unit) -> Costs:
    """What the sides of a pair cost: the champion surely, the candidate at most."""
    if unit is Unit.TOKENS:
        return float(champion.sure_tokens), float(candidate.most_tokens)
    if unit is Unit.DOLLARS:
        return champion.sure_dollars, candidate.most_dollars
    return 0.0 if candidate.abandoned else champion.seconds, candidate.seconds


class Process:
    """E_n = mean over bets of prod_j (1 + bet x_j), for x_j of which the worst is -`worst`."""

    def __init__(self, bets: Sequence[float], worst: float) -> None:
        self._bets = clipped(np.asarray(bets), worst)
        self._wealth = np.zeros_like(self._bets)

    def weigh(self, x: float) -> None:
        """Count one pair."""
        self._wealth += np.log1p(self._bets * x)

    @property
    def log_e(self) -> float:
        """Ln E_n."""
        return log_mean_exp(self._wealth)


@dataclass(slots=True)
class _Side:
    """One statement: the evidence for it, and that it is not true by enough to be worth finding."""

    proof: Process
    doubt: Process
    shift: float
    """What is added to x before it is bet on."""
    hoped: float
    """The x that the doubt bets against."""
    hopeless: bool = False

    def weigh(self, x: float) -> None:
        """Count one scored pair."""
        self.proof.weigh(x + self.shift)
        self.doubt.weigh(self.hoped - x)

    def charge(self, x: float) -> None:
        """Count a void: never in the candidate's favour, and no doubt about the patch follows from it."""
        self.proof.weigh(min(x + self.shift, 0.0))


def _side(bets: Sequence[float], doubts: Sequence[float], *, shift: float = 0.0, hoped: float) -> _Side:
    return _Side(Process(bets, 1.0 - shift), Process(doubts, 1.0 - hoped), shift, hoped)


class CostTest(GateTest):
    """The sequential test of one candidate under the objective `cost` or `both`; O(1) a pair.

    Args:
        settings: the numbers of the gate.
        aim: what the test is about.
        index: this candidate's number, from 1, among all that reached the gate; recorded before its first pair.
        commits: commits of the campaign when the test began.
        history: pairs and voids recorded before a restart.
    """

    def __init__(
        self, settings: GateSettings, aim: Aim, index: int, commits: int, history: Iterable[PairOutcome] = ()
    ) -> None:
        super().__init__(settings, Fixed())
        self.aim, both = aim, aim.objective is Objective.BOTH
        self._gains: Final = (Gain.BETTER, Gain.CHEAPER) if both else (Gain.CHEAPER,)
        self._threshold = threshold(index, commits, settings) + math.log(len(self._gains))
        small = [bet for bet in BETS if bet <= settings.futility_lambda_max]
        self._better = _side(settings.lambdas, small, hoped=settings.smallest_effect)
        self._not_worse = _side(BETS, small, shift=aim.not_worse, hoped=0.0)
        self._cheaper = _side(BETS, small, hoped=aim.saving)
        self._spent, self._ratios = [0.0, 0.0], 0.0
        self._gain: Gain | None = None
        self.feed(history)

    @property
    def unit(self) -> Unit:
        """What cost is counted in."""
        return self.aim.unit

    @property
    def gain(self) -> Gain | None:
        """The claim that was accepted, if one was."""
        return self._gain

    @property
    def log_e(self) -> float:
        """Ln of the evidence for the claim that is nearest to being proven: the weakest of its parts."""
        return max(self._log_e(gain) for gain in self._gains)

    @property
    def log_threshold(self) -> float:
        """Ln of what each claim needs: (claims that may be made) / alpha_i."""
        return self._threshold

    def add(self, champion: float, candidate: float, costs: Costs = NOTHING) -> Decision | None:
        """Count one pair of scores and costs; ignored after the decision.

        Raises:
            ValueError: a score is outside [0, 1], or a cost below 0.
        """
        if self.decide() is None:
            ratio = saved(*costs)
            self._ratios += ratio
            self._spent = [known + cost for known, cost in zip(self._spent, costs, strict=True)]
            self._cheaper.weigh(ratio)
        return super().add(champion, candidate)

    def _weigh(self, champion: float, candidate: float) -> None:
        x = candidate - champion
        self._better.weigh(x)
        self._not_worse.weigh(x)
        proven = [gain for gain in self._gains if self._log_e(gain) >= self._threshold]
        if proven:
            self._gain = proven[0]
            self._end(Verdict.ACCEPTED, _WHY[proven[0]].format(margin=self.aim.not_worse))
        elif self._pairs >= self._settings.futility_min_pairs and self._hopeless():
            self._end(Verdict.FUTILE, self._out_of_sight())
        elif self._pairs >= self._settings.max_pairs:
            self._end(Verdict.REJECTED, "no evidence for any claim after all pairs allowed")

    def _charge(self, pair: VoidPair) -> None:
        champion, candidate = pair.worst_case
        self._better.charge(candidate - champion)
        self._not_worse.charge(candidate - champion)
        self._cheaper.charge(-1.0)

    def _log_e(self, gain: Gain) -> float:
        weakest = min(side.proof.log_e for side in self._sides(gain))
        less = self._spent[1] < self._spent[0]
        return weakest if gain is Gain.BETTER or less else min(weakest, 0.0)

    def _sides(self, gain: Gain) -> tuple[_Side, ...]:
        return (self._better,) if gain is Gain.BETTER else (self._not_worse, self._cheaper)

    def _hopeless(self) -> bool:
        """Whether every claim has a part that is out of sight; once given up, a part stays given up."""
        bar = -math.log(self._settings.futility_beta)
        for side in (self._better, self._not_worse, self._cheaper):
            side.hopeless |= side.doubt.log_e >= bar
        return all(any(side.hopeless for side in self._sides(gain)) for gain in self._gains)

    def _out_of_sight(self) -> str:
        what = "being worse than the champion is likelier" if self._not_worse.hopeless else "a saving is out of sight"
        return f"no claim is within reach: {what}"

    def _end(self, verdict: Verdict, why: str) -> Decision:
        unit, (before, after) = self.unit, self.costs
        better, not_worse, cheaper = (side.proof.log_e for side in (self._better, self._not_worse, self._cheaper))
        odds = _odds((better, not_worse, cheaper), self._threshold)
        words = f"{self._figures()}, {cost_words(before, after, unit)}; {odds}"
        plain = self._decide(verdict, f"{why}; {words}", log_e=self.log_e, log_threshold=self._threshold)
        self._decision = CostDecision(
            **asdict(plain),
            unit=unit,
            not_worse=self.aim.not_worse,
            gain=self._gain,
            champion_cost=before,
            candidate_cost=after,
            saved=self._ratios / max(self._pairs, 1),
            log_e_better=better,
            log_e_not_worse=not_worse,
            log_e_cheaper=cheaper,
        )
        return self._decision

    @property
    def costs(self) -> Costs:
        """The mean cost of a trial so far, of champion and candidate."""
        pairs = max(self._pairs, 1)
        return self._spent[0] / pairs, self._spent[1] / pairs


_WHY: Final = {
    Gain.BETTER: "the candidate is better",
    Gain.CHEAPER: "the candidate is not worse by {margin:g} or more, and cheaper",
}


def cost_words(before: float, after: float, unit: Unit) -> str:
    """What a trial costs, before and after."""
    change = f" ({(after - before) / before:+.0%})" if before else ""
    return f"{_amount(before, unit)} -> {_amount(after, unit)} a trial{change}"


def _amount(cost: float, unit: Unit) -> str:
    if unit is Unit.TOKENS:
        return f"{cost:,.0f} tokens"
    return f"${cost:.6f}" if unit is Unit.DOLLARS else f"{cost:.2f} s"


def evidence_words(decision: CostDecision) -> str:
    """The evidence for each statement, and what a claim needs of each that it consists of."""
    return _odds(
        (decision.log_e_better, decision.log_e_not_worse, decision.log_e_cheaper), decision.log_threshold or 0.0
    )


def _odds(processes: tuple[float, float, float], bar: float) -> str:
    values = [f"{math.exp(min(log, 700.0)):.3g}" for log in (*processes, bar)]
    return "e-values: better {}, not worse {}, cheaper {}; {} needed".format(*values)
