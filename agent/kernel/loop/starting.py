"""What is checked before a campaign starts: one list, which `ratchet run` obeys and `ratchet doctor` shows.

None of it starts a box or asks a model. What does comes after it, in `agent.wiring`: the images, the boxes, a first
call of every model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent.base.errors import UserError
from agent.base.types import Caps, Split, Suite
from agent.config.campaign import Config
from agent.config.improve import improver_of
from agent.kernel.git.repository import Repository
from agent.kernel.loop.opening import check_unchanged, open_repository, scaffold_layers
from agent.kernel.loop.settings import boundary_of
from agent.kernel.loop.tripwires import check_tripwire
from agent.kernel.loop.warm import check_warm_start
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.prices import check_caps, unknown_prices
from agent.suites.loader import load_suite
from agent.trials.places import check_engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check. `what` names it in a word; `look` says what it found, or raises UserError."""

    what: str
    look: Callable[[], str]


class Start:
    """A campaign before its start; `ledger` is its record, if it has begun before."""

    def __init__(self, config: Config, ledger: Ledger | None) -> None:
        self._config, self._ledger = config, ledger

    @cached_property
    def suite(self) -> Suite:
        """The suite. Raises UserError."""
        return load_suite(self._config.suite)

    @cached_property
    def repository(self) -> Repository:
        """The repository, for reading. Raises UserError."""
        return open_repository(self._config, self._ledger)

    def checks(self) -> Iterator[Check]:
        """Every check, in the order of the run; one that depends on a failed one fails in the same words."""
        yield Check(what="runs", look=self._runs)
        yield Check(what="keys", look=self._keys)
        yield Check(what="prices", look=self._prices)
        yield Check(what="suite", look=self._suite)
        yield Check(what="repo", look=self._repo)
        if self._ledger is not None:
            yield Check(what="resume", look=self._resume)
        if self._config.warm_start is not None:
            yield Check(what="warm", look=self._warm)
        if self._config.notify.command or self._config.notify.webhook:
            yield Check(what="notify", look=self._notify)

    def _runs(self) -> str:
        folder = self._config.folder
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise UserError("runs", f"{folder} cannot be written", "Name a folder that you may write.")
        return f"{folder} {'holds the campaign' if self._ledger is not None else 'is new'}"

    def _keys(self) -> str:
        models = self._config.models
        models.need(("solver", "improver"))
        models.check_keys()
        used = dict.fromkeys(model.key_env for model in models.all() if model.key_needed and model.key_env)
        return f"{', '.join(used)} set" if used else "none needed"

    def _prices(self) -> str:
        budget = self._config.budget
        check_caps(self._config.models, Caps(dollars=budget.dollars, tokens=budget.tokens))
        options = self._config.gate_options
        dollars = options.objective != "score" and options.cost == "dollars"
        if dollars and (missing := unknown_prices(self._config.models, "solver")):
            fix = "Set `price` on the model, or gate_options.cost: tokens."
            raise UserError("gate_options.cost", f"no price is known for {', '.join(missing)}", fix)
        if unknown := unknown_prices(self._config.models):
            return f"no price is known for {', '.join(unknown)}: its calls count as tokens, not as money"
        return "known for every model"

    def _suite(self) -> str:
        check_engine(self._config, self.suite)
        sizes = ", ".join(f"{len(self.suite.split(split))} {split}" for split in Split)
        return f"{self.suite.name}@{self.suite.hash}: {sizes} tasks"

    def _repo(self) -> str:
        scaffold, repository = self._config.scaffold, self.repository
        repository.claim()
        repository.check_include(scaffold.include, self._config.improve.include)
        repository.check_suite(self._config.suite, scaffold.include, self._config.improve.include)
        scaffold_layers(self._config, repository)
        if (improver := improver_of(self._config.improve)) is not None:
            repository.layers(improver.layers, "improve.build")
        boundary_of(self._config).check_seed(repository.read(repository.tree_of(repository.base)))
        signed = "; a commit can be signed" if self._config.commit.sign else ""
        return f"{repository.branch} starts from {repository.base[:10]}{signed}"

    def _resume(self) -> str:
        ledger = self._ledger
        if ledger is None:
            return "new"
        check_unchanged(self._config, ledger, self.suite)
        check_tripwire(ledger)
        return f"{ledger.count_trials()} trials are recorded; suite, paths and seed are as they were"

    def _warm(self) -> str:
        folder = self._config.warm_start or Path()
        check_warm_start(folder, self.suite, self.repository)
        return f"begins with what {folder.name} learned"

    def _notify(self) -> str:
        self._config.notify.check()
        return "the command is found, the address is set"
