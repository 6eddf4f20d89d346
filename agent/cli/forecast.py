"""What a configuration can prove, predicted before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from agent.base.types import Split, Suite
from agent.config.campaign import Config
from agent.kernel.decide.simulate import Prediction, predict
from agent.kernel.decide.world import World, WorldSettings
from agent.kernel.loop.settings import gate_settings, search_settings

SECONDS_PER_TRIAL = 30.0
"""Assumed duration of one trial, unless given."""
SEED_SCORE = 0.35
"""Assumed mean score of the seed scaffold, unless given."""


def trials_of(config: Config, *, seconds_per_trial: float, cost_per_trial: float | None) -> int | None:
    """The number of trials that the budget allows; None if no limit bounds it."""
    budget = config.budget
    hours = _in_its_hours(config, seconds_per_trial)
    money = None if budget.dollars is None or not cost_per_trial else budget.dollars / cost_per_trial
    limits = [limit for limit in (budget.trials, hours, money) if limit is not None]
    return max(1, int(min(limits))) if limits else None


def _in_its_hours(config: Config, seconds_per_trial: float) -> float | None:
    hours = config.budget.hours
    return None if hours is None else hours * 3600 * config.boxes.parallel / seconds_per_trial


def assumed_duration(config: Config, prediction: Prediction, seconds_per_trial: float) -> str | None:
    """The duration of a trial on which the number of trials rests; None if another limit than hours bounds it."""
    fit = _in_its_hours(config, seconds_per_trial)
    if fit is None or prediction.trials != max(1, int(fit)):
        return None
    return f"at {seconds_per_trial:g} s a trial"


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


def explained(config: Config, prediction: Prediction, seconds_per_trial: float, score: float) -> Iterator[str]:
    """A prediction for people: what can be proven, each figure with its meaning, and what was assumed."""
    yield prediction.sentence
    if assumed := assumed_duration(config, prediction, seconds_per_trial):
        yield f"So many fit into {config.budget.hours:g} h {assumed}; --seconds-per-trial N, if yours take longer."
    yield ""
    for figure, meaning in _figures(config, prediction):
        yield f"{figure:>10}  {meaning}"
    yield ""
    yield "Assumed:"
    yield f"  the seed scores {score:.2g} (--score, or what `ratchet tasks calibrate` measured)"
    yield f"  a trial takes {seconds_per_trial:g} s (--seconds-per-trial)"
    yield f"  of ten proposals one is worth about {_worth(score):.0f} points, two do harm, seven do nothing"
    yield "  both sides of a pair share their luck wherever a patch changes nothing"
    yield "A point is a hundredth of the score. This says what the arithmetic allows, not what your model will find."


def _figures(config: Config, prediction: Prediction) -> Iterator[tuple[str, str]]:
    yield f"{prediction.trials:,}", "trials fit into the budget"
    if prediction.hours is not None:
        yield f"{prediction.hours:.2g}", f"hours that they take, {config.boxes.parallel} at a time"
    if prediction.dollars is not None:
        yield f"${prediction.dollars:,.2f}", "for their model calls"
    yield f"{prediction.proposals:.0f}", "patches are proposed"
    yield f"{prediction.pairs_without_effect:.0f}", "pairs until a gate test gives up on a patch that does nothing"
    yield f"{prediction.commits:.1f}", "patches are committed, on average over the simulated campaigns"
    yield f"{100 * prediction.gain:.1f}", "points are gained by them"


def _worth(score: float) -> float:
    """Points that a good patch of the simulated world is worth on average."""
    settings = WorldSettings(gate_tasks=2000, base=score)
    world = World(settings, np.random.default_rng(0))
    return 100 * (world.mean(settings.effect) - world.mean(0.0))
