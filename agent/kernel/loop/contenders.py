"""Who meets the champion next, and what the campaign can still spend on it."""

from __future__ import annotations

from agent.kernel.decide.bets import Terms
from agent.kernel.decide.cheaper import Objective
from agent.kernel.decide.gate import threshold
from agent.kernel.decide.pooled import Spend
from agent.kernel.decide.promotion import Promoter, promising
from agent.kernel.decide.thrift import Thrifty
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.settings import aim_of, opening_of

PAIR_WAIT = 1.7
"""Search trials that are run in the time of one of a test: a pair ends with its slower side, beside canaries.

Measured in a campaign of a few minutes: 1.4 search trials a second before the test, 0.8 trials a second in it.
"""


class Contenders:
    """One campaign's candidates for the gate."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._state, self._config = parts, parts.state, parts.config

    def next(self) -> int | None:
        """The node that should meet the champion now, by the strategy's own rule if it has one."""
        state, strategy = self._state, self._parts.strategy
        if isinstance(strategy, Thrifty):
            cheapest = strategy.cheapest(state.archive, self._spend())
            if cheapest is not None or strategy.aim.objective is Objective.COST:
                return cheapest
            strategy = strategy.inner
        if not isinstance(strategy, Promoter):
            return promising(state.archive, self._gate_share())
        return strategy.contender(state.archive, self._spend())

    def brings(self, node: int) -> bool:
        """Whether an improver should bring a contender over before its own tree meets the champion."""
        strategy = self._promoter()
        return strategy is not None and strategy.brings(self._state.archive, node, self._spend())

    def terms(self, node: int) -> Terms | None:
        """On what terms that node should meet the champion; None: on the gate's own."""
        if self._config.gate != "proven" or aim_of(self._config).objective is not Objective.SCORE:
            return None
        strategy = self._promoter()
        return None if strategy is None else strategy.terms(self._state.archive, node, self._spend())

    def _promoter(self) -> Promoter | None:
        """The strategy, or the one that saves cost beside it, if it has a rule of its own."""
        strategy = self._parts.strategy
        if isinstance(strategy, Thrifty) and strategy.aim.objective is not Objective.COST:
            strategy = strategy.inner
        return strategy if isinstance(strategy, Promoter) else None

    def bring(self, node: int) -> None:
        """Have an improver asked to bring a contender over; its own tree may meet the champion afterwards."""
        archive, champion = self._state.archive, self._state.champion
        archive.tried.discard((node, champion))
        archive.bringing.due.append((node, champion))
        text = f"#{node} conflicts with champion #{champion}: an improver is asked to bring it over"
        self._state.ledger.note("merge", text)

    def _spend(self) -> Spend:
        state = self._state
        settings = opening_of(self._config, self._parts.suite).settings
        return Spend(
            foreseen=self._foreseen(),
            used=state.trials,
            gate=state.gate_trials,
            log_threshold=threshold(len(state.ledger.tests()) + 1, state.proven, settings),
            proposal=self._proposal(),
            wait=1.0 if self._config.budget.trials else PAIR_WAIT,
        )

    def _proposal(self) -> float:
        """What a proposal costs in trials: by money where prices are known, else by tokens; 1 if neither is."""
        ledger, state = self._state.ledger, self._state
        improver, solver = ledger.spent("improver"), ledger.spent("solver")
        proposals, trials = max(len(state.candidates) - 1, 1), max(state.trials, 1)
        for paid, used in ((improver.dollars, solver.dollars), (improver.fresh_tokens, solver.fresh_tokens)):
            if paid and used:
                return (paid / proposals) / (used / trials)
        return 1.0

    def _gate_share(self) -> float:
        """Share of the campaign's trials that the gate has used."""
        return self._state.gate_trials / self._foreseen()

    def _foreseen(self) -> float:
        """The campaign's trials; without a limit on trials, as many as the other limits should allow."""
        limit = self._config.budget.trials
        return max(limit or self._state.trials / max(self._parts.budget.fraction(), 1e-9), 1.0)
