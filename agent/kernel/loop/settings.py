"""From the configuration to the numbers of search and gate, and what they can prove at all."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import replace

from agent.base.errors import UserError
from agent.base.types import Split, Suite
from agent.config.campaign import Config
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.bets import Terms, bets_for, bets_on
from agent.kernel.decide.boundary import Boundary
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.kernel.decide.cheaper import Aim, Objective, Unit
from agent.kernel.decide.gate import Control, GateSettings, pairs_to_prove
from agent.kernel.decide.pooled import LEAD, first_lead
from agent.kernel.decide.promotion import Promoter, within
from agent.kernel.decide.strategies import STRATEGIES, Strategy
from agent.kernel.decide.thrift import Thrifty
from agent.kernel.loop.match import Opening, shares_of
from agent.kernel.loop.shown import shown_count
from agent.kernel.record.ledger import Ledger


def scored_count(config: Config, suite: Suite) -> int:
    """How many search tasks candidates are judged by."""
    tasks = len(suite.split(Split.SEARCH))
    shown = shown_count(tasks, config.search.shown)
    return tasks - shown if shown < tasks else tasks


def search_settings(config: Config, suite: Suite) -> SearchSettings:
    """The numbers of the search line, as the configuration sets them."""
    return SearchSettings(
        task_count=scored_count(config, suite),
        min_trials=config.search.min_trials,
        parent_trials=config.search.parent_trials,
        growth=config.search.growth,
        margin=config.search.margin,
        min_z=config.search.min_z,
        max_gate_share=config.gate_options.share,
        foreseen=config.budget.trials or math.inf,
    )


def before_a_test(config: Config, search: SearchSettings, champion: int, used: int) -> tuple[int, float]:
    """(search trials, standard errors of its lead) that a candidate needs before a test, by the strategy's own rule.

    `used` are the campaign's trials so far.
    """
    if config.search.strategy == "pooled":
        return search.half, LEAD if champion else first_lead(used)
    return search.enough, search.min_z


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


def fewest_pairs(config: Config) -> int:
    """The fewest pairs after which a test can be won, by winning each of them."""
    settings, objective = gate_settings(config), aim_of(config).objective
    if objective is Objective.BOTH:  # each of its two claims has half of the error
        settings = replace(settings, alpha=settings.level / 2.0)
    elif objective is Objective.SCORE and isinstance(strategy_of(config), Promoter):
        settings = replace(settings, bets=bets_on(1.0, 1.0))
    return pairs_to_prove(settings)


def opening_of(config: Config, suite: Suite, sampled: Container[str] = (), terms: Terms | None = None) -> Opening:
    """What a test that is opened now, on such terms, is opened with.

    `sampled` are tasks whose declaration turned out wrong.
    """
    aim, declared = aim_of(config), shares_of(suite.split(Split.GATE))
    if aim.objective is not Objective.SCORE:  # an equal score says nothing about equal cost
        declared = {}
    shares = {task: share for task, share in declared.items() if task not in sampled}
    return Opening(settings=within(gate_settings(config), terms), runs=config.gate_options.runs, shares=shares, aim=aim)


def aim_of(config: Config) -> Aim:
    """What gate tests are about, as the configuration sets it."""
    options = config.gate_options
    return Aim(
        objective=Objective(options.objective),
        unit=Unit(options.cost),
        not_worse=options.not_worse,
        saving=options.saving,
    )


def strategy_of(config: Config) -> Strategy:
    """Where proposals and trials go, as the configuration sets it."""
    strategy, aim = STRATEGIES[config.search.strategy](), aim_of(config)
    return strategy if aim.objective is Objective.SCORE else Thrifty(strategy, aim)


def unprovable(config: Config, suite: Suite) -> UserError | None:
    """Why a campaign of so few trials cannot commit anything, whatever its candidates do.

    Deterministic tasks need no proof by pairs, so a gate that has any is left to find out.
    """
    trials, options = config.budget.trials, config.gate_options
    if trials is None or config.gate != "proven" or shares_of(suite.split(Split.GATE)):
        return None
    pairs = min(int(trials * options.share) // 2, options.max_pairs)
    needed = fewest_pairs(config)
    if pairs >= needed:
        return None
    problem = f"{trials} trials leave {pairs} pairs for the gate, and {needed} are needed even if all are won"
    few = math.ceil(2 * needed / options.share)
    return UserError("budget.trials", problem, f"Give {few} or many more, or set gate: better, which proves nothing.")


def limit_reached(config: Config, budget: Budget, *, accepted: int, trials: int) -> str | None:
    """Which limit of `budget` ends the campaign, in words; None while it may continue."""
    limits = config.budget
    if reason := budget.exhausted():
        return reason
    if limits.commits is not None and accepted >= limits.commits:
        return f"{limits.commits} accepted, as many as asked for (budget.commits)"
    if limits.trials is not None and trials >= limits.trials:
        over = f"; {trials - limits.trials} ended after that" if trials > limits.trials else ""
        return f"the campaign's trials are used up ({trials} of {limits.trials}{over})"
    return None


def boundary_of(config: Config) -> Boundary:
    """What a patch may change, as the configuration sets it."""
    return Boundary(
        mutable=config.scaffold.mutable,
        frozen=config.scaffold.frozen,
        max_files_changed=config.patch.max_files,
        max_file_bytes=config.patch.max_file_kb << 10,
        max_patch_bytes=config.patch.max_kb << 10,
    )


def budget_of(config: Config, ledger: Ledger, *, hours: float | None) -> Budget:
    """What is left of the limits, given what the ledger's earlier runs spent."""
    spent, seconds = ledger.spent(), float(ledger.recollect("seconds") or 0.0)
    return Budget(
        Limits(
            dollars=config.budget.dollars,
            tokens=config.budget.tokens,
            seconds=None if hours is None else hours * 3600,
        ),
        Spent(dollars=spent.dollars, tokens=spent.fresh_tokens, calls=spent.fresh_calls, seconds=seconds),
    )
