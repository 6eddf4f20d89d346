"""From the configuration to the numbers of search and gate, and what they can prove at all."""

from __future__ import annotations

import math

from agent.base.errors import UserError
from agent.base.types import Split, Suite
from agent.config.campaign import Config
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import Control, GateSettings, bets_for, pairs_to_prove
from agent.kernel.loop.match import Opening, shares_of


def search_settings(config: Config, suite: Suite) -> SearchSettings:
    """The numbers of the search line, as the configuration sets them."""
    return SearchSettings(
        task_count=len(suite.split(Split.SEARCH)),
        min_trials=config.search.min_trials,
        growth=config.search.growth,
        margin=config.search.margin,
        min_z=config.search.sureness,
        max_gate_share=config.gate_options.share,
    )


def gate_settings(config: Config) -> GateSettings:
    """The numbers of the gate, as the configuration sets them."""
    options = config.gate_options
    return GateSettings(
        control=Control(options.error),
        alpha=options.alpha,
        lambdas=bets_for(options.effect),
        smallest_effect=options.effect,
        spending=options.spending,
        max_pairs=options.max_pairs,
    )


def opening_of(config: Config, suite: Suite) -> Opening:
    """What a test that is opened now is opened with."""
    shares = shares_of(suite.split(Split.GATE))
    return Opening(settings=gate_settings(config), runs=config.gate_options.runs, shares=shares)


def unprovable(config: Config, suite: Suite) -> UserError | None:
    """Why a campaign of so few trials cannot commit anything, whatever its candidates do.

    Deterministic tasks need no proof by pairs, so a gate that has any is left to find out.
    """
    trials, options = config.budget.trials, config.gate_options
    if trials is None or config.gate != "proven" or shares_of(suite.split(Split.GATE)):
        return None
    pairs = min(int(trials * options.share) // 2, options.max_pairs)
    needed = pairs_to_prove(gate_settings(config))
    if pairs >= needed:
        return None
    problem = f"{trials} trials leave {pairs} pairs for the gate, and {needed} are needed even if all are won"
    few = math.ceil(2 * needed / options.share)
    return UserError("budget.trials", problem, f"Give {few} or many more, or set gate: better, which proves nothing.")
