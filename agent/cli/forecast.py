"""What a configuration can prove, said before anything is spent. Part of the command line."""

from __future__ import annotations

from agent.base.types import Split, Suite
from agent.config.campaign import Config
from agent.kernel.decide.simulate import Prediction, predict
from agent.kernel.loop.settings import gate_settings, search_settings

SECONDS_PER_TRIAL = 30.0
"""What one trial is taken to last where nobody says otherwise."""
SEED_SCORE = 0.35
"""What the seed scaffold is taken to score where nobody says otherwise."""


def trials_of(config: Config, *, seconds_per_trial: float, cost_per_trial: float | None) -> int | None:
    """How many trials the first of the budget's limits leaves; None where no limit tells."""
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
    """The prediction for this suite and budget; None where no limit says how many trials there are."""
    trials = trials_of(config, seconds_per_trial=seconds_per_trial, cost_per_trial=cost_per_trial)
    if trials is None:
        return None
    return predict(
        search_tasks=len(suite.split(Split.SEARCH)),
        gate_tasks=len(suite.split(Split.GATE)),
        trials=trials,
        search=search_settings(config, suite),
        gate=gate_settings(config),
        strategy=config.search.strategy,
        dollars_per_trial=cost_per_trial,
        seconds_per_trial=seconds_per_trial,
        parallel=config.boxes.parallel,
        base=score,
        coupled=True,
        seed=config.seed,
    )
