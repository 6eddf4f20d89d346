"""What a configuration can prove, predicted before anything is spent."""

from __future__ import annotations

from agent.base.types import Split, Suite
from agent.config.campaign import Config
from agent.kernel.decide.simulate import Prediction, predict
from agent.kernel.loop.settings import gate_settings, search_settings

SECONDS_PER_TRIAL = 30.0
"""Assumed duration of one trial, unless given."""
SEED_SCORE = 0.35
"""Assumed mean score of the seed scaffold, unless given."""


def trials_of(config: Config, *, seconds_per_trial: float, cost_per_trial: float | None) -> int | None:
    """The number of trials that the budget allows; None if no limit bounds it."""
    budget = config.budget
    hours = None if budget.hours is None else budget.hours * 3600 * config.boxes.parallel / seconds_per_trial
    money = None if budget.dollars is None or not cost_per_trial else budget.dollars / cost_per_trial
    limits = [limit for limit in (budget.trials, hours, money) if limit is not None]
    return max(1, int(min(limits))) if limits else None


def forecast(
    config: Config,
    suite: Suite,
    *,
    seconds_per_trial: float = SECONDS_PER_TRIAL,
    cost_per_trial: float | None = None,
    score: float = SEED_SCORE,
) -> Prediction | None:
    """The prediction for this suite and budget; None if no limit bounds the number of trials."""
    trials = trials_of(config, seconds_per_trial=seconds_per_trial, cost_per_trial=cost_per_trial)
    if trials is None:
        return None
    return predict(
        search_tasks=len(suite.split(Split.SEARCH)),
        gate_tasks=len(suite.split(Split.GATE)),
        trials=trials,
        search=search_settings(config, suite),
        gate=gate_settings(config),
        # To fit the model of `pooled` again and again takes longer than people wait; `thompson` finds less.
        strategy="thompson" if config.search.strategy == "pooled" else config.search.strategy,
        dollars_per_trial=cost_per_trial,
        seconds_per_trial=seconds_per_trial,
        parallel=config.boxes.parallel,
        base=score,
        coupled=True,
        seed=config.seed,
    )
